"""VMs that could not be moved in time as they ran: shut down, moved while they are off, and started there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from reconciler.model.ledger import Failure, Migration
from reconciler.model.outcome import action_inputs
from reconciler.model.policy import Migration as Rules
from reconciler.model.policy import Policy
from reconciler.model.steps import MigrateDomain, StopDomain
from reconciler.planner.plan_check import check
from tests.support.fleets import FLEET, NOW, Story, host, story, vm

COLD = Policy(fleet=FLEET, migration=Rules(fallback="cold"))


def fleet(*, shared: bool = True, state: str = "maintenance", hosts: int = 3, **spec: object) -> Story:
    """A VM that runs on h1, which is to be emptied."""
    others = [host(f"h{number}", state="cordoned") for number in range(2, hosts + 1)]
    there = replace(story(vm(**spec), *others, hosts=hosts, shared=shared), policy=COLD).converged()
    names = [f"h{number}" for number in range(1, hosts + 1)]
    after = [host(name, state=state if name == "h1" else "active") for name in names]
    return there.with_specs(*after, without=[f"Host/{name}" for name in names])


def outran(of: Story, at: float = NOW, **placement: object) -> Story:
    """Its live move was given up at its deadline."""
    known = of.ledger.placements["web"]
    return of.with_ledger(placements={"web": replace(known, outran_at=at, **placement)})


def was_shut_down(of: Story) -> Story:
    """The controller was killed before it could go on."""
    found = of.domain()
    off = of.with_domain(replace(found, state="shutoff", live=None, reason="shutdown"))
    return outran(off, ran=False)


def failed(of: Story, attempts: int) -> Story:
    """As it was about to be moved while it is off."""
    action = of.action("migrate-domain")
    failure = Failure(action.id, attempts, "no route", False, NOW + 60, action_inputs(action))
    return of.with_ledger(failures={failure.key: failure})


def step_of(moment: Story) -> MigrateDomain:
    step = moment.action("migrate-domain").step
    assert isinstance(step, MigrateDomain)
    return step


def test_the_plan_says_of_a_live_move_that_it_may_cost_a_reboot() -> None:
    action = fleet().action("migrate-domain")

    assert isinstance(action.step, MigrateDomain)
    assert (action.disruption, action.step.cold, action.step.rules.fallback) == ("reboot", False, "cold")
    assert "not there within 2m, it is shut down and started there" in action.detail


def test_what_was_too_slow_is_shut_down_moved_while_it_is_off_and_started_there() -> None:
    moment = outran(fleet())

    stop, move = moment.action("stop-domain"), moment.action("migrate-domain")
    assert isinstance(stop.step, StopDomain)
    assert (stop.host, stop.disruption, move.host, move.disruption) == ("h1", "reboot", "h2", "reboot")
    assert (step_of(moment).cold, step_of(moment).epoch, stop.id in move.after) == (True, 2, True)
    after = moment.applied().converged()
    assert after.domain("web", "h2").state == "running"
    assert "web" not in after.inventory.hosts["h1"].domains
    assert (after.ledger.placements["web"].epoch, after.ledger.placements["web"].outran_at) == (2, None)


def test_one_that_was_shut_down_for_it_is_moved_on_also_by_specs_that_are_in_doubt() -> None:
    moment = was_shut_down(fleet())
    doubted = moment.with_specs(doubt="these may be older", removal_hold="these may be older")

    assert doubted.kinds() == moment.kinds() == ["migrate-domain"]
    assert outran(fleet()).with_specs(doubt="these may be older").kinds() == []


@pytest.mark.parametrize("strategy", ["Always", "RerunOnFailure"])
def test_what_was_shut_down_for_its_move_is_moved_and_started_though_the_controller_was_killed_in_between(
    strategy: str,
) -> None:
    moment = was_shut_down(fleet(runStrategy=strategy))

    assert moment.kinds("VirtualMachine/web") == ["migrate-domain"]
    assert moment.converged().domain("web", "h2").state == "running"


def test_what_was_shut_down_for_its_move_waits_a_moment_for_a_host_that_failed_once() -> None:
    rule = fleet(state="active").with_specs(vm(placement={"hosts": ["h2"]}), without=["VirtualMachine/web"])
    once = failed(was_shut_down(rule), 1)

    assert once.kinds("VirtualMachine/web") == []
    assert "backoff" in once.unmet()


def test_what_was_shut_down_for_its_move_is_started_where_it_is_if_no_host_takes_it_any_more() -> None:
    rule = fleet(state="active").with_specs(vm(placement={"hosts": ["h2"]}), without=["VirtualMachine/web"])
    twice = failed(was_shut_down(rule), 2)

    assert [(action.kind, action.host) for action in twice.plan().actions] == [("start-domain", "h1")]


def refused(of: Story, attempts: int) -> Story:
    """Libvirt refused to move it while it was off, to each host that there is."""
    actions = [of.action("migrate-domain")]
    found = {
        action.id.replace("@h2", f"@{name}"): Failure(
            action.id.replace("@h2", f"@{name}"), attempts, "unsupported", True, NOW + 600, action_inputs(action)
        )
        for action in actions
        for name in ("h2", "h3")
    }
    return of.with_ledger(failures=found)


def test_what_was_shut_down_for_a_move_that_is_refused_is_started_where_it_is_in_maintenance_or_not() -> None:
    moment = refused(was_shut_down(fleet()), 1)

    assert [(action.kind, action.host) for action in moment.plan().actions] == [("start-domain", "h1")]
    assert moment.unmet() == {}


def test_what_may_be_shut_down_for_maintenance_is_not_started_there() -> None:
    moment = refused(was_shut_down(fleet(placement={"onDrain": "shutdown"})), 1)

    assert moment.plan().empty


@pytest.mark.parametrize(("attempts", "after", "goes"), [(1, 601, True), (2, 601, False), (2, 1201, True)])
def test_a_guest_is_shut_down_again_for_a_move_that_is_refused_after_pauses_that_grow(
    attempts: int, after: float, goes: bool
) -> None:
    moment = replace(refused(outran(fleet()), attempts), now=NOW + after)

    assert ("stop-domain" in moment.kinds()) == goes
    assert moment.plan().held or goes


def without_network(of: Story) -> Story:
    """The one other host lacks the network of the VM, and is about to get it."""
    return of.with_host("h2", networks={})


def network_failed(of: Story) -> Story:
    action = of.action("define-network")
    failure = Failure(action.id, 1, "no such bridge", False, NOW + 60, action_inputs(action))
    return of.with_ledger(failures={failure.key: failure})


def network_under_way(of: Story) -> Story:
    return of.with_ledger(in_flight=frozenset({"Network/lan"}))


def acts(of: Story) -> list[tuple[str, str | None]]:
    return [(action.kind, action.host) for action in of.plan().actions]


def test_a_move_waits_for_what_its_vm_needs_there() -> None:
    there = without_network(was_shut_down(fleet(hosts=2)))

    assert acts(there) == [("define-network", "h2"), ("migrate-domain", "h2")]


def test_a_move_that_has_to_wait_has_its_vm_started_where_it_is() -> None:
    there = network_failed(without_network(was_shut_down(fleet(hosts=2))))

    assert acts(there) == [("start-domain", "h1")]


def test_a_move_that_waits_but_for_what_is_under_way_has_its_vm_wait_with_it() -> None:
    there = network_under_way(without_network(was_shut_down(fleet(hosts=2))))

    assert there.plan().empty


@pytest.mark.parametrize("waits", [network_failed, network_under_way])
def test_nobody_is_shut_down_for_a_move_that_has_to_wait(waits: Callable[[Story], Story]) -> None:
    there = without_network(outran(fleet(hosts=2)))
    assert "stop-domain" in there.kinds()

    assert waits(there).plan().empty


def test_no_host_that_is_held_is_moved_to() -> None:
    held = frozenset({"Host/h2", "Host/h3"})

    assert acts(was_shut_down(fleet()).with_ledger(paused=held)) == [("start-domain", "h1")]
    assert outran(fleet()).with_ledger(paused=held).plan().empty


def test_what_was_shut_down_is_started_where_it_is_while_others_leave_before_it() -> None:
    one = Policy(fleet=FLEET, migration=Rules(fallback="cold", parallel_per_source=1))
    there = replace(was_shut_down(fleet()), policy=one)
    other = Migration("db", NOW, replace(step_of(there), domain="db", uuid="other", begun=True), "drain")
    there = there.with_ledger(migrations={"db": other}, in_flight=frozenset({"VirtualMachine/db"}))

    assert acts(there) == [("start-domain", "h1")]
    assert "move-waits" in there.unmet()


@pytest.mark.parametrize(
    ("spec", "shared", "why"),
    [
        ({}, False, "its disk root is on h1 alone"),
        ({"firmware": "uefi"}, True, "UEFI variables"),
        ({"runStrategy": "Manual"}, True, "nothing would start it again"),
    ],
)
def test_what_would_lose_something_is_never_shut_down_for_a_move(
    spec: dict[str, object], shared: bool, why: str
) -> None:
    before = fleet(shared=shared, **spec)
    if spec.get("runStrategy") == "Manual":
        found = before.domain()
        before = before.with_domain(replace(found, state="running", live=found.config))

    live = before.action("migrate-domain")
    assert live.disruption == "migrate"
    moment = failed(outran(before), 1)
    others = {f"migrate-domain:VirtualMachine/web@{name}" for name in ("h2", "h3")}
    failure = next(iter(moment.ledger.failures.values()))
    moment = moment.with_ledger(failures={key: replace(failure, key=key) for key in others})
    assert moment.kinds("VirtualMachine/web") == []
    assert why in moment.unmet()["not-wanted-here"].detail


@pytest.mark.parametrize(
    ("policy", "age"), [(Policy(fleet=FLEET), 0.0), (COLD, 3601.0)], ids=["another-policy", "long-ago"]
)
def test_a_vm_is_moved_as_it_runs_where_that_was_not_asked_for_or_is_long_ago(policy: Policy, age: float) -> None:
    moment = outran(replace(fleet(), policy=policy), NOW - age)

    assert moment.kinds("VirtualMachine/web") == ["migrate-domain"]
    assert not step_of(moment).cold


def test_a_vm_that_is_off_for_another_reason_is_not_moved_for_a_rule_before_it_runs() -> None:
    rule = fleet(state="active").with_specs(vm(placement={"hosts": ["h2"]}), without=["VirtualMachine/web"])
    moment = outran(was_shut_down(rule), ran=True)

    assert moment.kinds("VirtualMachine/web") == ["start-domain"]


def test_a_cold_move_on_record_is_followed_under_its_own_name() -> None:
    moment = was_shut_down(fleet())
    on_record = moment.with_ledger(migrations={"web": Migration("web", NOW, step_of(moment), "drain")})

    action = on_record.action("migrate-domain")
    assert action.id == moment.action("migrate-domain").id
    assert step_of(on_record).begun


def to_a_silent_host(ago: float) -> Story:
    """It was off, and is on its way to h2, which has not answered since."""
    moment = was_shut_down(fleet())
    record = Migration("web", NOW - ago, step_of(moment), "drain")
    return moment.with_ledger(migrations={"web": record}).lost("h2")


def test_what_was_off_and_has_not_left_for_a_silent_host_waits_until_nobody_can_be_at_it_any_more() -> None:
    waiting = to_a_silent_host(ago=20)

    assert waiting.plan().empty
    assert "it has not left h1" in waiting.unmet()["host-lost"].detail


def test_what_was_off_and_has_not_left_for_a_silent_host_is_settled_after_a_while() -> None:
    assert [(action.kind, action.host) for action in to_a_silent_host(ago=200).plan().actions] == [
        ("migrate-domain", "h1")
    ]


@pytest.mark.parametrize("at_source", ["gone", "newer"])
def test_what_is_not_at_its_source_as_it_was_is_not_taken_to_have_stayed(at_source: str) -> None:
    moment = to_a_silent_host(ago=200)
    found = moment.domain()
    newer = replace(found, config=replace(found.config, mark=replace(found.config.mark, epoch=2)))  # type: ignore[type-var]
    moment = moment.lost("h1") if at_source == "gone" else moment.with_domain(newer)

    assert not [action for action in moment.plan().actions if action.host == "h1"]


def settled_as_stayed(of: Story, on: str = "h1") -> Story:
    """Its move to h2 was settled without h2, which is back by now and has got its definition."""
    known = of.ledger.placements["web"]
    here = of.domain(on=on)
    there = replace(here, state="shutoff", live=None)
    there = replace(there, config=replace(there.config, mark=replace(there.config.mark, epoch=2)))  # type: ignore[type-var]
    return of.with_ledger(placements={"web": replace(known, epoch=3, marked_epoch=1)}).with_domain(there, on="h2")


@pytest.mark.parametrize("state", ["off", "running"])
def test_what_came_to_a_target_that_was_silent_is_cleared_though_the_vm_has_no_new_mark_yet(state: str) -> None:
    moment = settled_as_stayed(was_shut_down(fleet()) if state == "off" else fleet())

    assert [(action.kind, action.host) for action in moment.plan().actions] == [("undefine-domain", "h2")]
    assert moment.applied().converged().ledger.placements["web"].epoch >= 3


def test_what_came_to_a_target_that_was_silent_is_never_started_while_its_source_is_silent() -> None:
    moment = settled_as_stayed(was_shut_down(fleet())).losing_sight_of("h1")

    assert moment.plan().empty


def test_a_plan_that_moves_the_definition_of_what_runs_is_refused() -> None:
    moment = outran(fleet())
    plan = moment.plan()
    alone = replace(plan, actions=tuple(a for a in plan.actions if a.kind == "migrate-domain"))

    broken = check(alone, moment.specs, moment.inventory, moment.ledger, moment.policy)

    assert any("is not off on h1" in words for words in broken), broken
