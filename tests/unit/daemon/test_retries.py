"""Looking again without an event: when something is due, and not again and again for what waits for something else."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.daemon.retries import seconds_until_retry
from reconciler.daemon.view import View
from reconciler.model.ledger import Failure, LedgerView
from reconciler.model.plan import Unmet
from tests.unit.cli.plans import plan
from tests.unit.cli.reasons import unmet
from tests.unit.cli.worlds import look

KEY = "edit-live:VirtualMachine/web@h1"


def held(*, seconds: float, unmet: tuple[Unmet, ...] = (), in_flight: frozenset[str] = frozenset()) -> View:
    """A look whose plan held an action that failed and may be tried again so many seconds later."""
    view = look(replace(plan(unmet=unmet), held=(KEY,)))
    failure = Failure(KEY, 1, "no", permanent=False, not_before=view.at + seconds, inputs="x")
    return replace(view, ledger=LedgerView(failures={KEY: failure}, in_flight=in_flight))


def test_what_failed_is_due_at_the_end_of_its_pause() -> None:
    view = held(seconds=30.0)

    assert seconds_until_retry(view, view.at + 10.0) == pytest.approx(20.0)


def test_what_became_due_while_the_pass_went_on_is_looked_at_soon() -> None:
    view = held(seconds=0.5)

    assert seconds_until_retry(view, view.at + 2.0) == pytest.approx(0.1)


def test_what_is_held_for_another_action_waits_for_the_end_of_that_one() -> None:
    """Its own pause is over: ten looks a second would not end it."""
    view = held(seconds=-5.0, in_flight=frozenset({"VirtualMachine/web"}))

    assert seconds_until_retry(view, view.at) is None


def test_what_passes_by_itself_is_looked_at_each_second() -> None:
    view = held(seconds=-5.0, unmet=(unmet("VirtualMachine/db", "shutting-down", "the guest was asked"),))

    assert seconds_until_retry(view, view.at) == pytest.approx(1.0)
