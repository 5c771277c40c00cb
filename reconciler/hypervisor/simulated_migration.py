"""What libvirt does to a domain that goes from one host to another while it runs."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from reconciler.errors import HostBusy, HostError, HostRefused, HostTimeout, ObjectConflict, TransientHostError
from reconciler.hypervisor.simulated_domains import check_needs, find, stop
from reconciler.hypervisor.simulated_world import DomainEntry, HostState, Leaving, World
from reconciler.model.domain import DomainConfig
from reconciler.model.migration import MigrationJob
from reconciler.model.steps import MigrateDomain


class SimulatedCall(Struct):
    """Implements MigrationCall: libvirt's answer, once the job has ended."""

    leaving: Leaving

    @property
    def ended(self) -> bool:
        return self.leaving.ended

    @property
    def error(self) -> HostError | None:
        return self.leaving.error

    @property
    def is_answered(self) -> bool:
        return self.ended and not isinstance(self.error, HostTimeout)


def begin(world: World, source: HostState, step: MigrateDomain) -> SimulatedCall:
    """Begin; what the target lacks is told by the call, as the source's libvirtd is the one that finds out."""
    entry = find(source, step.uuid)
    name = entry.config.name
    if entry.backup is not None:
        text = "cannot acquire state change lock: a backup is running"
        raise HostBusy(text, host=source.name, target=_target(name))
    if step.uuid in world.leaving:
        raise HostRefused("another migration job is already running", host=source.name, target=_target(name))
    if step.cold:
        return _begin_cold(world, source, entry, step)
    if entry.live is None or entry.state != "running":
        raise HostRefused("domain is not running", host=source.name, target=_target(name))
    size = entry.live.memory + sum(disk.capacity for disk in step.disks)
    leaving = Leaving(step, size, begun=world.clock.monotonic(), at=world.clock.monotonic())
    try:
        _receive(world, source, entry, step)
    except HostError as error:
        leaving.ended, leaving.error = True, error
    else:
        world.leaving[step.uuid] = leaving
        world.emit(step.target, "domain", name, "started")
    return SimulatedCall(leaving)


def _begin_cold(world: World, source: HostState, entry: DomainEntry, step: MigrateDomain) -> SimulatedCall:
    """The definition goes at once; a domain that runs keeps its own, and libvirt makes the other one all the same."""
    if entry.reason == "saved":
        text = "its guest was saved to a file, which stays on its host"
        raise HostRefused(text, host=source.name, target=_target(step.domain))
    leaving = Leaving(step, 0, begun=world.clock.monotonic(), at=world.clock.monotonic(), ended=True)
    try:
        target = _reached(world, source, step)
    except HostError as error:
        leaving.error = error
    else:
        there = DomainEntry(_at_target(entry.config, step), boots=entry.boots)
        there.unowned, there.restricted = entry.unowned, entry.restricted
        target.domains[step.uuid] = there
        if not entry.active:
            del source.domains[step.uuid]
        world.emit(step.target, "domain", step.domain, "defined")
    return SimulatedCall(leaving)


def _reached(world: World, source: HostState, step: MigrateDomain) -> HostState:
    """The target, which has nothing of the name yet; raises what it says, or its silence."""
    target = world.hosts.get(step.target)
    if target is None or _is_apart(source, target):
        where = f"unable to connect to server at '{step.target}': No route to host"
        raise TransientHostError(where, host=source.name, target=_target(step.domain))
    if step.uuid in target.domains or target.by_name(step.domain) is not None:
        text = f"domain '{step.domain}' already exists"
        raise ObjectConflict(text, host=target.name, target=_target(step.domain))
    return target


def _receive(world: World, source: HostState, entry: DomainEntry, step: MigrateDomain) -> None:
    target = _reached(world, source, step)
    live = entry.live or entry.config
    arriving = DomainEntry(_at_target(entry.config, step), persistent=False)
    arriving.live = _at_target(live, step)
    check_needs(world, target, arriving, locks=False)
    arriving.state, arriving.reason, arriving.is_incoming, arriving.boots = "paused", "migration", True, entry.boots
    target.domains[step.uuid] = arriving


def _at_target(config: DomainConfig, step: MigrateDomain) -> DomainConfig:
    paths = step.target_paths
    seed = config.seed and replace(config.seed, path=paths.get(config.seed.target, config.seed.path))
    disks = tuple(replace(disk, path=paths.get(disk.target, disk.path)) for disk in config.disks)
    mark = None if config.mark is None else replace(config.mark, epoch=step.epoch)
    return replace(config, disks=disks, seed=seed, mark=mark, autostart=False)


def settle(world: World) -> None:
    """Let migrations come as far as time has passed."""
    now = world.clock.monotonic()
    for uuid, leaving in tuple(world.leaving.items()):
        source, target = world.hosts[leaving.step.source], world.hosts[leaving.step.target]
        entry, arriving = source.domains.get(uuid), target.domains.get(uuid)
        passed, leaving.at = now - leaving.at, now
        if leaving.is_switched:
            _fetch(world, leaving, passed)
        elif entry is None or not entry.active:
            _fail(world, leaving, "operation failed: domain is not running")
        elif arriving is None or not target.faults.powered or _is_apart(source, target):
            _fail(world, leaving, "operation failed: Lost connection to destination host")
        elif not (source.faults.hung or target.faults.hung or entry.config.name in world.stalled):
            _send(world, leaving, entry, passed)
            if leaving.sent >= leaving.size:
                _switch_over(world, leaving, entry, now)


def _send(world: World, leaving: Leaving, entry: DomainEntry, seconds: float) -> None:
    rate = min(leaving.step.rules.bandwidth or world.migration_rate, world.migration_rate)
    leaving.done += rate * seconds
    if entry.config.name in world.restless and entry.state == "running" and not leaving.is_switched:
        # It writes as fast as its memory is sent: half of it is always left.
        leaving.sent = min(leaving.sent + rate * seconds, leaving.size / 2)
    else:
        leaving.sent += rate * seconds


def _switch_over(world: World, leaving: Leaving, entry: DomainEntry, now: float) -> None:
    """The guest stands still on both sides for a moment; the source's half is ended once the other one runs."""
    if leaving.arrives_at is None:
        rate = min(leaving.step.rules.bandwidth or world.migration_rate, world.migration_rate)
        leaving.arrives_at = now - (leaving.sent - leaving.size) / rate + world.switch_seconds
    if now >= leaving.arrives_at:
        _arrive(world, leaving)
    else:
        entry.state, entry.reason = "paused", "migration"


def _arrive(world: World, leaving: Leaving) -> None:
    step = leaving.step
    source, target = world.hosts[step.source], world.hosts[step.target]
    arriving = target.domains[step.uuid]
    gone = source.domains.pop(step.uuid)
    arriving.state, arriving.reason, arriving.is_incoming, arriving.persistent = "running", "", False, True
    arriving.off_at, arriving.crash_at = gone.off_at, gone.crash_at
    for disk in step.disks:
        original, copy = source.file(_path_at_source(gone, disk.device)), target.file(disk.target_path)
        if original is not None and copy is not None:
            copy.header, copy.written, copy.allocation = original.header, original.written, original.allocation
    _end(world, leaving, None)
    world.emit(step.source, "domain", step.domain, "stopped")
    world.emit(step.target, "domain", step.domain, "resumed")


def _path_at_source(entry: DomainEntry, device: str) -> str:
    return next((disk.path for disk in entry.config.disks if disk.target == device), "")


def switch_to_post_copy(world: World, source: HostState, uuid: str) -> None:
    """The guest runs at its target from now on."""
    leaving = world.leaving.get(uuid)
    if leaving is None or leaving.step.source != source.name or not leaving.step.rules.post_copy:
        raise HostRefused("post-copy can only be started while outgoing migration is in progress", host=source.name)
    here, there = source.domains[uuid], world.hosts[leaving.step.target].domains[uuid]
    leaving.is_switched = True
    here.state, here.reason, here.is_incoming = "paused", "postcopy", True
    there.state, there.reason, there.is_incoming, there.persistent = "running", "postcopy", False, True
    world.emit(source.name, "domain", here.config.name, "suspended")


def _fetch(world: World, leaving: Leaving, passed: float) -> None:
    """The rest comes while both halves are there. What was cut goes on by itself, with nobody to tidy up after it."""
    step = leaving.step
    source, target = world.hosts[step.source], world.hosts[step.target]
    halves = [half for host in (source, target) if (half := host.domains.get(step.uuid)) is not None and half.active]
    lost = TransientHostError("post-copy failed", host=step.source, target=_target(step.domain))
    if len(halves) < 2:
        for half in halves:
            half.reason = "postcopy-failed"
        _end(world, leaving, lost)
    elif _is_apart(source, target):
        source.domains[step.uuid].reason = "postcopy-failed"
        leaving.ended, leaving.error = True, lost
    elif not (source.faults.hung or target.faults.hung):
        _send(world, leaving, source.domains[step.uuid], passed)
        if leaving.sent >= leaving.size and leaving.ended:
            halves[1].reason = ""
            stop(world, source, halves[0], "migrated")
            _end(world, leaving, lost)
        elif leaving.sent >= leaving.size:
            _arrive(world, leaving)


def _fail(world: World, leaving: Leaving, message: str) -> None:
    """The target's half is ended by its own libvirtd; the source runs on, if it was not ended itself."""
    step = leaving.step
    target, entry = world.hosts[step.target], world.hosts[step.source].domains.get(step.uuid)
    arriving = target.domains.get(step.uuid)
    if arriving is not None and arriving.is_incoming:
        del target.domains[step.uuid]
    if entry is not None and entry.state == "paused" and entry.reason == "migration":
        entry.state, entry.reason = "running", ""
    error = HostTimeout if not world.hosts[step.source].faults.powered else TransientHostError
    _end(world, leaving, error(message, host=step.source, target=_target(step.domain)))


def _end(world: World, leaving: Leaving, error: HostError | None) -> None:
    leaving.ended, leaving.error = True, error
    del world.leaving[leaving.step.uuid]
    if error is None:
        world.arrived[leaving.step.uuid] = _job(leaving, world.switch_seconds)


def _job(leaving: Leaving, switch: float) -> MigrationJob:
    left = max(0, int(leaving.size - leaving.sent))
    passes = 1 + int(leaving.done // leaving.size) if leaving.size else 0
    passed = leaving.at - leaving.begun
    return MigrationJob(leaving.size, int(leaving.done), left, passed, switch, passes, leaving.is_switched)


def job(world: World, source: HostState, uuid: str) -> MigrationJob | None:
    """How far it is; None where it does not leave this host."""
    leaving = world.leaving.get(uuid)
    if leaving is None or leaving.step.source != source.name or leaving.ended:
        return None
    return _job(leaving, world.switch_seconds)


def finished(world: World, target: HostState, uuid: str) -> MigrationJob | None:
    """How the last one went, at the host that it went to."""
    return world.arrived.get(uuid) if uuid in target.domains else None


def abort(world: World, source: HostState, uuid: str) -> None:
    """Have it stay."""
    leaving = world.leaving.get(uuid)
    if leaving is not None and leaving.step.source == source.name:
        if leaving.is_switched:
            raise HostRefused("cannot abort migration in post-copy mode", host=source.name)
        _fail(world, leaving, "operation aborted: migration out job: canceled by client")


def suspend(world: World, host: HostState, uuid: str) -> None:
    """Have the guest stand still."""
    entry = find(host, uuid)
    if entry.state == "running":
        entry.state, entry.reason = "paused", "migration" if uuid in world.leaving else "user"
        world.emit(host.name, "domain", entry.config.name, "suspended")


def _is_apart(source: HostState, target: HostState) -> bool:
    """Whether no packet goes from one to the other."""
    up = all(host.faults.powered and host.faults.linked for host in (source, target))
    return not up


def _target(name: str) -> str:
    return f"VirtualMachine/{name}"
