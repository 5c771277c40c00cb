"""What `status` says, out of the same inputs as the plan: health apart from sync."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from msgspec.structs import replace

from reconciler.model import identity
from reconciler.model.desired_state import DesiredState
from reconciler.model.host import Host
from reconciler.model.inventory import HostInventory, Inventory
from reconciler.model.ledger import LedgerView, Placement
from reconciler.model.next_command import ACCEPT_SPECS
from reconciler.model.plan import UNSEEN, Action, Plan, Unmet
from reconciler.model.policy import Policy
from reconciler.model.quantities import format_duration
from reconciler.model.resource import ObjectRef
from reconciler.model.status import FleetStatus, HostStatus, ImageStatus, Sync, VmHealth, VmStatus
from reconciler.model.steps import StopDomain
from reconciler.planner.drain_status import NONE_THERE, drain_of, drain_words, is_out_of_service
from reconciler.planner.facility_status import facilities
from reconciler.planner.fencing import doubt_about_devices
from reconciler.planner.host_health import SLOW
from reconciler.planner.image_status import captured_image
from reconciler.planner.on_its_way import words
from reconciler.planner.ownership import Copy
from reconciler.planner.placement import vcpus_to_give
from reconciler.planner.tombstone_status import tombstones
from reconciler.planner.world import World, make_world

_HEALTH: dict[str, VmHealth] = {
    "running": "running",
    "blocked": "running",
    "paused": "paused",
    "pmsuspended": "paused",
    "shutdown": "stopped",
    "shutoff": "stopped",
    "crashed": "crashed",
}

_WITHOUT_A_FAILURE: Final = {"destroyed": "forced off by somebody", "shutdown": "shut down"}
"""libvirt's reasons of being off after which nobody wants it to run again."""


def fleet_status(
    desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy, plan: Plan, now: float
) -> FleetStatus:
    """The state of everything in the specs at `now` (wall time), with what waits and why."""
    return status_of(make_world(desired, inventory, ledger, policy, now), plan)


def status_of(world: World, plan: Plan) -> FleetStatus:
    """As `fleet_status`, of inputs that are indexed already."""
    desired = world.desired
    reasons: dict[ObjectRef, list[Unmet]] = defaultdict(list)
    for unmet in plan.unmet:
        reasons[unmet.target].append(unmet)
    actions: dict[ObjectRef, list[Action]] = defaultdict(list)
    for action in plan.actions:
        actions[action.target].append(action)
    leaving = {name for name in world.copies if name not in desired.vms}
    pools, networks = facilities(world, actions, reasons)
    return FleetStatus(
        fleet=world.fleet,
        generation=desired.generation,
        at=world.now,
        hosts=tuple(_host(world, desired.hosts[name], plan) for name in sorted(desired.hosts)),
        vms=tuple(
            _vm(world, name, actions[ObjectRef("VirtualMachine", name)], reasons[ObjectRef("VirtualMachine", name)])
            for name in sorted(desired.vms.keys() | leaving)
        ),
        images=tuple(
            _image(world, name, actions[ObjectRef("Image", name)], reasons[ObjectRef("Image", name)])
            for name in sorted(desired.images)
        ),
        problems=_problems(world),
        is_held="fleet" in world.ledger.paused,
        pools=pools,
        networks=networks,
        tombstones=tombstones(world),
    )


def _problems(world: World) -> tuple[str, ...]:
    found = []
    if world.desired.doubt:
        found.append(f"the fleet is only kept running: {world.desired.doubt} (if these are right: {ACCEPT_SPECS})")
    elif world.desired.removal_hold:
        found.append(f"nothing is removed: {world.desired.removal_hold}")
    if "fleet" in world.ledger.paused:
        found.append("the fleet is paused: nothing is changed, and nobody is fenced (reconciler resume)")
    found += (f"{held} is held, and is in no spec and on no host (reconciler resume {held})" for held in _idle(world))
    found += (
        f"{told} (then: reconciler resume VirtualMachine/{name})"
        for name, told in sorted(world.ledger.ran_twice.items())
        if name in world.desired.vms
    )
    errors = world.desired.errors
    if errors:
        mistakes = "mistake" if len(errors) == 1 else "mistakes"
        shown_by = "plan" if all(error.needs_images for error in errors) else "validate"
        found.append(f"the specs have {len(errors)} {mistakes}; last good forms stand (reconciler {shown_by})")
    return tuple(found)


def _idle(world: World) -> list[str]:
    """What is held and is nothing that is known: a slip of the pen, or long gone. What can't be read may hide it."""
    desired = world.desired
    if desired.removal_hold:
        return []
    known = {str(ref) for ref in (*desired.sources, *desired.unusable)} | {"fleet"}
    known |= {f"Host/{name}" for name in desired.hosts} | {f"Image/{name}" for name in desired.images}
    known |= {f"StoragePool/{name}" for name in desired.pools} | {f"Network/{name}" for name in desired.networks}
    known |= {f"VirtualMachine/{name}" for name in (*desired.vms, *world.copies, *world.ledger.placements)}
    return sorted(world.ledger.paused - known)


def _host(world: World, host: Host, plan: Plan) -> HostStatus:
    status, ref = _as_judged(world, host), ObjectRef("Host", host.name)
    is_held = world.is_paused(ref)
    doubt = doubt_about_devices(world, host) if host.spec.fencing else ""
    # Of a fleet that is paused as a whole that is said once.
    drain = drain_of(world, host, plan)
    told = (
        status.message,
        "" if drain is None else drain_words(drain),
        NONE_THERE if is_out_of_service(world, host) else "",
        "held" if is_held and "fleet" not in world.ledger.paused else "",
        doubt,
    )
    return replace(
        status,
        is_held=is_held,
        drain=drain,
        is_out_of_service=is_out_of_service(world, host),
        armed=not doubt if host.spec.fencing else None,
        message="; ".join(part for part in told if part),
    )


def _as_judged(world: World, host: Host) -> HostStatus:
    observed = world.inventory.hosts.get(host.name)
    status = _unread_host(world, host) if observed is None else _read_host(world, host, observed)
    verdict, incident = world.ledger.health.get(host.name), world.ledger.incidents.get(host.name)
    if incident is not None:
        status = replace(status, incident=incident.id, is_proven=host.name in world.ledger.proofs)
    is_slow = verdict is not None and verdict.rule == SLOW
    if verdict is None or (not is_slow and verdict.state == ("online" if observed is None else "unknown")):
        return status  # the controller's word is older than what was just seen
    is_fine = verdict.state == "online" and verdict.rule == "answers"
    return replace(
        status,
        health="degraded" if is_slow else verdict.state,
        since=verdict.since,
        rule=verdict.rule,
        message="" if is_fine else verdict.sentence,
        observed_at=verdict.last_seen if observed is None else status.observed_at,
    )


def _unread_host(world: World, host: Host) -> HostStatus:
    unread = world.inventory.unread.get(host.name)
    return HostStatus(
        name=host.name,
        health="unreachable" if unread else "unknown",
        state=host.spec.state,
        message=unread.error if unread else "not read yet",
        observed_at=unread.last_seen if unread else None,
        memory_total=None,
        memory_promised=None,
        cpus=None,
        vcpus_promised=None,
        vms=None,
        unmanaged=None,
    )


def _read_host(world: World, host: Host, observed: HostInventory) -> HostStatus:
    active = [domain for domain in observed.domains.values() if domain.active]
    managed = sum(
        1
        for domain in observed.domains.values()
        if domain.config.mark is not None and domain.config.mark.fleet == world.fleet
    )
    return HostStatus(
        name=host.name,
        health="online",
        state=host.spec.state,
        message="",
        observed_at=observed.observed_at,
        memory_total=observed.facts.memory,
        memory_promised=sum(domain.running_config.max_memory for domain in active),
        cpus=observed.facts.cpus,
        vcpus_promised=sum(domain.running_config.vcpus for domain in active),
        vms=managed,
        vcpus_allowed=int(vcpus_to_give(host, observed)),
        unmanaged=len(observed.domains) - managed,
    )


def _vm(world: World, name: str, actions: list[Action], unmet: list[Unmet]) -> VmStatus:
    placement = world.ledger.placements.get(name)
    true_copy = _true_copy(world.copies.get(name, ()), placement, world.unread)
    is_out_of_sight = true_copy is None and placement is not None and placement.host in world.unread
    restart = any(u.reason == "restart-pending" for u in unmet)
    sync = _vm_sync(true_copy, actions, unmet)
    health = "unknown" if is_out_of_sight else _vm_health(true_copy, unmet)
    state = "unknown" if health == "unknown" else ""
    is_held = world.is_paused(ObjectRef("VirtualMachine", name))
    has_to_be_told = is_held and "fleet" not in world.ledger.paused and all(u.reason != "paused" for u in unmet)
    message = _message(actions, unmet, in_specs=name in world.desired.vms) or _why_it_stays_off(world, name, true_copy)
    move = world.ledger.migrations.get(name)
    message = message if move is None or unmet else words(move)
    return VmStatus(
        name=name,
        host=true_copy.host if true_copy else placement.host if placement else None,
        health=health,
        state=true_copy.domain.state if true_copy else state,
        sync=sync,
        restart_pending=restart,
        revision=true_copy.mark.generation if true_copy else "",
        since=placement.since if placement else None,
        message="; ".join(part for part in ("held" if has_to_be_told else "", message) if part),
        unmet=tuple(unmet),
        is_held=is_held,
        migration=move,
    )


def _true_copy(copies: tuple[Copy, ...], placement: Placement | None, unread: tuple[str, ...]) -> Copy | None:
    """The copy in sight that counts; none where the true one is on a host out of sight, and only old ones are here."""
    placed_on, epoch = (placement.host, placement.epoch) if placement is not None else ("", 0)

    def weight(copy: Copy) -> tuple[bool, bool, int, bool]:
        runs = copy.domain.active
        return (runs and copy.mark.epoch >= epoch, copy.host == placed_on, copy.mark.epoch, runs)

    copy = max(copies, key=weight, default=None)
    if copy is None or placement is None or copy.host == placement.host or placement.host not in unread:
        return copy
    return None if copy.mark.epoch < placement.epoch else copy


def _vm_health(copy: Copy | None, unmet: list[Unmet]) -> VmHealth:
    if any(u.reason == "guest-not-answering" for u in unmet):
        return "not-answering"
    if copy is not None:
        return "crashed" if copy.domain.is_broken else _HEALTH.get(copy.domain.state, "unknown")
    return "unknown" if any(u.reason in UNSEEN for u in unmet) else "missing"


def _vm_sync(copy: Copy | None, actions: list[Action], unmet: list[Unmet]) -> Sync:
    reasons = {u.reason for u in unmet if u.severity != "info"}
    if reasons & UNSEEN:
        return "unknown"
    if any(u.severity == "blocked" for u in unmet):
        return "blocked"
    if actions or copy is None or reasons - {"restart-pending"}:
        return "out-of-sync"
    return "restart-pending" if reasons else "in-sync"


def _message(actions: list[Action], unmet: list[Unmet], *, in_specs: bool) -> str:
    if unmet:
        worst = min(unmet, key=lambda u: ("blocked", "waiting", "info").index(u.severity))
        return worst.detail
    if not in_specs and actions:
        return "left the specs; will be removed"
    return ", ".join(dict.fromkeys(_still_to_do(action) for action in actions))


def _still_to_do(action: Action) -> str:
    """The action as something that is not over: a guest takes its time to shut down."""
    if isinstance(action.step, StopDomain) and action.step.timeout > 0:
        return f"{action.detail}: asked to, and forced off after {format_duration(action.step.timeout)}"
    return action.detail


def _why_it_stays_off(world: World, name: str, copy: Copy | None) -> str:
    vm = world.desired.vms.get(name)
    if vm is None or copy is None or copy.domain.active or vm.spec.run_strategy != "RerunOnFailure":
        return ""
    how = _WITHOUT_A_FAILURE.get(copy.domain.reason, "off")
    return f"{how}; RerunOnFailure starts it again only after a failure"


def _image(world: World, name: str, actions: list[Action], unmet: list[Unmet]) -> ImageStatus:
    image = world.desired.images[name]
    if image.spec.is_captured:
        return captured_image(world, name, actions, unmet)
    facts = world.inventory.images.get(name)
    digest = image.spec.checksum or (facts.digest if facts else None)
    pools = _pools_with(world, identity.base_volume(world.fleet, digest, image.spec.format)) if digest else ()
    error = facts.error if facts else None
    sync: Sync = "blocked" if error else "out-of-sync" if actions else "in-sync"
    return ImageStatus(
        name=name,
        sync=sync,
        digest=digest,
        virtual_size=facts.virtual_size if facts else None,
        pools=pools,
        message=error or ", ".join(action.detail for action in actions) or ("" if pools else _why_nowhere(world, name)),
        drill=world.ledger.drills.get(name),
    )


def _why_nowhere(world: World, image: str) -> str:
    """Why no pool is known to hold the image: what can't be read may hold it."""
    pools = {disk.pool for vm in world.desired.vms.values() for disk in vm.spec.disks if disk.image == image}
    hosts = [host for pool in pools for host in world.desired.hosts if world.pool_serves(pool, host)]
    observed = [world.observed_pool(pool, host) for pool in pools for host in world.pool_hosts.get(pool, ())]
    can_all_be_read = len(observed) == len(hosts) and all(seen and seen.volumes is not None for seen in observed)
    return "not used yet" if can_all_be_read else "not in any pool that can be read"


def _pools_with(world: World, base: str) -> tuple[str, ...]:
    marker = identity.base_marker(base)
    found = []
    for pool in sorted(world.desired.pools):
        for host in world.pool_hosts.get(pool, ()):
            observed = world.inventory.hosts[host].pools.get(pool)
            if observed is not None and observed.volumes and marker in observed.volumes:
                found.append(pool)
                break
    return tuple(found)
