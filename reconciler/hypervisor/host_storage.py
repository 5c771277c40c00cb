"""What is done to the storage pools and volumes of one host."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Final, TypeVar

from reconciler.errors import DisguisedVolume, ObjectConflict, ObjectNotFound
from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.connection import HostConnection
from reconciler.hypervisor.host_reader import HostReader
from reconciler.hypervisor.interface import Progress, Sink
from reconciler.hypervisor.libvirt_errors import NO_STORAGE_POOL, NO_STORAGE_VOL
from reconciler.hypervisor.pool_xml import render_pool
from reconciler.hypervisor.volume_xml import parse_volume, render_volume
from reconciler.model.inventory import ObservedPool, ObservedVolume
from reconciler.model.steps import PoolConfig

T = TypeVar("T")
CHUNK: Final = 262_120
"""Bytes: the most that one message of a libvirt stream holds."""


class HostStorage:
    """Pool and volume calls of one host."""

    def __init__(self, connection: HostConnection, reader: HostReader) -> None:
        self._connection: Final = connection
        self._reader: Final = reader

    # -- pools -----------------------------------------------------------------------------------------------------
    def pool(self, name: str, *, refresh: bool) -> ObservedPool:
        def work(connection: lv.Connection) -> ObservedPool:
            return self._reader.pool(connection.storagePoolLookupByName(name), refresh=refresh)

        return self._connection.read(work, f"StoragePool/{name}")

    def define(self, config: PoolConfig) -> None:
        def work(connection: lv.Connection) -> None:
            pool = _lookup_pool(connection, config.name)
            if pool is None:
                pool = connection.storagePoolDefineXML(render_pool(config), 0)
            elif pool.UUIDString() != config.uuid:
                raise ObjectConflict(
                    f"a pool of that name, {pool.UUIDString()}, is there already and is not ours",
                    host=self._connection.name,
                    target=f"StoragePool/{config.name}",
                    hint="write type: existing to use it as it is, or choose another name",
                )
            if not pool.isActive():
                if config.type in ("dir", "netfs"):
                    pool.build(0)
                pool.create(0)
            if not pool.autostart():
                pool.setAutostart(1)

        self._connection.call(work, f"StoragePool/{config.name}", pace="slow")

    def start(self, name: str) -> None:
        def work(connection: lv.Connection) -> None:
            pool = connection.storagePoolLookupByName(name)
            if not pool.isActive():
                _unless_done(lambda: pool.create(0), pool.isActive)

        self._connection.call(work, f"StoragePool/{name}", pace="slow")

    def set_autostart(self, name: str, *, autostart: bool) -> None:
        self._connection.call(
            lambda connection: connection.storagePoolLookupByName(name).setAutostart(int(autostart)),
            f"StoragePool/{name}",
        )

    # -- volumes ---------------------------------------------------------------------------------------------------
    def volume(self, pool: str, volume: str) -> ObservedVolume | None:
        def work(connection: lv.Connection) -> ObservedVolume | None:
            try:
                found = _lookup_volume(connection.storagePoolLookupByName(pool), volume)
                return None if found is None else parse_volume(found.XMLDesc(0))
            except lv.LibvirtError as error:
                # It went between the look and the question.
                if error.get_error_code() == NO_STORAGE_VOL:
                    return None
                raise

        return self._connection.read(work, _target(pool, volume))

    def create(
        self, pool: str, volume: str, *, format: str, capacity: int, backing: ObservedVolume | None, mode: int
    ) -> ObservedVolume:
        xml = render_volume(volume, format=format, capacity=capacity, mode=mode, backing=backing)

        def work(connection: lv.Connection) -> ObservedVolume:
            return parse_volume(connection.storagePoolLookupByName(pool).createXML(xml, 0).XMLDesc(0))

        return self._connection.call(work, _target(pool, volume), pace="brief")

    def clone(
        self,
        pool: str,
        volume: str,
        *,
        format: str,
        capacity: int,
        source: str,
        source_format: str,
        source_pool: str,
    ) -> ObservedVolume:
        xml = render_volume(volume, format=format, capacity=capacity)

        def work(connection: lv.Connection) -> ObservedVolume:
            place = connection.storagePoolLookupByName(pool)
            original = _lookup_volume(connection.storagePoolLookupByName(source_pool), source)
            if original is None:
                raise ObjectNotFound(
                    "there is no such volume to copy from",
                    host=self._connection.name,
                    target=_target(source_pool, source),
                )
            self._check_format(original, source_format, _target(source_pool, source))
            copy = place.createXMLFrom(xml, original, 0)
            # libvirt makes the copy as large as its source, whatever the XML asks for.
            if parse_volume(copy.XMLDesc(0)).capacity < capacity:
                copy.resize(capacity, 0)
            return parse_volume(copy.XMLDesc(0))

        return self._connection.call(work, _target(pool, volume), pace="copy")

    def upload(self, pool: str, volume: str, content: BinaryIO, length: int, progress: Progress) -> None:
        """On any failure, also one of `progress` or `content`, the stream is aborted; the volume is then garbage."""
        moved = _Counter()

        def tell(size: int) -> None:
            moved.add(size)
            progress(size)

        def work(connection: lv.Connection) -> None:
            target = _existing(connection, pool, volume)
            stream = connection.newStream(0)
            target.upload(stream, 0, length, 0)
            try:
                _send(stream, content, length, tell)
                stream.finish()
            except BaseException:
                # A stream whose connection has ended can't be aborted, and need not be.
                with suppress(lv.LibvirtError):
                    stream.abort()
                raise

        self._connection.stream(work, moved.get, _target(pool, volume))

    def download(self, pool: str, volume: str, sink: Sink, progress: Progress, *, offset: int, length: int) -> int:
        """What `sink` or `progress` raises ends it."""
        moved = _Counter()

        def work(connection: lv.Connection) -> int:
            source = _existing(connection, pool, volume)
            stream = connection.newStream(0)
            source.download(stream, offset, length, 0)
            try:
                while chunk := stream.recv(CHUNK):
                    sink.write(chunk)
                    moved.add(len(chunk))
                    progress(len(chunk))
                stream.finish()
            except BaseException:
                with suppress(lv.LibvirtError):
                    stream.abort()
                raise
            return moved.get()

        return self._connection.stream(work, moved.get, _target(pool, volume))

    def grow(self, pool: str, volume: str, capacity: int, *, format: str) -> None:
        def work(connection: lv.Connection) -> None:
            found = _existing(connection, pool, volume)
            self._check_format(found, format, _target(pool, volume))
            found.resize(capacity, 0)

        self._connection.call(work, _target(pool, volume), pace="slow")

    def _check_format(self, volume: Any, declared: str, target: str) -> None:
        """Asking for its XML has libvirt probe the file; what it finds, host paths too, it lets qemu-img open."""
        found = parse_volume(volume.XMLDesc(0)).format
        if found != declared:
            raise disguised(found, declared, host=self._connection.name, target=target)

    def delete(self, pool: str, volume: str) -> None:
        def work(connection: lv.Connection) -> None:
            place = connection.storagePoolLookupByName(pool)
            found = _lookup_volume(place, volume)
            if found is not None:
                _unless_done(lambda: found.delete(0), lambda: _lookup_volume(place, volume) is None)

        self._connection.call(work, _target(pool, volume), pace="slow")


def disguised(found: str, declared: str, *, host: str, target: str) -> DisguisedVolume:
    """That the content of a volume passes for `found`, and was made as `declared`."""
    return DisguisedVolume(
        f"it was made as {declared}, and its content passes for {found}: libvirt would do what that says",
        host=host,
        target=target,
        hint="look into the guest: something wrote the header of a disk image to the start of its disk",
    )


class _Counter:
    """Bytes moved, told by one thread and read by another."""

    def __init__(self) -> None:
        self._value = 0

    def add(self, size: int) -> None:
        self._value += size

    def get(self) -> int:
        return self._value


def _send(stream: Any, content: BinaryIO, length: int, tell: Progress) -> None:
    """Send exactly `length` bytes; raises EOFError where the content ends early."""
    left = length
    while left:
        chunk = content.read(min(CHUNK, left))
        if not chunk:
            raise EOFError(f"content ended {left} bytes early")
        sent = 0
        while sent < len(chunk):
            sent += stream.send(chunk[sent:] if sent else chunk)
        left -= len(chunk)
        tell(len(chunk))


def _target(pool: str, volume: str) -> str:
    return f"Volume/{pool}/{volume}"


def _lookup_pool(connection: lv.Connection, name: str) -> Any | None:
    try:
        return connection.storagePoolLookupByName(name)
    except lv.LibvirtError as error:
        if error.get_error_code() == NO_STORAGE_POOL:
            return None
        raise


def _lookup_volume(pool: Any, name: str) -> Any | None:
    """The volume; where libvirt knows none, the storage itself is looked at: another host may have made it."""
    try:
        return pool.storageVolLookupByName(name)
    except lv.LibvirtError as error:
        if error.get_error_code() != NO_STORAGE_VOL:
            raise
    pool.refresh(0)
    try:
        return pool.storageVolLookupByName(name)
    except lv.LibvirtError as error:
        if error.get_error_code() == NO_STORAGE_VOL:
            return None
        raise


def _existing(connection: lv.Connection, pool: str, volume: str) -> Any:
    """The volume; raises libvirt's own error where there is none."""
    place = connection.storagePoolLookupByName(pool)
    return _lookup_volume(place, volume) or place.storageVolLookupByName(volume)


def _unless_done(change: Callable[[], object], done: Callable[[], bool]) -> None:
    """Make a change; a refusal is fine where somebody else has made it meanwhile."""
    try:
        change()
    except lv.LibvirtError:
        if not done():
            raise
