"""What was copied made into a version: put where it belongs, read over, and vouched for by a manifest."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import BinaryIO, Final, cast

from reconciler.errors import ChecksumMismatch, HostError, TransientHostError
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.handlers.capture_remains import Cancelled
from reconciler.executor.handlers.capture_volumes import Digest, Reader, drop, put
from reconciler.executor.preconditions import POOL_PATIENCE, find_volume
from reconciler.model.capture_steps import CaptureDisk
from reconciler.model.ledger import Capture
from reconciler.model.version import ImageVersion, VersionDisk, manifest_of, read_manifest

_TOLD_EVERY: Final = 64 << 20
"""Bytes between two looks at whether it is still wanted."""


class Sealing:
    """One capture whose disks are copied; done again from its beginning by whoever follows it."""

    def __init__(self, capture: Capture, context: ActionContext) -> None:
        self._capture: Final = capture
        self._step: Final = capture.step
        self._context: Final = context
        self._host: Final = context.host_named(capture.step.host)
        self._pool_host: Final = context.host_named(capture.step.pool_host)
        self._done = self._looked = 0

    def finish(self) -> ImageVersion:
        """The version, whole and on record."""
        version = self._vouched_for() or self._sealed()
        for disk in self._step.disks:
            if disk.copy != disk.target:
                drop(self._context, self._host, self._step.copy_pool, disk.copy)
        self._context.ledger.end_capture(self._step.image, version)
        if self._step.due:
            self._context.ledger.note_scheduled(self._step.image, self._step.due)
        self._forget_checkpoints()
        return version

    def _forget_checkpoints(self) -> None:
        """Nothing goes on from the ones before: QEMU keeps track of changes for this version alone.

        What is left here for now goes with the next version.
        """
        with suppress(HostError):
            for name in self._host.checkpoints(self._step.uuid):
                if name.startswith(f"{self._step.image}.") and name != self._step.checkpoint:
                    self._host.delete_checkpoint(self._step.uuid, name)

    def _vouched_for(self) -> ImageVersion | None:
        """The version that was whole already when this was cut off."""
        if find_volume(self._context, self._pool_host, self._step.pool, self._step.manifest) is None:
            return None
        return read_manifest(self._reader(self._step.pool, self._step.manifest).content())

    def _sealed(self) -> ImageVersion:
        disks = tuple(self._disk(disk) for disk in self._step.disks)
        step, capture = self._step, self._capture
        version = ImageVersion(
            image=step.image,
            stamp=step.stamp,
            taken_at=capture.since if capture.taken_at is None else capture.taken_at,
            vm=step.domain,
            vm_uuid=step.uuid,
            pool=step.pool,
            host=None if step.shared else step.pool_host,
            generation=step.generation,
            spec_hash=step.spec_hash,
            consistency=capture.consistency or "crash-consistent",
            disks=disks,
            parent=step.parent,
            checkpoint=step.checkpoint,
        )
        content = manifest_of(version)
        put(self._context, self._pool_host, step.pool, step.manifest, io.BytesIO(content), len(content), self._look)
        if self._reader(step.pool, step.manifest).content() != content:
            raise TransientHostError(
                f"manifest {step.manifest} is not as it was written", host=step.pool_host, target=str(self._target)
            )
        return version

    @property
    def _target(self) -> str:
        return str(self._context.action.target)

    def _disk(self, disk: CaptureDisk) -> VersionDisk:
        if disk.copy == disk.target:
            digest = self._reader(self._step.pool, disk.target).digest()
        else:
            digest = self._put_in_place(disk)
        self._verify(disk)
        return VersionDisk(disk.name, disk.target, disk.capacity, digest.size, digest.text(), disk.backing)

    def _put_in_place(self, disk: CaptureDisk) -> Digest:
        step, reader = self._step, self._reader_of_copy(disk)
        if step.compression != "none" and disk.backing is None:
            content, length = self._context.images.compressed(
                cast("BinaryIO", reader), self._context.stop, self._look_meanwhile
            )
            with content:
                return put(self._context, self._pool_host, step.pool, disk.target, content, length, self._look)
        copied = reader.digest()
        again = self._reader_of_copy(disk)
        sent = put(
            self._context, self._pool_host, step.pool, disk.target, cast("BinaryIO", again), copied.size, self._look
        )
        if sent.text() != copied.text():
            raise ChecksumMismatch(f"{self._target}: {disk.copy} changed while it was sent", hint="it is made anew")
        return sent

    def _verify(self, disk: CaptureDisk) -> None:
        """As libvirt reads it now: the format, the size and the chain that are written down, and no other."""
        step = self._step
        pool = self._context.patiently(lambda: self._pool_host.pool(step.pool, refresh=True), POOL_PATIENCE)
        found = (pool.volumes or {}).get(disk.target)
        parent = (found.backing_path or "").rpartition("/")[2] if found is not None else ""
        if found is None or found.format != "qcow2" or found.capacity < disk.capacity or parent != (disk.backing or ""):
            raise ChecksumMismatch(
                f"{self._target}: {disk.target} is not as it was made: {found}", hint="it is made anew"
            )

    def _reader_of_copy(self, disk: CaptureDisk) -> Reader:
        return Reader(self._context, self._host, self._step.copy_pool, disk.copy, self._look)

    def _reader(self, pool: str, volume: str) -> Reader:
        return Reader(self._context, self._pool_host, pool, volume, self._look)

    def _look_meanwhile(self, there: int) -> None:
        """As `_look`, where another program does the work and `there` are its bytes by now."""
        self._context.on_progress(self._done + there, None)
        self._check_wanted()

    def _check_wanted(self) -> None:
        capture = self._context.ledger.capture(self._step.image)
        if capture is not None and capture.cancelled:
            raise Cancelled

    def _look(self, more: int) -> None:
        """Progress; and whether it is to end here."""
        self._done += more
        self._context.on_progress(self._done, None)
        if self._context.stop.is_set():
            raise HandedBack
        if self._done - self._looked >= _TOLD_EVERY:
            self._looked = self._done
            self._check_wanted()
            self._context.ledger.note_capture_progress(self._step.image, self._done, 0)
