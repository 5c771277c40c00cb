"""Disks from versions, and VMs that get them."""

from __future__ import annotations

import hashlib
import io
from typing import Final

from reconciler.errors import ChecksumMismatch, TransientHostError
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.handlers.volumes import drop_partial
from reconciler.executor.preconditions import (
    POOL_PATIENCE,
    check_ownership,
    check_true_copy,
    check_unused,
    find_domain,
    find_volume,
    own_domain,
)
from reconciler.hypervisor.interface import Hypervisor
from reconciler.ledger.counting import instant_of
from reconciler.model.inventory import ObservedVolume
from reconciler.model.ledger import RestoreDone, RestoringDisk
from reconciler.model.restores import RestoreDisk, SwitchDisks, value_of
from reconciler.model.tombstone import Tombstone

_CHUNK: Final = 16 << 20


def restore_disk(step: RestoreDisk, context: ActionContext, host: Hypervisor) -> None:
    """Killed at any byte: the volume is on record as unfinished, nobody has it, and the next plan makes it anew."""
    source = context.host_named(step.source.host)
    check_chain(step, context, source)
    existing = find_volume(context, host, step.pool, step.volume)
    if existing is not None:
        drop_partial(step.pool, step.volume, context, host, existing, may=step.replace_partial)
    disk = RestoringDisk(
        context.action.target.name, step.disk, step.value, step.source.name, step.pool, step.volume, host.name
    )
    if step.value:
        context.ledger.begin_restore(disk)
    else:
        context.ledger.begin_volume(step.pool, step.volume, host.name)
    if step.streamed:
        _stream(step, context, source, host)
    else:
        _clone(step, step.pool, context, host)
    _grow(step, context, host)
    if step.value:
        context.ledger.note_copied(disk)
    else:
        context.ledger.finish_volume(step.pool, step.volume, context.intent_host(step.pool))


def check_chain(step: RestoreDisk, context: ActionContext, source: Hypervisor) -> None:
    """Raise PreconditionFailed unless the version's files stand on one another exactly as is on record."""
    chain, pool = step.source.chain, step.source.pool
    names = [link.volume for link in chain]
    for name, below in zip(names, (*names[1:], None), strict=True):
        there = find_volume(context, source, pool, name)
        if there is None or there.format != "qcow2":
            raise context.refuse(f"{name} is {'gone' if there is None else there.format}, not as on record")
        folder = there.path.rpartition("/")[0]
        if there.backing_path != (None if below is None else f"{folder}/{below}"):
            raise context.refuse(f"{name} stands on {there.backing_path or 'nothing'}, not on {below or 'nothing'}")


def _clone(step: RestoreDisk, pool: str, context: ActionContext, host: Hypervisor) -> None:
    """A copy by the host itself, which holds all that the chain does."""
    top = step.source.chain[0].volume
    context.patiently(
        lambda: host.clone_volume(
            pool, step.volume, format=step.format, capacity=step.capacity, source=top, source_format="qcow2"
        )
    )


def _stream(step: RestoreDisk, context: ActionContext, source: Hypervisor, host: Hypervisor) -> None:
    """Through the controller. What stands on other files, or is of another format, is put into one file before."""
    pool, top = step.source.pool, step.source.chain[0]
    if len(step.source.chain) == 1 and step.format == "qcow2":
        _send(step, context, host, _Remote(source, pool, top.volume, top.size, context), top.digest)
        return
    stale = find_volume(context, source, pool, step.volume)
    if stale is not None:
        drop_partial(pool, step.volume, context, source, stale, may=True)
    context.ledger.begin_volume(pool, step.volume, source.name)
    _clone(step, pool, context, source)
    length = source.download_volume(pool, step.volume, _Nothing(), lambda _done: None)
    _send(step, context, host, _Remote(source, pool, step.volume, length, context), "")
    context.settle(
        lambda: source.delete_volume(pool, step.volume),
        lambda: find_volume(context, source, pool, step.volume) is None,
        f"volume {step.volume} is still on {source.name}",
    )
    shared = (spec := context.desired.pools.get(pool)) is not None and spec.spec.shared
    context.ledger.finish_volume(pool, step.volume, None if shared else source.name)
    context.ledger.begin_volume(step.pool, step.volume, host.name)


def _send(step: RestoreDisk, context: ActionContext, host: Hypervisor, content: _Remote, digest: str) -> None:
    length = content.length
    context.patiently(lambda: host.create_volume(step.pool, step.volume, format="raw", capacity=length))
    host.upload_volume(step.pool, step.volume, content, length, content.report)  # type: ignore[arg-type]  # reads
    if digest and content.digest != digest:
        raise ChecksumMismatch(
            f"{context.action.target}: {step.source.name} is not what was captured: its content has changed",
            hint="take another version",
        )
    pool = context.patiently(lambda: host.pool(step.pool, refresh=True), POOL_PATIENCE)
    made = (pool.volumes or {}).get(step.volume)
    # What a raw disk is probed as its guest has a say in: only of qcow2 that is asked.
    if made is None or (step.format == "qcow2" and (made.format != "qcow2" or made.backing_path is not None)):
        raise TransientHostError(
            f"disk {step.volume} was sent and is not as it should be: {made}",
            host=host.name,
            target=str(context.action.target),
        )


def _grow(step: RestoreDisk, context: ActionContext, host: Hypervisor) -> None:
    made = find_volume(context, host, step.pool, step.volume)
    if made is None:
        raise TransientHostError(f"disk {step.volume} was made and is not there", host=host.name)
    if made.capacity < step.capacity and made.format == step.format:
        context.settle(
            lambda: host.grow_volume(step.pool, step.volume, step.capacity, format=step.format),
            lambda: _capacity(find_volume(context, host, step.pool, step.volume)) >= step.capacity,
            "the volume did not grow",
        )


def _capacity(volume: ObservedVolume | None) -> int:
    return volume.capacity if volume is not None else 0


class _Nothing:
    """A sink that only has bytes counted."""

    def write(self, chunk: bytes, /) -> int:
        return len(chunk)


class _Remote(io.RawIOBase):
    """A volume's file, read piece by piece while another is written."""

    def __init__(self, host: Hypervisor, pool: str, volume: str, length: int, context: ActionContext) -> None:
        super().__init__()
        self.length = length
        self._where = (host, pool, volume)
        self._context = context
        self._at = 0
        self._sent = 0
        self._buffer = io.BytesIO()
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def report(self, more: int) -> None:
        self._sent += more
        self._context.on_progress(self._sent, self.length)
        if self._context.stop.is_set():
            raise HandedBack

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._buffer.read(size)
        if not chunk and self._at < self.length:
            self._fetch()
            chunk = self._buffer.read(size)
        self._hash.update(chunk)
        return chunk

    def _fetch(self) -> None:
        host, pool, volume = self._where
        self._buffer = io.BytesIO()
        wanted = min(_CHUNK, self.length - self._at)
        got = host.download_volume(pool, volume, self._buffer, lambda _more: None, offset=self._at, length=wanted)
        self._at = self._at + got if got else self.length
        self._buffer.seek(0)


def switch_disks(step: SwitchDisks, context: ActionContext, host: Hypervisor) -> None:
    """One call of libvirt: killed before it, the VM has its old disks, and those are kept; after it, the new ones.

    That it was done is in the definition itself: it is never done again, also where the ledger does not hear of it.
    """
    mark = step.config.mark
    if mark is None or mark.fleet != context.fleet_name or mark.restore != step.done:
        raise context.refuse("the planned configuration does not carry the mark of its restore")
    domain = own_domain(context, host, step.config.name, step.config.uuid)
    if domain.config.mark != mark:
        if domain.active:
            raise context.refuse("it runs again, so its disks stay as they are")
        if domain.fingerprint != step.expect_fingerprint:
            raise context.refuse("the domain was changed since the plan was made")
        check_true_copy(context, domain.config)
        _check_new_disks(step, context, mark.vm)
        _bury(step, context, mark.vm, step.config.uuid)
        context.settle(
            lambda: host.define_domain(step.config),
            lambda: (found := find_domain(host, step.config.uuid)) is not None and found.config.mark == mark,
            "the new disks were taken and not kept",
        )
    check_ownership(context, domain)
    done = RestoreDone(mark.vm, step.done, context.clock.now(), step.source, step.starts)
    context.ledger.finish_restore(done, {(mark.vm, swap.disk): swap.new for swap in step.swaps})
    context.ledger.unbury([(swap.pool, swap.new, context.intent_host(swap.pool) and swap.host) for swap in step.swaps])


def _check_new_disks(step: SwitchDisks, context: ActionContext, vm: str) -> None:
    whole = {made.volume for made in context.ledger.restoring(vm) if made.copied and made.value == value_of(step.done)}
    for swap in step.swaps:
        storage = context.host_named(swap.host)
        volume = find_volume(context, storage, swap.pool, swap.new)
        if volume is None or (step.made and swap.new not in whole):
            raise context.refuse(f"volume {swap.new} is {'gone' if volume is None else 'not known to be whole'}")
        wanted = next(disk for disk in step.config.disks if disk.path.rpartition("/")[2] == swap.new)
        if wanted.format == "qcow2" and volume.format != "qcow2":
            raise context.refuse(f"volume {swap.new} is {volume.format}, not qcow2")
        check_unused(context, storage, swap.pool, volume)


def _bury(step: SwitchDisks, context: ActionContext, vm: str, uuid: str) -> None:
    """What is replaced is kept; what is gone already can't be."""
    now = context.clock.now()
    left = tuple(
        (swap.pool, swap.old)
        for swap in step.swaps
        if find_volume(context, context.host_named(swap.host), swap.pool, swap.old) is not None
    )
    if left:
        tombstone = Tombstone(
            vm=vm,
            kind="replaced",
            since=now,
            expires_at=now + step.retention,
            host=context.action.host or "",
            volumes=left,
            uuid=uuid,
            restore=step.source,
        )
        context.ledger.bury(tombstone, instant_of(context.clock))
