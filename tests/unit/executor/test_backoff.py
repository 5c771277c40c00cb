"""Transient failures are tried again ever more rarely, permanent ones are not hammered."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.executor.backoff import growing_delays, next_failure, retry_delay
from reconciler.model import steps
from reconciler.model.ledger import LONGEST_BACKOFF, Failure
from reconciler.model.outcome import action_inputs
from tests.unit.executor.bench import SEED_CONTENT, action, config, create_step


def failure(known: Failure | None = None, *, inputs: str = "i", permanent: bool = False) -> Failure:
    return next_failure(known, key="k", inputs=inputs, message="no", permanent=permanent, now=100.0)


def test_transient_failures_wait_twice_as_long_each_time() -> None:
    assert [retry_delay(attempt, permanent=False) for attempt in range(1, 6)] == [5, 10, 20, 40, 80]


@given(st.integers(1, 10**6), st.booleans())
def test_no_failure_waits_longer_than_the_cap(attempts: int, permanent: bool) -> None:
    assert 0 < retry_delay(attempts, permanent=permanent) <= LONGEST_BACKOFF


def test_permanent_failure_waits_the_longest_at_once() -> None:
    assert failure(permanent=True).not_before == 100.0 + LONGEST_BACKOFF


def test_same_action_failing_again_counts_up() -> None:
    again = failure(failure())

    assert (again.attempts, again.not_before) == (2, 110.0)


def test_changed_action_starts_afresh() -> None:
    assert failure(failure(), inputs="other").attempts == 1


def test_looks_grow_rarer_up_to_a_limit() -> None:
    assert list(islice(growing_delays(1, 5), 5)) == [1, 2, 4, 5, 5]


def test_inputs_differ_wherever_the_action_does() -> None:
    """Also in fields that are never shown, such as a seed's secrets."""
    changed_seed = replace(SEED_CONTENT, user_data="#cloud-config\npassword: other\n")
    actions = [
        action(create_step()),
        action(create_step(capacity=1)),
        action(create_step(), host="h2"),
        action(steps.DefineDomain(config("web"))),
        action(steps.DefineDomain(config("web", spec="s2"))),
        action(steps.WriteSeed("vms", "s", SEED_CONTENT)),
        action(steps.WriteSeed("vms", "s", changed_seed)),
    ]

    assert len({action_inputs(made) for made in actions}) == len(actions)


def test_inputs_are_the_same_for_the_same_change_in_another_plan() -> None:
    one = action(create_step(), id="x", after=("a",))
    other = action(create_step(), id="y")

    assert action_inputs(one) == action_inputs(other)
