"""What `status` says, out of the same inputs as the plan: health apart from sync."""

from __future__ import annotations

from collections import defaultdict

from reconciler.model import identity
from reconciler.model.desired_state import DesiredState
from reconciler.model.host import Host
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.plan import Action, Plan, Unmet
from reconciler.model.policy import Policy
from reconciler.model.resource import ObjectRef
from reconciler.model.status import FleetStatus, HostStatus, ImageStatus, Sync, VmHealth, VmStatus
from reconciler.planner.ownership import Copy
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


def fleet_status(
    desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy, plan: Plan, now: float
) -> FleetStatus:
    """The state of everything in the specs at `now` (wall time), with what waits and why."""
    world = make_world(desired, inventory, ledger, policy, now)
    reasons: dict[ObjectRef, list[Unmet]] = defaultdict(list)
    for unmet in plan.unmet:
        reasons[unmet.target].append(unmet)
    actions: dict[ObjectRef, list[Action]] = defaultdict(list)
    for action in plan.actions:
        actions[action.target].append(action)
    leaving = {name for name in world.copies if name not in desired.vms}
    return FleetStatus(
        fleet=policy.fleet,
        generation=desired.generation,
        at=now,
        hosts=tuple(_host(world, desired.hosts[name]) for name in sorted(desired.hosts)),
        vms=tuple(
            _vm(world, name, actions[ObjectRef("VirtualMachine", name)], reasons[ObjectRef("VirtualMachine", name)])
            for name in sorted(desired.vms.keys() | leaving)
        ),
        images=tuple(_image(world, name, actions[ObjectRef("Image", name)]) for name in sorted(desired.images)),
        problems=_problems(world),
    )


def _problems(world: World) -> tuple[str, ...]:
    found = []
    if world.desired.removal_hold:
        found.append(f"nothing is removed: {world.desired.removal_hold}")
    if "fleet" in world.ledger.paused:
        found.append("the fleet is paused: nothing is changed (reconciler resume)")
    errors = sum(problem.severity == "error" for problem in world.desired.problems)
    if errors:
        mistakes = "mistake" if errors == 1 else "mistakes"
        found.append(f"the specs have {errors} {mistakes}; last good forms stand (reconciler validate)")
    return tuple(found)


def _host(world: World, host: Host) -> HostStatus:
    observed = world.inventory.hosts.get(host.name)
    if observed is None:
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
        memory_promised=sum((domain.live or domain.config).max_memory for domain in active),
        cpus=observed.facts.cpus,
        vcpus_promised=sum((domain.live or domain.config).vcpus for domain in active),
        vms=managed,
        unmanaged=len(observed.domains) - managed,
    )


def _vm(world: World, name: str, actions: list[Action], unmet: list[Unmet]) -> VmStatus:
    copies = world.copies.get(name, ())
    true_copy = max(copies, key=lambda c: (c.mark.epoch, c.domain.active)) if copies else None
    placement = world.ledger.placements.get(name)
    restart = any(u.reason == "restart-pending" for u in unmet)
    sync = _vm_sync(true_copy, actions, unmet)
    return VmStatus(
        name=name,
        host=true_copy.host if true_copy else placement.host if placement else None,
        health=_vm_health(true_copy, unmet),
        state=true_copy.domain.state if true_copy else "",
        sync=sync,
        restart_pending=restart,
        revision=true_copy.mark.generation if true_copy else "",
        since=placement.since if placement else None,
        message=_message(actions, unmet, in_specs=name in world.desired.vms),
        unmet=tuple(unmet),
    )


def _vm_health(copy: Copy | None, unmet: list[Unmet]) -> VmHealth:
    if any(u.reason == "guest-not-answering" for u in unmet):
        return "not-answering"
    if copy is not None:
        return _HEALTH.get(copy.domain.state, "unknown")
    unsure = {"host-unread", "fleet-not-seen"}
    return "unknown" if any(u.reason in unsure for u in unmet) else "missing"


def _vm_sync(copy: Copy | None, actions: list[Action], unmet: list[Unmet]) -> Sync:
    reasons = {u.reason for u in unmet if u.severity != "info"}
    if reasons & {"host-unread", "fleet-not-seen"}:
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
    return ", ".join(dict.fromkeys(action.detail for action in actions))


def _image(world: World, name: str, actions: list[Action]) -> ImageStatus:
    image = world.desired.images[name]
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
        message=error or ", ".join(action.detail for action in actions) or ("" if pools else "not used yet"),
    )


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
