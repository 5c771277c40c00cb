"""VMs return to the host that was emptied of them, if the policy says so, and once it takes VMs again."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.policy import Balance, Policy
from tests.support.fleets import FLEET, Spec, Story, host, vm
from tests.unit.planner.test_drain import failed, fleet, moves, running_on, settled

_BACK = Policy(fleet=FLEET, failback=True)


def drained(*vms: Spec, policy: Policy = _BACK, hosts: int = 2) -> Story:
    """h1 was emptied."""
    return settled(replace(fleet(*vms, hosts=hosts), policy=policy))


def active(emptied: Story, name: str = "h1", **spec: object) -> Story:
    return emptied.with_specs(host(name, **spec), without=[f"Host/{name}"])


def test_by_default_vms_stay_where_they_were_moved_to() -> None:
    assert active(drained(vm(), policy=Policy(fleet=FLEET))).plan().empty


def test_vms_stay_away_while_their_host_is_in_maintenance() -> None:
    assert drained(vm()).plan().empty


def test_vms_return_to_an_active_host_a_few_at_once_and_then_nothing_is_left_to_do() -> None:
    back = active(drained(*(vm(f"web-{number}", ha={"priority": number}) for number in range(1, 4))))
    first = back.plan().actions[0]

    assert sorted(moves(back)) == ["web-2", "web-3"]
    assert (first.why, first.detail) == ("failback", "move from h2: h1 takes VMs again")
    assert running_on(settled(back)) == {"h1": ["web-1", "web-2", "web-3"], "h2": []}


def test_a_vm_that_finds_no_room_there_any_more_stays() -> None:
    assert active(drained(vm(memory="8GiB")), reserved={"memory": "12GiB"}).plan().empty


def test_a_return_that_failed_is_told_while_it_waits_for_its_next_try() -> None:
    back = active(drained(vm()))
    failure = failed(back.action("migrate-domain"))

    waiting = back.with_ledger(failures={failure.key: failure}).plan()

    assert waiting.empty
    assert [(item.reason, item.severity) for item in waiting.unmet] == [("move-waits", "info")]
    assert waiting.unmet[0].detail.startswith("it is on h2, and returns to h1 later: ")


def test_a_vm_that_was_emptied_out_of_two_hosts_returns_to_the_first() -> None:
    twice = drained(vm(), hosts=3).with_specs(host("h2", state="maintenance"), without=["Host/h2"])

    back = active(active(settled(twice)), "h2")

    assert running_on(twice)["h2"] == ["web"]
    assert moves(back) == {"web": "h1"}


def test_a_vm_that_was_moved_for_another_reason_since_has_no_host_to_return_to() -> None:
    elsewhere = settled(drained(vm(), hosts=3).with_specs(vm(placement={"hosts": ["h3"]})))

    assert active(elsewhere).with_specs(vm()).plan().empty


def test_a_held_vm_does_not_return() -> None:
    held = active(drained(vm())).with_ledger(paused=frozenset({"VirtualMachine/web"}))

    assert moves(held) == {}


def test_balance_waits_until_all_have_returned() -> None:
    policy = Policy(fleet=FLEET, failback=True, balance=Balance(enabled=True))
    back = active(drained(*(vm(f"web-{number}", memory="3GiB") for number in range(4)), policy=policy))

    assert {action.why for action in back.plan().actions} == {"failback"}
