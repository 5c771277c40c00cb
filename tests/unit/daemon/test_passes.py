"""What the daemon logs of passes: that a reason came, and that an object is met once none is left."""

from __future__ import annotations

from collections.abc import Iterable

from structlog.testing import capture_logs

from reconciler.daemon.passes import PassLog
from reconciler.model.plan import UnmetReason
from tests.unit.cli.plans import plan
from tests.unit.cli.reasons import unmet
from tests.unit.cli.worlds import look

WEB = "VirtualMachine/web"


def logged(*moments: Iterable[UnmetReason]) -> list[tuple[str, str]]:
    """Events and reasons of passes, each of which finds WEB unmet for these reasons."""
    log = PassLog()
    with capture_logs() as entries:
        for reasons in moments:
            log.note(look(plan(unmet=tuple(unmet(WEB, reason, reason) for reason in reasons))), (), seconds=0.1)
    return [(entry["event"], entry["reason"]) for entry in entries if entry["event"].startswith("spec.")]


def test_an_object_whose_last_reason_went_is_met() -> None:
    assert logged(["restart-pending"], []) == [("spec.unmet", "restart-pending"), ("spec.met", "restart-pending")]


def test_an_object_that_has_another_reason_now_is_not_called_met() -> None:
    assert logged(["restart-pending"], ["host-unread"], []) == [
        ("spec.unmet", "restart-pending"),
        ("spec.unmet", "host-unread"),
        ("spec.met", "host-unread"),
    ]


def test_what_is_said_once_is_not_said_again() -> None:
    assert logged(["backoff"], ["backoff"]) == [("spec.unmet", "backoff")]
