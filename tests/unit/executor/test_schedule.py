"""Plan order, predecessors and slots decide what starts; nothing that could start is forgotten."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from reconciler.executor.occupancy import Occupancy
from reconciler.executor.schedule import Schedule
from reconciler.executor.slots import Slot
from reconciler.model import steps
from reconciler.model.plan import Action
from tests.unit.executor.bench import action

STEP = steps.StartPool("vms", start=True, autostart=True)


def named(name: str, *after: str) -> Action:
    return action(STEP, id=name, after=after)


def schedule(*actions: Action, slots: Mapping[str, tuple[Slot, ...]] | None = None) -> Schedule:
    return Schedule(actions, lambda made: (slots or {}).get(made.id, ()), Occupancy())


def ids(actions: list[Action]) -> list[str]:
    return [made.id for made in actions]


def test_what_needs_nothing_starts_in_plan_order() -> None:
    assert ids(schedule(named("b"), named("a"), named("c", "a")).start()) == ["b", "a"]


def test_action_starts_once_all_that_it_needs_succeeded() -> None:
    first, second = named("a"), named("b")
    plan = schedule(first, second, named("c", "a", "b"))
    plan.start()

    plan.finish(first, succeeded=True)
    assert plan.start() == []
    plan.finish(second, succeeded=True)
    assert ids(plan.start()) == ["c"]


def test_whatever_needs_a_failed_action_is_skipped_with_its_cause() -> None:
    first = named("a")
    plan = schedule(first, named("b", "a"), named("c", "b"), named("d"))
    plan.start()

    skipped = plan.finish(first, succeeded=False)

    assert [(made.id, cause) for made, cause in skipped] == [("b", "a"), ("c", "b")]
    assert plan.remaining() == []


def test_full_slot_holds_back_until_it_is_free() -> None:
    first, second = named("a"), named("b")
    one = (Slot("vm", 1),)
    plan = schedule(first, second, slots={"a": one, "b": one})

    assert ids(plan.start()) == ["a"]
    plan.finish(first, succeeded=True)
    assert ids(plan.start()) == ["b"]


def test_action_held_by_one_slot_does_not_block_another() -> None:
    host, vm = Slot("host", 2), Slot("vm", 1)
    plan = schedule(named("a"), named("b"), named("c"), slots={"a": (host, vm), "b": (host, vm), "c": (host,)})

    assert ids(plan.start()) == ["a", "c"]


def test_action_that_needs_something_unknown_never_starts() -> None:
    plan = schedule(named("a", "elsewhere"))

    assert plan.start() == []
    assert ids(plan.remaining()) == ["a"]


def test_actions_that_need_each_other_never_start() -> None:
    plan = schedule(named("a", "b"), named("b", "a"))

    assert plan.start() == []
    assert ids(plan.remaining()) == ["a", "b"]


def test_slot_that_another_pass_holds_is_waited_for() -> None:
    one, shared = (Slot("vm", 1),), Occupancy()
    earlier, later = named("a"), named("b")
    first = Schedule([earlier], lambda _made: one, shared)
    second = Schedule([later], lambda _made: one, shared)
    first.start()

    assert second.start() == []
    assert second.is_held_up
    first.finish(earlier, succeeded=True)
    second.look_again()
    assert ids(second.start()) == ["b"]


def test_closed_schedule_holds_nothing() -> None:
    one, shared = (Slot("vm", 1),), Occupancy()
    first = Schedule([named("a")], lambda _made: one, shared)
    first.start()

    first.close()

    assert shared.take(one) is None


SLOT_NAMES = ("p", "q", "r")


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Action], dict[str, tuple[Slot, ...]]]:
    capacities = {name: draw(st.integers(1, 3)) for name in SLOT_NAMES}
    actions: list[Action] = []
    slots: dict[str, tuple[Slot, ...]] = {}
    for number in range(draw(st.integers(1, 12))):
        after = draw(st.sets(st.sampled_from([made.id for made in actions]), max_size=2)) if actions else set()
        actions.append(named(f"a{number}", *sorted(after)))
        wanted = draw(st.sets(st.sampled_from(SLOT_NAMES)))
        slots[f"a{number}"] = tuple(Slot(name, capacities[name]) for name in sorted(wanted))
    return actions, slots


@given(plans(), st.data())
def test_every_plan_is_carried_out_within_its_slots(
    made: tuple[list[Action], dict[str, tuple[Slot, ...]]], data: st.DataObject
) -> None:
    """Whatever ends first: nothing starts early or twice, no slot overflows, and nothing is left behind."""
    actions, slots = made
    plan = schedule(*actions, slots=slots)
    running: list[Action] = []
    succeeded: set[str] = set()
    while True:
        for started in plan.start():
            assert set(started.after) <= succeeded
            running.append(started)
        held = [slot for busy in running for slot in slots[busy.id]]
        assert all(held.count(slot) <= slot.capacity for slot in held)
        if not running:
            break
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        plan.finish(ended, succeeded=True)
        succeeded.add(ended.id)

    assert succeeded == {each.id for each in actions}


def test_ten_thousand_actions_on_one_host_are_scheduled_in_linear_time() -> None:
    """Each action is looked at a few times, however many wait."""
    looks = 0

    class Counting(Slot):
        @property
        def name(self) -> str:
            nonlocal looks
            looks += 1
            return "host"

    actions = [named(f"a{number}") for number in range(10_000)]
    slot = Counting("host", 4)
    plan = Schedule(actions, lambda _made: (slot,), Occupancy())
    running = plan.start()
    while running:
        plan.finish(running.pop(), succeeded=True)
        running += plan.start()

    assert looks < 25 * len(actions)
