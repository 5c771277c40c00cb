"""Who is told what while a fleet lives through a scenario: once, and that it is over."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.clock import SystemClock
from reconciler.credentials.secret_store import SecretStore
from reconciler.daemon.notifications.notifier import Notifier
from reconciler.daemon.notifications.sending import send
from reconciler.errors import LedgerError, NotificationFailed
from reconciler.ledger.store import Ledger
from reconciler.model.notifications import Matter, Receiver, Tone, tone_of
from reconciler.model.secret_ref import SecretRef
from reconciler.simulator.play import play
from reconciler.simulator.scenario import load_scenario
from reconciler.simulator.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.daemon.onlookers import Onlooker
    from reconciler.daemon.session import Session
    from reconciler.daemon.view import View
    from reconciler.simulator.stage import Stage

FOLDER = Path(__file__).parent
ALL = Receiver(name="all", url=SecretRef(env="URL"), severity="warning")


class _AtOnce(Notifier):
    """Tells within the pass, so that a simulation is the same each time."""

    def passed(self, pass_id: str, view: View, seconds: float) -> None:
        super().passed(pass_id, view, seconds)
        self.tell()


def _told(scenario: str, receiver: Receiver = ALL) -> list[str]:
    """The lines of all messages of a scenario, without details."""
    lines: list[str] = []

    def note(_receiver: Receiver, _title: str, text: str, _tone: Tone) -> None:
        lines.extend(line.partition(" (")[0] for line in text.splitlines())

    def prepare(stage: Stage) -> None:
        def looking_on(session: Session) -> Onlooker:
            return _AtOnce([receiver], session.ledger, stage.clock, note)

        stage.looking_on = looking_on

    play(load_scenario(FOLDER / scenario, VERBS), prepare=prepare)
    return lines


def test_a_lost_host_is_told_step_by_step_and_so_is_each_vm_that_runs_again() -> None:
    assert _told("power-cut-recovered") == [
        "critical: Host/h1 is unreachable",
        "critical: VirtualMachine/db: host lost",
        "critical: VirtualMachine/web-3: host lost",
        "critical: Host/h1 is fenced",
        "resolved: VirtualMachine/web-3: host lost",
    ]


def test_a_host_that_returns_is_told_and_nothing_is_left_open() -> None:
    told = _told("host-returns-after-recovery")

    begun = {line.partition(": ")[2] for line in told if not line.startswith("resolved")}
    over = {line.partition(": ")[2] for line in told if line.startswith("resolved")}
    assert {line for line in begun if "h1 is" not in line} <= over
    assert [line for line in over if "Host/h1 is" in line] != []


def test_a_restart_of_the_controller_repeats_nothing() -> None:
    told = _told("killed-during-recovery")

    assert len(told) == len(set(told))


def test_rules_choose_by_kind_name_and_labels() -> None:
    only = Receiver(name="web", url=SecretRef(env="URL"), kinds=("VirtualMachine",), names=("web-*",))

    assert _told("power-cut-recovered", only) == [
        "critical: VirtualMachine/web-3: host lost",
        "resolved: VirtualMachine/web-3: host lost",
    ]


def test_who_could_not_be_told_is_told_later_and_only_once(tmp_path: Path) -> None:
    sent: list[str] = []
    clock = _Clock()

    def fail_once(_receiver: Receiver, title: str, _text: str, _tone: Tone) -> None:
        clock.tries += 1
        if clock.tries == 1:
            raise NotificationFailed("no answer")
        sent.append(title)

    with Ledger(tmp_path) as ledger:
        notifier = Notifier([ALL], ledger, clock, fail_once)
        notifier.pass_failed("p1", LedgerError("disk full"))
        notifier.tell()
        notifier.tell()
        tries = clock.tries
        clock.at += 60
        notifier.tell()
        notifier.tell()
        again = Notifier([ALL], ledger, clock, fail_once)
        again.pass_failed("p2", LedgerError("disk full"))
        again.tell()

    assert (tries, sent) == (1, ["No pass comes to a plan: nothing is recovered or changed"])


class _Clock(SystemClock):
    at = 1000.0
    tries = 0

    def monotonic(self) -> float:
        return self.at


def test_a_service_that_hangs_keeps_no_pass_waiting(tmp_path: Path) -> None:
    hangs, inside = threading.Event(), threading.Event()

    def hang(_receiver: Receiver, _title: str, _text: str, _tone: Tone) -> None:
        inside.set()
        hangs.wait(30)

    with Ledger(tmp_path) as ledger, closing(Notifier([ALL], ledger, SystemClock(), hang)) as notifier:
        notifier.start()
        notifier.pass_failed("p1", LedgerError("disk full"))
        assert inside.wait(10)
        for number in range(1000):
            notifier.pass_failed(str(number), LedgerError("disk full"))
        hangs.set()


@contextmanager
def _service() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """An HTTP service on loopback that keeps what is posted to it."""
    posted: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], posted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_apprise_posts_to_a_real_service() -> None:
    with _service() as (port, posted):
        send(ALL, "h1 is lost", "critical: Host/h1", "failure", SecretStore({"URL": f"json://127.0.0.1:{port}/"}))

    told = [(each["title"], each["message"], each["type"]) for each in posted]
    assert told == [("reconciler: h1 is lost", "critical: Host/h1", "failure")]


def test_a_service_shows_a_message_by_the_worst_that_is_news_and_what_is_over_as_a_success() -> None:
    lost, slow = (
        Matter(key=key, state="x", severity=severity, object="Host/h1", title="t")
        for key, severity in (("a", "critical"), ("b", "warning"))
    )

    assert [tone_of(news) for news in ((slow, lost), (slow,), ())] == ["failure", "warning", "success"]


@pytest.mark.parametrize("url", ["json://user:geheim@127.0.0.1:1/", "nothing://geheim", ""])
def test_a_failure_never_shows_the_url(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(NotificationFailed) as failed:
        send(ALL, "t", "x", "info", SecretStore({"URL": url}))

    assert "geheim" not in f"{failed.value} {caplog.text}"
