"""What has to be true on the host just before acting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.errors import HostError, ObjectConflict, ObjectNotFound
from reconciler.executor.context import ActionContext
from reconciler.hypervisor.interface import Hypervisor
from reconciler.ledger.counting import instant_of
from reconciler.model.domain import ACTIVE_STATES, DomainConfig
from reconciler.model.identity import effective_uuid, version_volume_stamp, vm_uuid, volume_prefix
from reconciler.model.inventory import HostInventory, ObservedDomain, ObservedVolume
from reconciler.model.spoken_time import utc
from reconciler.model.steps import DeleteVolume

POOL_PATIENCE: Final = 600.0
"""Seconds that a full copy of a large base may keep a pool busy; a finished upload must not be lost for it."""
_LIFE_SIGN: Final = 0.3
"""Seconds that a host which is proven dead is given to show that it lives after all."""


def why_too_late(context: ActionContext) -> str:
    """That the window of what is to begin is over by now, as it waited for others; empty where it may begin."""
    until = context.action.until
    if until is None or context.clock.now() < until:
        return ""
    return f"the time in which it may begin ended at {utc(until)}; it waits for the next one"


def find_volume(context: ActionContext, host: Hypervisor, pool: str, volume: str) -> ObservedVolume | None:
    """The volume; None if the pool surely has none of that name, which libvirt can't tell during a full copy."""
    return context.patiently(lambda: host.volume(pool, volume), POOL_PATIENCE)


def find_domain(host: Hypervisor, uuid: str) -> ObservedDomain | None:
    """The domain, read afresh; None if the host surely has none of that UUID."""
    try:
        return host.domain(uuid)
    except ObjectNotFound:
        return None


def own_domain(context: ActionContext, host: Hypervisor, name: str, uuid: str) -> ObservedDomain:
    """The domain, read afresh; raises PreconditionFailed if it is gone, ObjectConflict if it isn't this fleet's."""
    domain = find_domain(host, uuid)
    if domain is None:
        raise context.refuse(f"domain {name} is gone")
    check_ownership(context, domain)
    return domain


def check_ownership(context: ActionContext, domain: ObservedDomain) -> None:
    """Raise ObjectConflict if the domain doesn't carry this fleet's mark, PreconditionFailed for that of another VM."""
    mark, target = domain.config.mark, context.action.target
    if mark is None or mark.fleet != context.fleet_name:
        owner = f"belongs to fleet {mark.fleet}" if mark else "carries no ownership mark"
        raise ObjectConflict(
            f"domain {domain.name} {owner}, so it is left alone",
            host=context.action.host or "",
            target=str(context.action.target),
            hint=f"rename or remove that domain, or take {context.action.target} out of the specs",
        )
    if target.kind == "VirtualMachine" and mark.vm != target.name:
        raise context.refuse(f"domain {domain.name} is VirtualMachine/{mark.vm} by now")


def check_still_removed(context: ActionContext) -> None:
    """Raise PreconditionFailed if the VM came back into the specs while its removal was under way."""
    if context.action.why == "removed" and context.is_wanted(context.action.target.name):
        raise context.refuse("the VM is in the specs again")


def check_still_expired(context: ActionContext, step: DeleteVolume) -> None:
    """Raise PreconditionFailed if what is kept for its time is wanted again, in use, or to be kept longer."""
    if context.action.why != "expired":
        return
    view = context.ledger.view()
    stones = [stone for stone in view.tombstones if (step.pool, step.volume) in stone.volumes]
    counted = context.ledger.counted_time()
    seconds = counted.at(instant_of(context.clock)).seconds if counted is not None else 0.0
    if not any(stone.left(context.clock.now(), seconds) <= 0 for stone in stones):
        raise context.refuse(f"volume {step.volume} is to be kept longer")
    if any(stone.kind == "removed" for stone in stones) and context.is_claimed(step.volume):
        raise context.refuse("the VM is in the specs again")


def check_true_copy(context: ActionContext, config: DomainConfig) -> None:
    """Raise PreconditionFailed if the ledger says that the VM is elsewhere: this copy must never run."""
    placement = context.ledger.placement(config.mark.vm) if config.mark else None
    if placement is None or config.mark is None:
        return
    if placement.host != context.action.host and placement.epoch >= config.mark.epoch:
        raise context.refuse(f"its true copy is on {placement.host} (epoch {placement.epoch})")


def check_nowhere_else(context: ActionContext, vm: str, uuid: str) -> None:
    """Raise PreconditionFailed if another host has the VM; HostError if one can't be asked.

    Hosts are read one by one: a VM that people move meanwhile is seen on none. One that never ran can't be moved.
    A host that is out of reach is left out where a proof of its open incident says that it is dead; and, once the host
    that the VM was on is proven dead, those with an open incident of their own: the VM was not with them, unless it was
    on its way there, or was put there and not seen to run yet.
    """
    placement, move = context.ledger.placement(vm), context.ledger.migration(vm)
    # Of a later epoch an earlier copy did run, on a host that may be up again by now.
    is_new = placement is not None and placement.epoch == 1 and not placement.ran
    if placement is None or (is_new and placement.host == context.action.host):
        return
    last_seen = placement.came_from or placement.host
    unseen = {placement.host} if move is None else {placement.host, move.target}
    for name in context.desired.hosts:
        was_on = name if name in unseen else last_seen
        if name != context.action.host and _has_domain(context, name, uuid, was_on):
            raise context.refuse(f"the VM is on {name}, somebody moved it there")


def check_runs_nowhere_else(context: ActionContext, uuid: str) -> None:
    """Raise PreconditionFailed if another host that answers runs the VM, which was placed anew and has not run since.

    All hosts were asked before it was defined. One that was proven dead may be back by now, its old copy with it: the
    one that the VM was recovered from has to be dead still, or to answer (HostError if it does neither). Of the others,
    who does not answer adds nothing to what was known then.
    """
    placement = context.ledger.placement(context.action.target.name)
    if placement is None or (placement.came_from is None and (placement.ran or placement.epoch == 1)):
        return
    for name in context.desired.hosts:
        if name == context.action.host:
            continue
        try:
            is_elsewhere = _runs_on(context, name, uuid)
        except HostError:
            if name == placement.came_from and not context.is_dead(name):
                raise
            continue
        if is_elsewhere:
            raise context.refuse(f"the VM runs on {name}")


def _runs_on(context: ActionContext, name: str, uuid: str) -> bool:
    """Whether the VM runs on the host; a host that does not answer at once raises HostError."""
    host = context.host_named(name)
    host.ping(_LIFE_SIGN)
    try:
        return host.domain_state(uuid) in ACTIVE_STATES
    except ObjectNotFound:
        return False


def _has_domain(context: ActionContext, name: str, uuid: str, placed_on: str) -> bool:
    host, is_dead = context.host_named(name), context.is_dead(name)
    if is_dead and not host.connected:
        return False
    try:
        if is_dead:
            # Its connection may seem open for seconds after its end: a call would wait for all of them.
            host.ping(_LIFE_SIGN)
        return find_domain(host, uuid) is not None
    except HostError:
        if is_dead or (context.is_dead(placed_on) and context.ledger.incident(name) is not None):
            return False
        raise


def check_unused(context: ActionContext, host: Hypervisor, pool: str, volume: ObservedVolume) -> None:
    """Raise PreconditionFailed if a domain of the host, or a volume of the pool, refers to `volume`.

    Overlays live in their base's own pool, so in a shared pool this sees the overlays of every host. There the VM that
    the volume belongs to is looked for on the other hosts too; one that can't be asked raises its own HostError.
    """
    for domain in host.read().domains.values():
        if volume.path in domain_paths(domain):
            raise context.refuse(f"volume {volume.name} is a disk of domain {domain.name}")
    for name, other in (host.pool(pool).volumes or {}).items():
        if other.backing_path == volume.path:
            raise context.refuse(f"volume {volume.name} is the base of volume {name}")
    if version_volume_stamp(context.fleet_name, volume.name) is not None:
        _check_not_written(context, host, pool, volume)
    for domain, where in _owners_elsewhere(context, host, pool, volume.name):
        if any(path.rpartition("/")[2] == volume.name for path in domain_paths(domain)):
            raise context.refuse(f"volume {volume.name} is a disk of domain {domain.name} on {where}")


def _check_not_written(context: ActionContext, host: Hypervisor, pool: str, volume: ObservedVolume) -> None:
    """A copy of a VM's disks goes on by itself, also where nobody remembers having begun it."""
    spec = context.desired.pools.get(pool)
    others = [
        context.host_named(name)
        for name, other in context.desired.hosts.items()
        if name != host.name
        and spec is not None
        and spec.spec.shared
        and spec.spec.hosts.matches(name, other.metadata.labels)
    ]
    for place in (host, *others):
        for domain in place.read().domains.values():
            job = place.backup_job(domain.uuid) if domain.active else None
            if job is not None and any(path.rpartition("/")[2] == volume.name for path in job.targets):
                raise context.refuse(f"volume {volume.name} is being written by domain {domain.name} on {place.name}")


def _owners_elsewhere(
    context: ActionContext, host: Hypervisor, pool: str, volume: str
) -> Iterator[tuple[ObservedDomain, str]]:
    """The domain of the volume's VM on each other host of a shared pool; one look-up a host, as there may be many."""
    spec = context.desired.pools.get(pool)
    origin = volume.removeprefix(volume_prefix(context.fleet_name)).partition(".")[0]
    if spec is None or not spec.spec.shared:
        return
    wanted = context.desired.vm_made_as(origin)
    uuid = vm_uuid(context.fleet_name, origin) if wanted is None else effective_uuid(context.fleet_name, wanted)
    for name, other in context.desired.hosts.items():
        if name != host.name and spec.spec.hosts.matches(name, other.metadata.labels):
            domain = find_domain(context.host_named(name), uuid)
            if domain is not None:
                yield domain, name


def check_not_running_on(context: ActionContext, inventory: HostInventory, volume: ObservedVolume) -> None:
    """Raise PreconditionFailed if a running domain of the host has `volume` open."""
    for domain in inventory.domains.values():
        if domain.active and volume.path in domain_paths(domain):
            raise context.refuse(f"volume {volume.name} is in use by running domain {domain.name}")


def domain_paths(domain: ObservedDomain) -> frozenset[str]:
    """Every file or device that the domain refers to, now or at its next boot."""
    configs = (domain.config, *((domain.live,) if domain.live else ()))
    return frozenset(disk.path for config in configs for disk in (*config.disks, config.seed) if disk is not None)
