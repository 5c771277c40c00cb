"""What libvirt does as it copies the disks of a running domain."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import CheckpointLost, HostBusy, HostRefused
from reconciler.hypervisor import simulated_storage as storage
from reconciler.hypervisor.simulated_domains import find, guest_answers
from reconciler.hypervisor.simulated_world import BackupState, DomainEntry, FileState, HostState, World
from reconciler.model.backup import BackupDisk, BackupEnd, BackupJob
from reconciler.model.domain import DomainConfig


def freeze(host: HostState, uuid: str) -> int:
    """Every disk has one file system."""
    entry = find(host, uuid)
    live = _with_agent(host, entry)
    if entry.frozen:
        raise _refused(host, entry, "unable to execute QEMU agent command 'guest-fsfreeze-freeze': already frozen")
    entry.frozen = True
    return len(live.disks)


def thaw(host: HostState, uuid: str) -> int:
    """None that stands still is fine."""
    entry = find(host, uuid)
    live = _with_agent(host, entry)
    entry.frozen, was_frozen = False, entry.frozen
    return len(live.disks) if was_frozen else 0


def _with_agent(host: HostState, entry: DomainEntry) -> DomainConfig:
    if entry.live is None:
        raise _refused(host, entry, "domain is not running")
    if not guest_answers(host, entry.config.uuid):
        text = "Guest agent is not responding: QEMU guest agent is not connected"
        raise HostBusy(text, host=host.name, target=f"VirtualMachine/{entry.config.name}")
    return entry.live


def begin(
    world: World, host: HostState, uuid: str, disks: Sequence[BackupDisk], checkpoint: str, incremental: str
) -> None:
    """What the guest has written by now is what will be in the files."""
    entry = find(host, uuid)
    if entry.live is None:
        raise _refused(host, entry, "domain is not running")
    if entry.backup is not None or uuid in world.leaving:
        text = "cannot acquire state change lock: another job is running"
        raise HostBusy(text, host=host.name, target=f"VirtualMachine/{entry.config.name}")
    if incremental and incremental not in entry.checkpoints:
        text = f"no domain checkpoint with matching name '{incremental}'"
        raise CheckpointLost(text, host=host.name, target=f"VirtualMachine/{entry.config.name}")
    if checkpoint in entry.checkpoints:
        raise _refused(host, entry, f"domain checkpoint {checkpoint} already exists")
    content: dict[str, bytes] = {}
    total = 0
    for disk in disks:
        source = _file(host, entry, next((own.path for own in entry.live.disks if own.target == disk.device), ""))
        target = _file(host, entry, disk.path)
        if list(world.writers(target)):
            raise _refused(host, entry, f'Failed to get "write" lock on {disk.path}')
        if target.capacity < source.capacity:
            raise _refused(host, entry, f"{disk.path} is smaller than disk {disk.device}")
        content[disk.path] = storage.data_of(host, source)
        total += source.capacity
    now = world.clock.monotonic()
    entry.backup = BackupState(content, total, at=now, rate=world.backup_rate, was_frozen=entry.frozen)
    entry.backup_end = None
    if checkpoint:
        entry.checkpoints.add(checkpoint)


def _file(host: HostState, entry: DomainEntry, path: str) -> FileState:
    file = host.file(path)
    if file is None:
        raise _refused(host, entry, f"Could not open '{path}': No such file or directory")
    return file


def limit(host: HostState, uuid: str, bandwidth: int) -> None:
    """From now on."""
    backup = find(host, uuid).backup
    if backup is not None:
        backup.rate = min(backup.rate, float(bandwidth))


def job(host: HostState, uuid: str) -> BackupJob | None:
    """None where there is none."""
    entry = host.domains.get(uuid)
    if entry is None or entry.backup is None:
        return None
    return BackupJob(int(entry.backup.done), entry.backup.total, tuple(entry.backup.content))


def finished(host: HostState, uuid: str) -> BackupEnd | None:
    """As libvirtd remembers it."""
    entry = host.domains.get(uuid)
    return entry.backup_end if entry is not None else None


def abort(host: HostState, uuid: str) -> None:
    """What is in the files stays as it is."""
    entry = host.domains.get(uuid)
    if entry is not None and entry.backup is not None:
        entry.backup, entry.backup_end = None, BackupEnd(False, "canceled by client")


def checkpoints(host: HostState, uuid: str) -> tuple[str, ...]:
    """Their names, sorted."""
    return tuple(sorted(find(host, uuid).checkpoints))


def delete_checkpoint(host: HostState, uuid: str, name: str) -> None:
    """One that is gone is fine."""
    find(host, uuid).checkpoints.discard(name)


def settle(world: World, host: HostState) -> None:
    """Let copies come as far as time has passed."""
    now = world.clock.monotonic()
    for entry in host.domains.values():
        backup = entry.backup
        if entry.live is None:
            entry.frozen = False
            if backup is not None:
                entry.backup, entry.backup_end = None, BackupEnd(False, "domain is not running")
        elif backup is not None:
            backup.done, backup.at = backup.done + backup.rate * (now - backup.at), now
            if backup.done >= backup.total:
                _end(host, entry, backup)


def _end(host: HostState, entry: DomainEntry, backup: BackupState) -> None:
    for path, content in backup.content.items():
        file = host.file(path)
        if file is None:
            entry.backup, entry.backup_end = None, BackupEnd(False, f"{path}: No such file or directory")
            return
        storage.put_data(file, content)
    entry.backup, entry.backup_end = None, BackupEnd(True)


def _refused(host: HostState, entry: DomainEntry, message: str) -> HostRefused:
    return HostRefused(message, host=host.name, target=f"VirtualMachine/{entry.config.name}")
