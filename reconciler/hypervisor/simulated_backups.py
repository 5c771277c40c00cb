"""The door to the backups of one simulated host."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hypervisor import simulated_backup as backups
from reconciler.hypervisor.simulated_door import SimulatedDoor
from reconciler.model.backup import BackupDisk, BackupEnd, BackupJob


class SimulatedBackups(SimulatedDoor):
    """The part of Hypervisor that copies disks of running domains."""

    def freeze_filesystems(self, uuid: str) -> int:
        with self._mutation("freeze_filesystems", uuid):
            return backups.freeze(self._state, uuid)

    def thaw_filesystems(self, uuid: str) -> int:
        with self._mutation("thaw_filesystems", uuid):
            return backups.thaw(self._state, uuid)

    def begin_backup(
        self, uuid: str, disks: Sequence[BackupDisk], *, checkpoint: str = "", incremental: str = ""
    ) -> None:
        with self._mutation("begin_backup", uuid):
            backups.begin(self._world, self._state, uuid, disks, checkpoint, incremental)

    def limit_backup(self, uuid: str, bandwidth: int) -> None:
        with self._mutation("limit_backup", uuid):
            backups.limit(self._state, uuid, bandwidth)

    def backup_job(self, uuid: str) -> BackupJob | None:
        with self._call("backup_job", uuid):
            return backups.job(self._state, uuid)

    def finished_backup(self, uuid: str) -> BackupEnd | None:
        with self._call("finished_backup", uuid):
            return backups.finished(self._state, uuid)

    def abort_backup(self, uuid: str) -> None:
        with self._mutation("abort_backup", uuid):
            backups.abort(self._state, uuid)

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        with self._call("checkpoints", uuid):
            return backups.checkpoints(self._state, uuid)

    def delete_checkpoint(self, uuid: str, name: str) -> None:
        with self._mutation("delete_checkpoint", uuid):
            backups.delete_checkpoint(self._state, uuid, name)
