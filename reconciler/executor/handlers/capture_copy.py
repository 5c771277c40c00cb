"""The disks of a VM copied as of one instant: by libvirt's backup as it runs, or volume by volume while it is off."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from reconciler.errors import HostBusy, HostError, HostTimeout, HostUnreachable, TransientHostError
from reconciler.executor.backoff import growing_delays
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.handlers.capture_remains import Cancelled, is_ours
from reconciler.executor.handlers.capture_volumes import VERSION_MODE
from reconciler.executor.preconditions import find_volume
from reconciler.model.backup import BackupDisk
from reconciler.model.capture_steps import CaptureImage
from reconciler.model.ledger import Capture
from reconciler.model.version import Consistency

_LONGEST_PAUSE: Final = 1.0
_PAUSE_GROWS_BY: Final = 1.1
"""So the end of a copy is seen a tenth of its time late at most."""
_TOLD_EVERY: Final = 2.0
"""Seconds between two notes of how far it is, for whoever looks."""
_SILENCE: Final = 30.0
"""Seconds after which a host that does not answer is left to a later plan; its copy goes on by itself."""
_THAW_PATIENCE: Final = 30.0


class Lost(Exception):
    """How what was copied ended can't be told any more; the text says why."""


class Copying:
    """One capture until its disks are copied."""

    def __init__(self, step: CaptureImage, context: ActionContext) -> None:
        self._step: Final = step
        self._context: Final = context
        self._host: Final = context.host_named(step.host)
        self._told_at = 0.0
        self.may_go_on = False
        """Whether libvirt was asked: then its copy may go on by itself, whatever becomes of us."""

    def carry_on(self, capture: Capture, *, is_new: bool) -> None:
        """Return once all is copied, and on record as such.

        Raises Lost where that can't be told, Cancelled, HandedBack; HostError where it failed, or can't be asked now.
        """
        if capture.phase == "frozen" and not self._step.is_off:
            self._thaw(is_certain=capture.consistency == "quiesced")
        if is_new:
            self._begin()
        elif not self._is_under_way():
            raise Lost("it was cut off, and whether all was copied is not known")
        if not self._step.is_off:
            self._context.ledger.note_capture_phase(self._step.image, "copying")
            self._follow()
        self._context.ledger.note_capture_phase(self._step.image, "sealing")

    # -- its beginning -------------------------------------------------------------------------------------------------
    def _begin(self) -> None:
        if self._step.is_off:
            self._copy_what_is_off()
            return
        for disk in self._step.disks:
            backing = disk.backing and find_volume(self._context, self._host, self._step.copy_pool, disk.backing)
            if disk.backing and not backing:
                raise self._context.refuse(f"volume {disk.backing} is gone, to which it would be the difference")
            self._context.patiently(
                lambda disk=disk, backing=backing: self._host.create_volume(  # type: ignore[misc]
                    self._step.copy_pool,
                    disk.copy,
                    format="qcow2",
                    capacity=disk.capacity,
                    backing=backing or None,
                    mode=VERSION_MODE,
                )
            )
        is_frozen, consistency = self._freeze()
        try:
            self._note_instant(consistency)
            self._begin_backup()
        finally:
            if is_frozen:
                self._thaw(is_certain=consistency == "quiesced")

    def _freeze(self) -> tuple[bool, Consistency]:
        """Whether the guest may stand still, and what that makes of the version."""
        step = self._step
        if step.quiesce == "never":
            return False, "crash-consistent"
        self._context.ledger.note_capture_phase(step.image, "frozen", taken_at=self._context.clock.now())
        try:
            self._host.freeze_filesystems(step.uuid)
        except (HostUnreachable, HostTimeout):
            raise
        except HostError as error:
            # It may stand still all the same: an agent that was late goes on with what it was asked for.
            with suppress(HostError):
                self._host.thaw_filesystems(step.uuid)
            if step.quiesce == "require":
                raise TransientHostError(
                    f"its guest does not stand still ({error.message}), and quiesce: require asks for that",
                    host=step.host,
                    target=str(self._context.action.target),
                    hint="see that qemu-guest-agent runs in the guest, or write quiesce: prefer",
                ) from error
            return isinstance(error, HostBusy), "crash-consistent"
        return True, "quiesced"

    def _note_instant(self, consistency: Consistency) -> None:
        now = self._context.clock.now()
        self._context.ledger.note_capture_phase(self._step.image, "frozen", taken_at=now, consistency=consistency)

    def _begin_backup(self) -> None:
        step = self._step
        disks = tuple(BackupDisk(disk.device, path) for disk, path in zip(step.disks, step.paths, strict=True))
        self.may_go_on = True
        try:
            self._host.begin_backup(step.uuid, disks, checkpoint=step.checkpoint, incremental=step.incremental)
        except HostTimeout:
            if not self._is_under_way():
                raise
        except HostError:
            self.may_go_on = False
            raise

    def _thaw(self, *, is_certain: bool) -> None:
        """A guest that stands still is let go whatever else; one that surely does is not given up."""
        try:
            self._context.patiently(lambda: self._host.thaw_filesystems(self._step.uuid), _THAW_PATIENCE)
        except (HostUnreachable, HostTimeout):
            raise
        except HostError:
            if is_certain and self._host.domain_state(self._step.uuid) == "running":
                raise

    def _copy_what_is_off(self) -> None:
        """Disk by disk: libvirt neither tells how far it is with one, nor lets itself be called off."""
        self._note_instant("offline")
        done, total = 0, sum(disk.capacity for disk in self._step.disks)
        for disk in self._step.disks:
            self._check_off()
            self._look()
            self._tell(done, total)
            self._host.clone_volume(
                self._step.copy_pool,
                disk.copy,
                format="qcow2",
                capacity=disk.capacity,
                source=disk.volume,
                source_format=disk.format,
                source_pool=disk.pool,
            )
            done += disk.capacity
        self._check_off()

    def _check_off(self) -> None:
        if self._host.domain_state(self._step.uuid) != "shutoff":
            raise Lost("somebody started it while its disks were copied")

    # -- on its way ----------------------------------------------------------------------------------------------------
    def _is_under_way(self) -> bool:
        job = self._host.backup_job(self._step.uuid)
        return job is not None and is_ours(job.targets, self._step)

    def _follow(self) -> None:
        if self._step.bandwidth:
            self._host.limit_backup(self._step.uuid, self._step.bandwidth)
        heard = self._context.clock.monotonic()
        for delay in growing_delays(0.05, _LONGEST_PAUSE, _PAUSE_GROWS_BY):
            try:
                job = self._host.backup_job(self._step.uuid)
            except TransientHostError:
                if self._context.clock.monotonic() - heard > _SILENCE:
                    raise
            else:
                heard = self._context.clock.monotonic()
                if job is None or not is_ours(job.targets, self._step):
                    break
                self._tell(job.done, job.total)
            self._look()
            if self._context.clock.wait(self._context.stop, delay):
                raise HandedBack
        self._check_end()

    def _tell(self, done: int, total: int) -> None:
        self._context.on_progress(done, total)
        now = self._context.clock.monotonic()
        if not self._told_at or now - self._told_at >= _TOLD_EVERY:
            self._told_at = now
            self._context.ledger.note_capture_progress(self._step.image, done, total)

    def _look(self) -> None:
        capture = self._context.ledger.capture(self._step.image)
        if capture is not None and capture.cancelled:
            self._host.abort_backup(self._step.uuid)
            raise Cancelled

    def _check_end(self) -> None:
        end = self._host.finished_backup(self._step.uuid)
        if end is None:
            raise Lost("libvirt has forgotten how the copy ended")
        if not end.succeeded:
            raise Lost(f"the copy ended early ({end.error or 'libvirt gave no reason'})")
