"""Laws of the planner that hold for every fleet."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.desired_state import DesiredState
from reconciler.model.identity import disk_volume, parse_disk_volume
from reconciler.model.inventory import ObservedDomain
from reconciler.model.plan import Plan
from reconciler.model.steps import DefineDomain, FenceHost, MigrateDomain, StartDomain
from reconciler.planner.planner import plan as make_plan
from reconciler.planner.vm_diff import diff
from reconciler.planner.vm_domain import PoolOnHost, desired_domain
from tests.support.fleets import FLEET, POLICY, Story, observed
from tests.support.random_fleets import (
    HOSTS,
    changed_specs,
    in_trouble,
    meddled,
    new_fleets,
    on_their_way,
    shuffled,
    specs,
)

pytestmark = pytest.mark.no_cover  # a tracer makes it twice as long, and adds next to no line

_LAW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def running_copies(fleet: Story) -> dict[str, list[str]]:
    """Hosts on which each of our VMs runs, by UUID."""
    found: dict[str, list[str]] = {}
    for host in fleet.inventory.hosts.values():
        for domain in host.domains.values():
            if domain.active:
                found.setdefault(domain.uuid, []).append(host.name)
    return found


def says_the_same(one: Plan, other: Plan) -> bool:
    return repr(one) == repr(other)


@given(st.data())
@_LAW
def test_the_same_facts_in_any_order_give_the_same_plan(data: st.DataObject) -> None:
    fleet = data.draw(meddled(data.draw(new_fleets()).applied()))
    mixed = data.draw(st.composite(shuffled)(fleet))

    assert says_the_same(mixed.plan(), fleet.plan())


@given(new_fleets())
@_LAW
def test_a_new_fleet_converges_and_then_its_plan_is_empty(fleet: Story) -> None:
    converged = fleet.converged()

    assert converged.plan().empty
    assert all(len(hosts) == 1 for hosts in running_copies(converged).values())


@given(st.data())
@_LAW
def test_after_any_change_of_the_specs_the_plan_is_empty_again(data: st.DataObject) -> None:
    before = data.draw(new_fleets()).converged()

    after = data.draw(changed_specs(before)).converged(10)

    assert after.plan().empty
    assert all(len(hosts) == 1 for hosts in running_copies(after).values())


@given(st.data())
@_LAW
def test_after_any_meddling_the_plan_is_empty_again_and_no_vm_runs_twice(data: st.DataObject) -> None:
    meddled_with = data.draw(meddled(data.draw(new_fleets()).converged()))

    after = meddled_with.converged(10)

    assert after.plan().empty
    assert all(len(hosts) == 1 for hosts in running_copies(after).values())


@given(st.data())
@_LAW
def test_whatever_is_out_of_sight_no_vm_comes_to_run_twice(data: st.DataObject) -> None:
    whole = data.draw(meddled(data.draw(new_fleets()).converged()))
    hidden = data.draw(st.sets(st.sampled_from(HOSTS)))
    changed = data.draw(st.one_of(st.just(whole), changed_specs(whole)))

    after = changed.losing_sight_of(*hidden).converged(10)

    for name in hidden:
        after = after.with_host(name, domains=whole.inventory.hosts[name].domains)
    assert all(len(hosts) == 1 for hosts in running_copies(after).values())


@given(st.data())
@_LAW
def test_no_disk_that_was_finished_is_deleted_unless_its_vm_asked_for_it(data: st.DataObject) -> None:
    before = data.draw(meddled(data.draw(new_fleets()).converged()))
    after = data.draw(changed_specs(before)).converged(10)

    asked = {
        domain.config.mark.vm
        for host in before.inventory.hosts.values()
        for domain in host.domains.values()
        if domain.config.mark is not None and domain.config.mark.deletion_policy == "delete"
    }
    for name in before.inventory.hosts:
        for pool in before.inventory.hosts[name].pools.values():
            kept = after.inventory.hosts[name].pools[pool.name].volumes or {}
            for volume in pool.volumes or {}:
                disk = parse_disk_volume(FLEET, volume)
                assert disk is None or disk.vm in asked or volume in kept, volume


@given(specs())
@_LAW
def test_a_domain_defined_as_wanted_shows_no_difference(wanted: DesiredState) -> None:
    for vm in wanted.vms.values():
        for host in wanted.hosts.values():
            pools = {disk.pool: PoolOnHost(f"/srv/{disk.pool}", block=False) for disk in vm.spec.disks}
            volumes = {disk.name: disk_volume(FLEET, vm.name, disk.name, disk.format) for disk in vm.spec.disks}
            config = desired_domain(FLEET, vm, host, pools, volumes=volumes)
            seen = observed(config)
            again = desired_domain(FLEET, vm, host, pools, volumes=volumes, observed=seen.config)
            assert diff(again, seen.config) == ()
            assert seen.live is not None
            assert diff(again, seen.live) == ()


@given(new_fleets())
@_LAW
def test_planning_changes_none_of_its_inputs(fleet: Story) -> None:
    inputs = (fleet.specs, fleet.inventory, fleet.ledger)
    before = repr(inputs)

    make_plan(*inputs, POLICY, fleet.now)

    assert repr(inputs) == before


def proven_dead(fleet: Story, host: str) -> bool:
    incident, proof = fleet.ledger.incidents.get(host), fleet.ledger.proofs.get(host)
    return incident is not None and proof is not None and proof.incident == incident.id and not fleet.ledger.quiet


@given(st.data())
@_LAW
def test_whatever_is_on_record_of_hosts_no_vm_is_started_elsewhere_without_proof(data: st.DataObject) -> None:
    before = data.draw(meddled(data.draw(new_fleets()).converged()))
    fleet = data.draw(in_trouble(before))

    plan = fleet.plan()

    for action in plan.actions:
        if isinstance(action.step, DefineDomain | StartDomain):
            placement = fleet.ledger.placements.get(action.target.name)
            moved = placement is not None and placement.host != action.host
            if placement is not None and moved and placement.host not in fleet.inventory.hosts:
                assert proven_dead(fleet, placement.host), action.id


@given(st.data())
@_LAW
def test_what_is_on_its_way_is_followed_and_never_run_anew_while_it_may_be_at_either_host(data: st.DataObject) -> None:
    fleet = data.draw(in_trouble(data.draw(on_their_way(data.draw(new_fleets()).converged()))))

    for action in fleet.plan().actions:
        move = fleet.ledger.migrations.get(action.target.name)
        if move is None or action.target.kind != "VirtualMachine":
            continue
        if isinstance(action.step, DefineDomain | StartDomain):
            assert proven_dead(fleet, move.source), action.id
            assert move.target in fleet.inventory.hosts or proven_dead(fleet, move.target), action.id
        elif isinstance(action.step, MigrateDomain):
            assert action.step.begun, action.id
        else:
            assert action.kind in ("create-volume", "write-seed", "delete-volume"), action.id


@given(st.data())
@_LAW
def test_whatever_is_on_record_of_hosts_at_most_one_is_fenced_and_none_that_answers(data: st.DataObject) -> None:
    fleet = data.draw(in_trouble(data.draw(new_fleets()).converged()))

    fenced = [action.step.host for action in fleet.plan().actions if isinstance(action.step, FenceHost)]

    assert len(fenced) <= 1
    assert not set(fenced) & fleet.inventory.hosts.keys()


@given(st.data())
@_LAW
def test_a_fleet_that_lost_hosts_for_certain_converges_with_every_vm_once(data: st.DataObject) -> None:
    before = data.draw(new_fleets()).converged()
    names = data.draw(st.sets(st.sampled_from(sorted(before.specs.hosts))))

    after = before.lost(*names).proven(*names).converged(10)
    back = after.returned(before, *names).converged(10).over(*names).converged(10)

    assert all(len(hosts) == 1 for hosts in running_copies(after).values())
    assert all(len(hosts) == 1 for hosts in running_copies(back).values())
    assert back.plan().empty


@given(st.data())
@_LAW
def test_a_vm_that_is_removed_and_put_back_is_as_it_was_with_the_same_disks(data: st.DataObject) -> None:
    before = data.draw(new_fleets()).converged()
    kept = sorted(name for name, vm in before.specs.vms.items() if vm.spec.deletion_policy == "retain")
    homes = {name: host for host in before.inventory.hosts for name in before.inventory.hosts[host].domains}
    name = data.draw(st.sampled_from([name for name in kept if name in homes] or [""]))
    if not name:
        return
    gone = before.with_specs(without=[f"VirtualMachine/{name}"]).converged()

    back = gone.with_specs(before.specs.vms[name]).converged()

    old, new = before.domain(name, homes[name]), _domain(back, name)
    if new is None:  # others have taken its room: it waits, and its disks do too
        assert any(unmet.target.name == name for unmet in back.plan().unmet)
        assert _volumes_of(back, name) >= _disks_of(before, name)
        return
    assert (old.uuid, old.config.nics) == (new.uuid, new.config.nics)
    assert [disk.path for disk in old.config.disks] == [disk.path for disk in new.config.disks]
    assert _volumes_of(back, name) == _volumes_of(before, name)
    assert not any(stone.vm == name for stone in back.ledger.tombstones)


def _domain(fleet: Story, name: str) -> ObservedDomain | None:
    return next((host.domains[name] for host in fleet.inventory.hosts.values() if name in host.domains), None)


def _disks_of(fleet: Story, vm: str) -> set[tuple[str, str, str]]:
    return {volume for volume in _volumes_of(fleet, vm) if not volume[2].endswith(".iso")}


def _volumes_of(fleet: Story, vm: str) -> set[tuple[str, str, str]]:
    pools = [(host.name, pool) for host in fleet.inventory.hosts.values() for pool in host.pools.values()]
    return {(host, pool.name, name) for host, pool in pools for name in pool.volumes or () if f".{vm}." in name}
