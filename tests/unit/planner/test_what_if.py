"""What would be if hosts died, and whether the fleet could bear it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.resource import ObjectRef
from reconciler.planner.failures import bound_vms
from reconciler.planner.what_if import if_down
from tests.support.fleets import GIB, POLICY, Story, host, pool, story, vm


def supposing(fleet: Story, *names: str) -> Story:
    inventory, ledger = if_down(fleet.specs, fleet.inventory, fleet.ledger, names, fleet.now)
    return replace(fleet, inventory=inventory, ledger=ledger)


def pinned(name: str, on: str, **spec: Any) -> Any:
    return vm(name, placement={"hosts": [on]}, **spec)


def running(**spec: Any) -> Story:
    """`web` runs on h1 of three hosts, on shared storage."""
    return story(vm(**spec), hosts=3, shared=True).converged()


def asked_to_bear(fleet: Story, number: int) -> Story:
    return replace(fleet, policy=POLICY.model_copy(update={"host_failures_to_tolerate": number}))


def risks(fleet: Story) -> list[str]:
    return [unmet.detail for unmet in fleet.plan().unmet if unmet.reason == "capacity-at-risk"]


# -- if hosts were down ------------------------------------------------------------------------------------------------


def test_the_plan_says_where_each_vm_would_go() -> None:
    define = supposing(running(), "h1").action("define-domain")

    assert (define.sign, define.why) == ("move", "host-lost")
    assert define.host in ("h2", "h3")


def test_nothing_of_the_real_inputs_is_changed() -> None:
    fleet = running()
    before = repr(fleet)

    supposing(fleet, "h1")

    assert repr(fleet) == before


def test_the_host_through_which_a_shared_pool_is_read_may_be_the_one() -> None:
    fleet = running()
    unread = fleet.inventory.hosts["h2"].pools["vms"]
    for name in ("h2", "h3"):
        fleet = fleet.with_pool(replace(unread, volumes=None), on=name)

    assert supposing(fleet, "h1").kinds("VirtualMachine/web") == ["define-domain", "start-domain"]


def test_a_vm_that_would_find_no_room_says_why_for_each_host() -> None:
    fleet = story(vm(memory="3GiB"), vm("other", memory="3GiB"), hosts=2, shared=True, memory=4 * GIB).converged()

    supposed = supposing(fleet, "h1")

    waiting = [unmet for unmet in supposed.plan().unmet if unmet.reason == "no-host-fits"]
    assert len(waiting) == 1
    assert "lacks " in dict(waiting[0].per_host)["h2"]


def test_several_hosts_may_be_down_at_once() -> None:
    fleet = supposing(running(), "h1", "h2")

    assert fleet.action("define-domain").host == "h3"


def test_a_host_that_really_is_lost_stays_as_it_is() -> None:
    fleet = story(pinned("web", "h1"), pinned("db", "h2"), hosts=4, shared=True).converged()
    fleet = fleet.with_specs(vm("web"), vm("db"), without=["VirtualMachine/web", "VirtualMachine/db"])

    supposed = supposing(fleet.lost("h2"), "h1")

    assert supposed.kinds("VirtualMachine/web") == ["define-domain", "start-domain"]
    assert supposed.kinds("VirtualMachine/db") == []


# -- failures that the policy asks to bear -----------------------------------------------------------------------------


def test_a_fleet_with_room_to_spare_bears_the_failure_of_any_host() -> None:
    assert risks(asked_to_bear(running(), 1)) == []


def test_without_a_policy_nothing_is_said() -> None:
    fleet = story(vm(memory="3GiB"), vm("other", memory="3GiB"), hosts=2, shared=True, memory=4 * GIB).converged()

    assert risks(fleet) == []


def test_hosts_whose_vms_would_find_no_room_are_named_with_these_vms() -> None:
    fleet = story(vm(memory="3GiB"), vm("other", memory="3GiB"), hosts=2, shared=True, memory=4 * GIB).converged()

    found = risks(asked_to_bear(fleet, 1))

    assert len(found) == 2
    assert all("would find no room" in text for text in found)
    assert any("(web)" in text for text in found)


def test_where_no_other_host_takes_vms_it_is_not_memory_that_is_missing() -> None:
    fleet = story(vm(), hosts=2, shared=True).converged()
    resting = fleet.with_specs(host("h2", state="maintenance"), without=["Host/h2"])

    unmet = asked_to_bear(resting, 1).unmet("Host/h1")["capacity-at-risk"]

    assert unmet.detail == "if h1 failed, no host would be left for 1 VM (web)"
    assert "memory" not in unmet.hint


def test_two_failures_at_once_may_be_too_many_where_one_is_not() -> None:
    machines = [vm(name, memory="2GiB") for name in ("a", "b", "c")]
    fleet = story(*machines, hosts=3, shared=True, memory=4 * GIB).converged()

    assert risks(asked_to_bear(fleet, 1)) == []
    assert len(risks(asked_to_bear(fleet, 2))) == 3


def test_a_vm_that_the_plan_is_about_to_place_counts_already() -> None:
    fleet = story(vm(memory="3GiB"), vm("other", memory="3GiB"), hosts=2, shared=True, memory=4 * GIB)
    ready = fleet.with_specs(without=["VirtualMachine/web", "VirtualMachine/other"]).converged()

    assert len(risks(asked_to_bear(ready.with_specs(vm(memory="3GiB"), vm("other", memory="3GiB")), 1))) == 2


def test_vms_that_would_wait_for_their_host_need_no_room() -> None:
    fleet = story(vm(memory="3GiB"), vm("other", memory="3GiB"), hosts=2, memory=4 * GIB).converged()

    assert risks(asked_to_bear(fleet, 1)) == []


def test_more_failures_than_there_are_hosts_can_not_be_borne() -> None:
    assert len(risks(asked_to_bear(running(), 9))) == 1


# -- by the specs alone ------------------------------------------------------------------------------------------------


def test_a_vm_that_may_run_on_one_host_only_can_not_bear_its_failure() -> None:
    specs = story(pinned("web", "h1"), vm("free"), hosts=3, shared=True).specs

    assert [(bound.vm, bound.hosts) for bound in bound_vms(specs, 1)] == [("web", ("h1",))]


def test_hosts_that_take_no_vms_and_pools_that_are_not_there_count() -> None:
    specs = story(
        vm(), host("h3", state="cordoned"), pool(shared=True, hosts={"names": ["h1", "h2", "h3"]}), hosts=4
    ).specs

    assert list(bound_vms(specs, 1)) == []
    assert [bound.hosts for bound in bound_vms(specs, 2)] == [("h1", "h2")]


def test_a_host_whose_spec_has_a_mistake_might_be_the_one_that_is_missing() -> None:
    fleet = story(pinned("web", "h1"), hosts=3, shared=True)
    mistake = SpecProblem(SourceRef("hosts.yaml", 3), "S020", "Host/h2", "spec.uri", "the scheme is missing")

    specs = fleet.with_specs(without=["Host/h2"], unusable={ObjectRef("Host", "h2"): mistake}).specs

    assert list(bound_vms(specs, 1)) == []


def test_vms_without_ha_are_bound_by_choice() -> None:
    specs = story(pinned("web", "h1", ha={"enabled": False}), hosts=3, shared=True).specs

    assert list(bound_vms(specs, 1)) == []
