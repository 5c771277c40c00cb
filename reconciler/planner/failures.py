"""Whether every HA VM would find room, should as many hosts fail at once as the policy asks the fleet to bear."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations, islice
from math import comb
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DefineDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.fencing import would_be_recovered
from reconciler.planner.lost_hosts import unfit_for_new_vms
from reconciler.planner.placement import Room, reject
from reconciler.planner.world import World

MOST_SETS: Final = 200
"""Sets of hosts that are looked at; of more, those of the hosts with the most to lose."""
_SHOWN: Final = 5
_NAMED: Final = 8
_MORE_ROOM: Final = "add a host or memory, lower the VMs' memory, or hostFailuresToTolerate"
_MORE_HOSTS: Final = (
    "mend hosts that are lost, make those active that take no VMs, add one, or lower hostFailuresToTolerate"
)


class Loss(Struct, frozen=True):
    """Hosts that may not fail together, and the VMs that would find no room then."""

    hosts: tuple[str, ...]
    vms: tuple[str, ...]


def report_risks(world: World, facilities: Facilities, rooms: Mapping[str, Room], draft: Draft) -> None:
    """Say which hosts the fleet could not lose, worst first; nothing where the policy asks for nothing.

    `rooms` are what is left on each host once the plan is carried out.
    """
    number = world.policy.host_failures_to_tolerate
    if not number:
        return
    losses = sorted(losses_of(world, facilities, rooms, draft, number), key=lambda loss: (-len(loss.vms), loss.hosts))
    left_out = f"; so it is in {len(losses) - _SHOWN} more cases" if len(losses) > _SHOWN else ""
    for loss in losses[:_SHOWN]:
        lost, vms = " and ".join(loss.hosts), _words(loss.vms)
        if _others_that_take_vms(world, loss.hosts):
            detail, hint = f"if {lost} failed, {vms} would find no room", _MORE_ROOM
        else:
            detail, hint = f"if {lost} failed, no host would be left for {vms}", _MORE_HOSTS
        draft.wait(
            ObjectRef("Host", loss.hosts[0]),
            "capacity-at-risk",
            f"{detail}{left_out}",
            severity="info",
            host=loss.hosts[0],
            hint=hint,
        )


def _others_that_take_vms(world: World, lost: Collection[str]) -> list[str]:
    """Hosts besides `lost` that answer and take new VMs."""
    return [
        name
        for name in world.inventory.hosts
        if name not in lost
        and world.desired.hosts[name].spec.state == "active"
        and not unfit_for_new_vms(world.ledger, name)
    ]


def losses_of(
    world: World, facilities: Facilities, rooms: Mapping[str, Room], draft: Draft, number: int
) -> Iterator[Loss]:
    """Every set of `number` hosts whose VMs would not all find room.

    VMs are put where there is the most memory, the most important first: one that finds no room so might with luck be
    packed otherwise, and a fleet as full as that is told of all the same.
    """
    there = _by_host(world, draft)
    weight = {name: sum(vm.spec.memory for vm in there.get(name, ())) for name in rooms}
    hosts = sorted(rooms, key=lambda name: (-weight[name], name))
    number = min(number, len(hosts))
    while comb(len(hosts), number) > MOST_SETS and len(hosts) > number:
        hosts.pop()
    for lost in islice(combinations(sorted(hosts), number), MOST_SETS):
        homeless = tuple(_homeless(world, facilities, rooms, there, lost))
        if homeless:
            yield Loss(lost, homeless)


def _by_host(world: World, draft: Draft) -> dict[str, list[VirtualMachine]]:
    """VMs that would have to find room elsewhere, by the host that they are on once the plan is carried out."""
    where = {name: copies[0].host for name, copies in world.copies.items()}
    for action in draft.actions.values():
        if isinstance(action.step, DefineDomain) and action.host is not None:
            where[action.target.name] = action.host
    found: dict[str, list[VirtualMachine]] = {}
    for name in sorted(where):
        vm = world.desired.vms.get(name)
        if vm is not None and would_be_recovered(world, vm):
            found.setdefault(where[name], []).append(vm)
    return found


def _homeless(
    world: World,
    facilities: Facilities,
    rooms: Mapping[str, Room],
    there: Mapping[str, list[VirtualMachine]],
    lost: Collection[str],
) -> Iterator[str]:
    left = {
        name: replace(room, labels_there=list(room.labels_there)) for name, room in rooms.items() if name not in lost
    }
    order = sorted(left, key=lambda name: (-left[name].memory_free, name))
    victims = [vm for name in lost for vm in there.get(name, ())]
    for vm in sorted(victims, key=lambda vm: (-vm.spec.ha.priority, -vm.spec.memory_ceiling, vm.name)):
        home = next((name for name in order if not reject(world, facilities, vm, left[name])), None)
        if home is None:
            yield vm.name
        else:
            left[home].take(vm)


def _words(vms: tuple[str, ...]) -> str:
    shown = ", ".join(vms[:_NAMED]) + (f" and {len(vms) - _NAMED} more" if len(vms) > _NAMED else "")
    return f"{len(vms)} VM{'s' if len(vms) > 1 else ''} ({shown})"


# -- by the specs alone ------------------------------------------------------------------------------------------------


class Bound(Struct, frozen=True):
    """An HA VM that has too few hosts to bear `number` failures, whatever room they have."""

    vm: str
    hosts: tuple[str, ...]
    """All hosts that it may run on."""


def bound_vms(desired: DesiredState, number: int) -> Iterator[Bound]:
    """HA VMs that some `number` hosts failing together would leave without any host; no host is looked at.

    What only the hosts know, such as their memory, is for the plan. A Host whose spec can't be used might be the one.
    """
    if not number or any(ref.kind == "Host" for ref in desired.unusable):
        return
    for name, vm in sorted(desired.vms.items()):
        local = any((pool := desired.pools.get(disk.pool)) is None or not pool.spec.shared for disk in vm.spec.disks)
        wanted = vm.spec.ha.enabled and vm.spec.run_strategy in ("Always", "RerunOnFailure")
        if not wanted or (local and vm.spec.ha.on_host_loss == "wait"):
            continue
        hosts = tuple(host for host in sorted(desired.hosts) if _may_run(desired, vm, host))
        if len(hosts) <= number:
            yield Bound(name, hosts)


def _may_run(desired: DesiredState, vm: VirtualMachine, host: str) -> bool:
    spec, labels, placement = desired.hosts[host].spec, desired.hosts[host].metadata.labels, vm.spec.placement
    pools = [desired.pools.get(disk.pool) for disk in vm.spec.disks]
    networks = [desired.networks.get(nic.network) for nic in vm.spec.networks if nic.network is not None]
    return (
        spec.state == "active"
        and (not placement.hosts or host in placement.hosts)
        and all(labels.get(key) == value for key, value in placement.node_selector.items())
        and all(found is not None and found.spec.hosts.matches(host, labels) for found in (*pools, *networks))
    )
