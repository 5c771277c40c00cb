"""A bad commit takes down a few VMs, not all of them; failures neither wait for that nor count."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.plan import Plan
from reconciler.model.policy import Policy
from reconciler.model.spoken_time import span
from reconciler.planner.plan_check import check
from reconciler.planner.planner import plan as make_plan
from tests.support.fleets import FLEET, NOW, Story, story, vm

_NAMES = ("a", "b", "c")


def limited(fleet: Story, disruptions: int = 2) -> Story:
    policy = Policy.model_validate({"fleet": FLEET, "rateLimit": {"disruptions": disruptions, "per": "10m"}})
    return replace(fleet, policy=policy)


def bigger(*, disruptions: int = 2) -> Story:
    """Three running VMs that are all to be restarted with more memory."""
    before = story(*(vm(name, updatePolicy="restart") for name in _NAMES)).converged()
    after = before.with_specs(*(vm(name, updatePolicy="restart", memory="2GiB") for name in _NAMES))
    return limited(after, disruptions)


def stopped(plan: Plan) -> set[str]:
    return {action.target.name for action in plan.actions if action.kind == "stop-domain"}


def held(fleet: Story) -> dict[str, str]:
    return {each.target.name: each.detail for each in fleet.plan().unmet if each.reason == "rate-limited"}


def test_as_many_go_as_are_allowed_and_the_others_say_when() -> None:
    fleet = bigger()

    assert stopped(fleet.plan()) == {"a", "b"}
    assert set(held(fleet)) == {"c"}
    assert "rateLimit allows 2 VMs in 10m, and others go first" in held(fleet)["c"]


def test_those_of_late_count_also_for_the_next_controller() -> None:
    fleet = bigger().with_ledger(disruptions=(("z", NOW - 500), ("a", NOW - 60)))

    assert stopped(fleet.plan()) == set()
    assert set(held(fleet)) == {"a", "b", "c"}
    assert held(fleet)["a"].endswith(f"the next in {span(100)}")


def test_what_was_long_ago_or_lies_ahead_does_not_count() -> None:
    fleet = bigger().with_ledger(disruptions=(("z", NOW - 601), ("y", NOW + 5)))

    assert stopped(fleet.plan()) == {"a", "b"}


def test_the_first_step_of_each_is_what_is_written_down() -> None:
    counted = [(action.kind, action.target.name) for action in bigger().plan().actions if action.counts]

    assert sorted(counted) == [("stop-domain", "a"), ("stop-domain", "b")]


def test_a_vm_that_was_taken_down_is_brought_up_whatever_was_of_late() -> None:
    fleet = limited(story(vm()).converged(), 1)
    off = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))

    assert off.with_ledger(disruptions=(("web", NOW - 5),)).kinds() == ["start-domain"]


def test_a_removal_that_was_begun_is_brought_to_its_end() -> None:
    fleet = limited(story(vm()).converged().with_specs(without=["VirtualMachine/web"]), 1)
    off = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))

    assert off.with_ledger(disruptions=(("web", NOW - 5),)).kinds() == ["undefine-domain"]
    assert off.with_ledger(disruptions=(("other", NOW - 5),)).kinds() == []


def test_who_is_worked_on_counts_before_it_is_written_down() -> None:
    fleet = bigger().with_ledger(in_flight=frozenset({"VirtualMachine/a"}))

    assert stopped(fleet.plan()) == {"b"}


def test_without_a_limit_all_go() -> None:
    fleet = replace(bigger(), policy=Policy(fleet=FLEET))

    assert stopped(fleet.plan()) == {"a", "b", "c"}


def test_a_plan_of_too_many_breaks_a_rule() -> None:
    fleet = bigger()
    careless = make_plan(fleet.specs, fleet.inventory, fleet.ledger, Policy(fleet=FLEET), NOW)

    def violations(plan: Plan) -> tuple[str, ...]:
        return check(plan, fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, NOW)

    assert any("are taken down at once" in each for each in violations(careless))
    assert violations(fleet.plan()) == ()
