"""The daemon's pages: who is answered, and that nobody keeps others waiting."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.config import Origin, Settings
from reconciler.daemon.looking_on import LookingOn
from reconciler.daemon.metrics.health import STUCK, Health
from reconciler.daemon.metrics.live import LiveMetrics
from reconciler.daemon.metrics.rpcs import MeasuredFleet
from reconciler.daemon.metrics.server import Page, PageServer
from reconciler.errors import ExposedListener, HostUnreachable, UsageError
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.metrics_settings import MetricsTls
from tests.support.certificates import Authority

PAGES = {"/metrics": lambda: Page(b"told\n")}


def test_a_page_is_answered_on_loopback() -> None:
    with (
        closing(PageServer("127.0.0.1:0", PAGES)) as server,
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer,
    ):
        text = answer.read()

    assert text == b"told\n"


def test_an_unknown_page_names_those_that_there_are() -> None:
    with closing(PageServer("127.0.0.1:0", PAGES)) as server, pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metric", timeout=5)

    assert (told.value.code, told.value.read()) == (404, b"no such page; there are: /metrics\n")


def test_clients_that_say_nothing_keep_nobody_else_waiting() -> None:
    with (
        closing(PageServer("127.0.0.1:0", PAGES)) as server,
        socket.create_connection(("127.0.0.1", server.port)),
        socket.create_connection(("127.0.0.1", server.port)),
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=4) as answer,
    ):
        assert answer.read() == b"told\n"


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_what_other_machines_reach_is_not_listened_on_without_saying_who_may_ask(listen: str) -> None:
    with pytest.raises(ExposedListener, match="other machines reach that address") as refused:
        PageServer(listen, PAGES)

    assert "metricsTls.clientCa" in refused.value.hint


def test_over_tls_only_who_has_a_certificate_is_answered(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, prometheus = authority.sign("controller"), authority.sign("prometheus")
    tls = MetricsTls(certificate=str(own[0]), key=str(own[1]), client_ca=str(authority.ca))
    stranger = ssl.create_default_context(cafile=str(authority.ca))
    known = ssl.create_default_context(cafile=str(authority.ca))
    known.load_cert_chain(*prometheus)

    with closing(PageServer("0.0.0.0:0", PAGES, tls)) as server:
        url = f"https://127.0.0.1:{server.port}/metrics"
        with urllib.request.urlopen(url, timeout=5, context=known) as answer:
            text = answer.read()
        with pytest.raises(OSError, match=r"certificate required|reset|closed|EOF"):
            urllib.request.urlopen(url, timeout=5, context=stranger)

    assert text == b"told\n"


def test_a_port_that_was_asked_for_and_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(metrics_listen=listen, origins=(Origin("metricsListen", listen, "flag"),))

        with (
            pytest.raises(UsageError, match=f"metricsListen {listen}: address already in use"),
            LookingOn(SystemClock()).served(settings),
        ):
            pass


def test_a_default_port_that_is_taken_keeps_nobody_from_looking_after_the_fleet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(metrics_listen=listen, origins=(Origin("metricsListen", listen, "default"),))

        with LookingOn(SystemClock()).served(settings):
            went_on = True

    assert went_on


def test_a_loop_that_does_not_turn_is_not_well() -> None:
    clock = FakeClock()
    health = Health(clock)
    before = health.live()[0]

    clock.advance(STUCK + 1)

    assert (before, health.live()[0]) == (True, False)


def test_who_stands_by_is_ready() -> None:
    health = Health(FakeClock())
    before = health.ready()[0]

    health.stood_by("standing by: c1 leads")

    assert (before, health.ready()) == (False, (True, "standing by: c1 leads"))


def test_what_hosts_are_asked_is_told_with_how_it_ended() -> None:
    fleet, told = SimulatedFleet(), list[tuple[str, str, str]]()
    fleet.add_host("h1")
    measured = MeasuredFleet(fleet, SystemClock(), lambda host, kind, result, _: told.append((host, kind, result)))

    measured.host("h1").sweep()
    fleet.power_off("h1")
    with pytest.raises(HostUnreachable):
        measured.host("h1").domain_by_name("web")

    assert told == [("h1", "sweep", "ok"), ("h1", "domain-by-name", "unreachable")]


def test_counts_of_a_host_that_left_are_gone() -> None:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    live = LiveMetrics(registry)
    live.asked("h1", "sweep", "ok", 0.1)
    live.asked("h2", "sweep", "ok", 0.1)

    live.keep_hosts({"h2"})

    page = generate_latest(registry)
    assert b'host="h1"' not in page
    assert b'host="h2"' in page
