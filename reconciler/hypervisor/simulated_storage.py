"""What libvirt does to pools and volumes, its stale views of shared storage included."""

from __future__ import annotations

from typing import Final

from reconciler.errors import DisguisedVolume, HostRefused, NoSpace, ObjectConflict, ObjectNotFound
from reconciler.hypervisor.simulated_world import DirectoryState, FileState, HostState, PoolState, World
from reconciler.model.inventory import ObservedPool, ObservedVolume
from reconciler.model.steps import PoolConfig

_QCOW2_MAGIC: Final = b"QFI\xfb"
_QCOW2_HEADER: Final = 32
_KEPT: Final = 1 << 16
"""Bytes of an uploaded file that are remembered."""
_QCOW2_EMPTY: Final = 196_616
"""Bytes that an empty qcow2 takes."""


def find(host: HostState, name: str) -> PoolState:
    """The pool; raises ObjectNotFound."""
    pool = host.pools.get(name)
    if pool is None:
        raise ObjectNotFound(f"no storage pool with matching name '{name}'", host=host.name, target=_pool(name))
    return pool


def find_active(host: HostState, name: str) -> PoolState:
    """The pool; raises ObjectNotFound, or HostRefused while it is inactive."""
    pool = find(host, name)
    if not pool.active:
        raise HostRefused(f"storage pool '{name}' is not active", host=host.name, target=_pool(name))
    return pool


def define_pool(world: World, host: HostState, config: PoolConfig) -> None:
    """Define, mount or make the directory, start, autostart."""
    known = host.pools.get(config.name)
    if known is not None and known.uuid != config.uuid:
        raise ObjectConflict(
            f"pool '{config.name}' already exists with uuid {known.uuid}", host=host.name, target=_pool(config.name)
        )
    if config.type == "netfs":
        export = (config.source_host or "", config.source_dir or "")
        host.directories[config.target] = world.exports.setdefault(export, DirectoryState(host.disk_capacity))
    pool = known or PoolState(config.name, config.uuid, config.type, config.target)
    host.pools[config.name] = pool
    pool.autostart = True
    start_pool(world, host, pool)


def start_pool(world: World, host: HostState, pool: PoolState) -> None:
    """Start, which looks at the storage."""
    host.directory(pool.target)
    pool.active = True
    refresh(host, pool)
    world.emit(host.name, "pool", pool.name, "started")


def refresh(host: HostState, pool: PoolState) -> None:
    """Look at the storage itself; formats and capacities come from probing."""
    for file in host.directory(pool.target).files.values():
        _probe(file)
    pool.seen = {name: _observed(pool, name, file) for name, file in host.directory(pool.target).files.items()}


def observed_pool(host: HostState, pool: PoolState, *, volumes: bool) -> ObservedPool:
    """The pool as its host reports it: of the volumes that it knows of, what they are now."""
    directory = host.directory(pool.target)
    pool.seen = {
        name: _observed(pool, name, directory.files[name]) if name in directory.files else known
        for name, known in pool.seen.items()
    }
    return ObservedPool(
        name=pool.name,
        uuid=pool.uuid,
        type=pool.type,
        target=pool.target,
        active=pool.active,
        autostart=pool.autostart,
        capacity=directory.capacity if pool.active else 0,
        available=directory.available if pool.active else 0,
        volumes=dict(pool.seen) if pool.active and volumes else None,
    )


def lookup(host: HostState, pool: PoolState, volume: str) -> ObservedVolume | None:
    """The volume; the storage itself is looked at before saying that there is none."""
    if volume not in pool.seen:
        refresh(host, pool)
    file = host.directory(pool.target).files.get(volume)
    if file is None:
        return None
    pool.seen[volume] = _observed(pool, volume, file)
    return pool.seen[volume]


def create(world: World, host: HostState, pool: PoolState, volume: str, file: FileState) -> ObservedVolume:
    """Create `file`; one that this host doesn't know of is overwritten as qcow2 and refused as raw, as by libvirt."""
    directory = host.directory(pool.target)
    if volume in pool.seen or (volume in directory.files and file.format == "raw"):
        raise ObjectConflict(
            f"storage volume '{volume}' exists already in pool '{pool.name}'", host=host.name, target=_pool(pool.name)
        )
    if volume in directory.files:
        world.violations.append(f"volume {volume} was overwritten by {host.name}, which did not know of it")
    if file.format == "qcow2":
        file.allocation = max(file.allocation, _QCOW2_EMPTY)
    _check_space(host, pool, file.allocation)
    directory.files[volume] = file
    pool.seen[volume] = _observed(pool, volume, file)
    return pool.seen[volume]


def source_file(host: HostState, pool: PoolState, volume: str) -> FileState:
    """The file of a volume that must be there; raises ObjectNotFound."""
    file = host.directory(pool.target).files.get(volume) if volume in pool.seen else None
    if file is None:
        raise ObjectNotFound(
            f"no storage vol with matching name '{volume}'", host=host.name, target=f"{_pool(pool.name)}/{volume}"
        )
    return file


def check_format(host: HostState, pool: PoolState, volume: str, declared: str) -> None:
    """Raise DisguisedVolume where the content passes for something else, or ObjectNotFound."""
    file = source_file(host, pool, volume)
    _probe(file)
    if file.format != declared:
        raise DisguisedVolume(
            f"it was made as {declared}, and its content passes for {file.format}",
            host=host.name,
            target=f"{_pool(pool.name)}/{volume}",
        )


def _probe(file: FileState) -> None:
    if file.header.startswith(_QCOW2_MAGIC) and len(file.header) >= 32:  # the virtual size is bytes 24 to 31
        file.format, file.capacity = "qcow2", int.from_bytes(file.header[24:32], "big")


def write(host: HostState, pool: PoolState, file: FileState, chunk: bytes) -> None:
    """Append an uploaded chunk."""
    _check_space(host, pool, max(0, file.written + len(chunk) - file.allocation))
    file.header = (file.header + chunk)[:_KEPT]
    file.written += len(chunk)
    file.allocation = max(file.allocation, file.written)
    file.capacity = max(file.capacity, file.written) if file.format == "raw" else file.capacity


def data_of(host: HostState, file: FileState) -> bytes:
    """What a guest finds on a disk: of one that nobody has written to, what it stands on."""
    if not file.header and file.backing_path is not None:
        backing = host.file(file.backing_path)
        return data_of(host, backing) if backing is not None else b""
    return file.header[_QCOW2_HEADER:] if file.header.startswith(_QCOW2_MAGIC) else file.header


def put_data(file: FileState, data: bytes) -> None:
    """Have a guest find `data` on that disk."""
    head = b""
    if file.format == "qcow2":
        head = _QCOW2_MAGIC + (3).to_bytes(4, "big") + bytes(16) + file.capacity.to_bytes(8, "big")
    file.header = head + data
    file.written = max(file.written, len(file.header))
    file.allocation = max(file.allocation, file.written)


def content_of(file: FileState, offset: int, length: int) -> bytes:
    """The bytes of the file; of a large one all but its beginning is zeros."""
    end = min(file.written, offset + length) if length else file.written
    kept = file.header[offset:end]
    return kept + bytes(max(0, end - offset - len(kept)))


def grow(world: World, host: HostState, pool: PoolState, volume: str, capacity: int) -> None:
    """Grow a volume that nobody has open."""
    file = source_file(host, pool, volume)
    if capacity < file.capacity:
        raise HostRefused("can't shrink capacity below existing allocation", host=host.name, target=_pool(pool.name))
    for owner, entry in world.writers(file):
        raise HostRefused(
            f'Failed to get "write" lock on {volume}: {entry.config.name} on {owner.name} has it',
            host=host.name,
            target=_pool(pool.name),
        )
    resize(file, capacity)
    pool.seen[volume] = _observed(pool, volume, file)


def resize(file: FileState, capacity: int) -> None:
    """Give the file another virtual size; a qcow2 says so in its header, where the next probe finds it."""
    file.capacity = capacity
    if file.format == "qcow2" and file.header.startswith(_QCOW2_MAGIC):
        file.header = file.header[:24] + capacity.to_bytes(8, "big") + file.header[32:]


def delete(world: World, host: HostState, pool: PoolState, volume: str) -> None:
    """Delete; nothing stops libvirt from deleting what is in use, so that is noted as a violation."""
    pool.seen.pop(volume, None)
    files = host.directory(pool.target).files
    file = files.get(volume)
    if file is None:
        return
    path = f"{pool.target}/{volume}"
    users = [*world.users(file), *(name for name, other in files.items() if other.backing_path == path)]
    if users:
        world.violations.append(f"volume {volume} was deleted on {host.name} while in use by {', '.join(users)}")
    del files[volume]


def _check_space(host: HostState, pool: PoolState, needed: int) -> None:
    if needed > host.directory(pool.target).available:
        raise NoSpace(f"no space left: {needed} bytes needed", host=host.name, target=_pool(pool.name))


def _observed(pool: PoolState, name: str, file: FileState) -> ObservedVolume:
    path = f"{pool.target}/{name}"
    return ObservedVolume(name, path, file.format, file.capacity, file.allocation, file.backing_path)


def _pool(name: str) -> str:
    return f"StoragePool/{name}"
