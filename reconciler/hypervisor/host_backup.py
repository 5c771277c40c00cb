"""Copies of running domains' disks at one instant, and what has their guests stand still for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from lxml import etree

from reconciler.errors import HostRefused, ObjectNotFound
from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.connection import HostConnection
from reconciler.hypervisor.domain_calls import with_domain
from reconciler.hypervisor.libvirt_errors import NO_BACKUP, NO_CHECKPOINT, OPERATION_INVALID
from reconciler.hypervisor.xml_nodes import from_text
from reconciler.model.backup import BackupDisk, BackupEnd, BackupJob

T = TypeVar("T")
_FREEZE_SECONDS: Final = 20
"""The agent writes out what its guest has cached first; a guest that takes longer would stand still for longer."""
_THAW_SECONDS: Final = 10


class HostBackups:
    """Backup calls of one host."""

    def __init__(self, connection: HostConnection) -> None:
        self._connection: Final = connection

    def freeze(self, uuid: str) -> int:
        return self._ask_agent(uuid, "guest-fsfreeze-freeze", _FREEZE_SECONDS)

    def thaw(self, uuid: str) -> int:
        return self._ask_agent(uuid, "guest-fsfreeze-thaw", _THAW_SECONDS)

    def _ask_agent(self, uuid: str, command: str, seconds: int) -> int:
        def work(domain: Any) -> int:
            return int(json.loads(lv.ask_agent(domain, command, seconds))["return"])

        return self._with_domain(uuid, work)

    def begin(self, uuid: str, disks: Sequence[BackupDisk], checkpoint: str, incremental: str) -> None:
        wanted = {disk.device: disk for disk in disks}

        def work(domain: Any) -> None:
            self._check_sizes(domain, wanted)
            devices = _devices(domain.XMLDesc(0))
            backup = _backup_xml(devices, wanted, incremental)
            point = _checkpoint_xml(devices, wanted, checkpoint) if checkpoint else None
            domain.backupBegin(backup, point, lv.BACKUP_REUSE_EXTERNAL)

        self._with_domain(uuid, work)

    def _check_sizes(self, domain: Any, wanted: dict[str, BackupDisk]) -> None:
        """Refuse a file that is smaller than its disk: libvirtd 9.0 does not, and crashes.

        Raises lv.LibvirtError for a file that libvirt has in no pool.
        """
        for device, disk in wanted.items():
            size = int(domain.blockInfo(device)[0])
            room = int(domain.connect().storageVolLookupByPath(disk.path).info()[1])
            if room < size:
                raise HostRefused(
                    f"{disk.path} has room for {room} bytes, and disk {device} has {size}",
                    host=self._connection.name,
                    target=f"VirtualMachine/{domain.name()}",
                    hint="plan again: the disk has grown",
                )

    def limit(self, uuid: str, bandwidth: int) -> None:
        """Each disk's part of the job gets its share; one that is through already has nothing to limit."""

        def work(domain: Any) -> None:
            devices = _backed_up(domain)
            for device in devices:
                with suppress(lv.LibvirtError):
                    domain.blockJobSetSpeed(device, max(1, bandwidth // len(devices)), lv.BLOCK_SPEED_BYTES)

        self._with_domain(uuid, work)

    def job(self, uuid: str) -> BackupJob | None:
        def work(domain: Any) -> BackupJob | None:
            try:
                targets = _targets(domain.backupGetXMLDesc(0))
                stats = domain.jobStats(0)
            except lv.LibvirtError as error:
                if error.get_error_code() in (NO_BACKUP, OPERATION_INVALID):
                    return None
                raise
            return BackupJob(int(stats.get("disk_processed", 0)), int(stats.get("disk_total", 0)), targets)

        with suppress(ObjectNotFound):
            return self._with_domain(uuid, work, changes=False)
        return None

    def finished(self, uuid: str) -> BackupEnd | None:
        def work(domain: Any) -> BackupEnd | None:
            try:
                stats = domain.jobStats(lv.JOB_STATS_COMPLETED | lv.JOB_STATS_KEEP)
            except lv.LibvirtError as error:
                if error.get_error_code() == OPERATION_INVALID:
                    return None
                raise
            if stats.get("operation") != lv.JOB_BACKUP:
                return None
            _let_libvirt_close(domain)
            succeeded = stats.get("type") in lv.JOB_ENDED and stats.get("success", True)
            return BackupEnd(bool(succeeded), str(stats.get("errmsg", "")))

        with suppress(ObjectNotFound):
            return self._with_domain(uuid, work, changes=False)
        return None

    def abort(self, uuid: str) -> None:
        def work(domain: Any) -> None:
            try:
                domain.backupGetXMLDesc(0)
                domain.abortJob()
            except lv.LibvirtError as error:
                if error.get_error_code() not in (NO_BACKUP, OPERATION_INVALID):
                    raise

        with suppress(ObjectNotFound):
            self._with_domain(uuid, work)

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        def work(domain: Any) -> tuple[str, ...]:
            return tuple(sorted(point.getName() for point in domain.listAllCheckpoints(0)))

        return self._with_domain(uuid, work, changes=False)

    def delete_checkpoint(self, uuid: str, name: str) -> None:
        def work(domain: Any) -> None:
            try:
                domain.checkpointLookupByName(name, 0).delete(0)
            except lv.LibvirtError as error:
                if error.get_error_code() != NO_CHECKPOINT:
                    raise

        self._with_domain(uuid, work)

    def _with_domain(self, uuid: str, work: Callable[[Any], T], *, changes: bool = True) -> T:
        return with_domain(self._connection, uuid, work, changes=changes)


def _let_libvirt_close(domain: Any) -> None:
    """Wait until QEMU has closed the files that it copied into: what it keeps of their tables is written only then.

    libvirt tells of a copy's end a moment before that, and what asks QEMU anything waits until it is done with both.
    """
    try:
        domain.memoryStats()
    except lv.LibvirtError as error:
        if error.get_error_code() != OPERATION_INVALID:  # it does not run any more: then all is closed
            raise


def _devices(xml: str) -> tuple[str, ...]:
    """Device names of the domain's disks; libvirt wants to be told of each whether it is meant."""
    return tuple(str(target.get("dev")) for target in from_text(xml).iterfind("devices/disk/target"))


def _backup_xml(devices: Sequence[str], wanted: dict[str, BackupDisk], incremental: str) -> str:
    root = etree.Element("domainbackup", mode="push")
    if incremental:
        etree.SubElement(root, "incremental").text = incremental
    disks = etree.SubElement(root, "disks")
    for device in devices:
        disk = wanted.get(device)
        if disk is None:
            etree.SubElement(disks, "disk", name=device, backup="no")
            continue
        element = etree.SubElement(disks, "disk", name=device, backup="yes", type="file")
        etree.SubElement(element, "driver", type=disk.format)
        etree.SubElement(element, "target", file=disk.path)
    return etree.tostring(root, encoding="unicode")


def _checkpoint_xml(devices: Sequence[str], wanted: dict[str, BackupDisk], name: str) -> str:
    root = etree.Element("domaincheckpoint")
    etree.SubElement(root, "name").text = name
    disks = etree.SubElement(root, "disks")
    for device in devices:
        etree.SubElement(disks, "disk", name=device, checkpoint="bitmap" if device in wanted else "no")
    return etree.tostring(root, encoding="unicode")


def _targets(xml: str) -> tuple[str, ...]:
    return tuple(str(target.get("file")) for target in from_text(xml).iterfind("disks/disk/target"))


def _backed_up(domain: Any) -> tuple[str, ...]:
    root = from_text(domain.backupGetXMLDesc(0))
    return tuple(str(disk.get("name")) for disk in root.iterfind("disks/disk") if disk.get("backup") == "yes")
