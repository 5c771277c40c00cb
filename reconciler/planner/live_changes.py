"""Which differences between a running guest and its spec can go without a reboot, and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig
from reconciler.model.live_edit import (
    Adjust,
    Describe,
    EjectSeed,
    InsertSeed,
    LiveEdit,
    Plug,
    Replug,
    SetMemory,
    SetVcpus,
    Unplug,
    edited,
)
from reconciler.model.plan import FieldChange
from reconciler.model.virtual_machine import UpdatePolicy
from reconciler.planner.vm_diff import diff

_HOT_BUSES: Final = frozenset({"virtio", "scsi"})


class LiveChange(Struct, frozen=True):
    """One thing to do to the running guest, the fields that it is for, and a short name that tells it from others."""

    edit: LiveEdit
    changes: tuple[FieldChange, ...]
    part: str
    after: str = ""
    """Part of the one that has to be done before."""

    @property
    def detail(self) -> str:
        """`plug vdb while it runs`."""
        return f"{self.part.replace('-', ' ', 1)} while it runs"


class LivePlan(Struct, frozen=True):
    """What can be done now, and what needs a reboot."""

    changes: tuple[LiveChange, ...]
    pending: tuple[FieldChange, ...]


def plan_live(desired: DomainConfig, live: DomainConfig, policy: UpdatePolicy) -> LivePlan:
    """Split what differs, each field to the least disruptive way that works; both in a fixed order.

    `stage` leaves all for the next boot; so does `restart` where something needs one, as that brings about everything.
    """
    made: list[LiveChange] = []
    now = live
    for edit, part in _edits(desired, live):
        then = edited(now, edit)
        gone = tuple(replace(change, disruption="live") for change in _gone(desired, before=now, after=then))
        made.append(LiveChange(edit, gone, part, after=_unplugged_first(edit, made)))
        now = then
    pending = diff(desired, now)
    if policy == "stage" or (policy == "restart" and pending):
        return LivePlan((), diff(desired, live))
    return LivePlan(tuple(made), pending)


def staged(changes: tuple[FieldChange, ...], planned: LivePlan) -> tuple[FieldChange, ...]:
    """Of what differs in the definition of a running VM, what is not told by an edit, with how much that hurts.

    What the guest has already, as somebody changed it alone, costs nothing.
    """
    edited_fields = {change.field for made in planned.changes for change in made.changes}
    pending = {change.field for change in planned.pending}
    left = (change for change in changes if change.field not in edited_fields)
    return tuple(
        change if change.field in pending or change.disruption == "rebuild" else replace(change, disruption="none")
        for change in left
    )


def _unplugged_first(edit: LiveEdit, made: list[LiveChange]) -> str:
    """The part that frees the name which a disk is to have; empty where none has to."""
    disk = edit.seed if isinstance(edit, InsertSeed) else edit.device if isinstance(edit, Plug) else None
    if not isinstance(disk, DiskConfig):
        return ""
    part = f"unplug-{disk.target}"
    return part if any(change.part == part for change in made) else ""


def _gone(desired: DomainConfig, *, before: DomainConfig, after: DomainConfig) -> Iterator[FieldChange]:
    """What differs before an edit and no more after it: the fields that the edit is for."""
    left = {change.field for change in diff(desired, after)}
    yield from (change for change in diff(desired, before) if change.field not in left)


def _edits(desired: DomainConfig, live: DomainConfig) -> Iterator[tuple[LiveEdit, str]]:
    if desired.memory != live.memory and live.balloon and desired.memory <= live.max_memory:
        yield SetMemory(desired.memory), "memory"
    if desired.vcpus != live.vcpus and desired.vcpus <= live.max_vcpus and _may_set_vcpus(desired, live):
        yield SetVcpus(desired.vcpus), "cpu"
    yield from _disk_edits(desired, live)
    yield from _seed_edits(desired.seed, live)
    yield from _nic_edits(desired, live)
    if (desired.title, desired.description) != (live.title, live.description):
        yield Describe(desired.title, desired.description), "title"


def _may_set_vcpus(desired: DomainConfig, live: DomainConfig) -> bool:
    """Under emulation a CPU that the guest lets go of takes QEMU with it (seen with 7.2)."""
    return desired.vcpus > live.vcpus or live.domain_type == "kvm"


def _disk_edits(desired: DomainConfig, live: DomainConfig) -> Iterator[tuple[LiveEdit, str]]:
    wanted, there = {disk.path: disk for disk in desired.disks}, {disk.path: disk for disk in live.disks}
    boot_disk = live.disks[0].path if live.disks else ""  # a guest does not live on without its system
    leaving = sorted(there.keys() - wanted.keys() - {boot_disk})
    gone = [there[path] for path in leaving if there[path].bus in _HOT_BUSES]
    taken = {disk.target for disk in (*live.disks, live.seed) if disk is not None} - {disk.target for disk in gone}
    for disk in gone:
        yield Unplug(disk), f"unplug-{disk.target}"
    for path in sorted(wanted.keys() - there.keys()):
        disk = wanted[path]
        if disk.target not in taken and _has_port(disk, live):
            yield Plug(disk), f"plug-{disk.target}"
    for path in sorted(wanted.keys() & there.keys()):
        disk, old = wanted[path], there[path]
        if disk != old and replace(old, io_tune=disk.io_tune) == disk:
            yield Adjust(disk), f"adjust-{disk.target}"


def _seed_edits(wanted: DiskConfig | None, live: DomainConfig) -> Iterator[tuple[LiveEdit, str]]:
    """The seed is a disk like others: its medium can't be changed, but it can be taken out for another one."""
    old = live.seed
    if old == wanted or (old is not None and old.bus not in _HOT_BUSES):
        return
    if old is not None:
        yield EjectSeed(old), f"unplug-{old.target}"
    if wanted is not None and all(wanted.target != disk.target for disk in live.disks):
        yield InsertSeed(wanted), f"plug-{wanted.target}"


def _has_port(disk: DiskConfig, live: DomainConfig) -> bool:
    """Virtio disks have spare ports; a SCSI disk needs the controller that the first one brought at boot."""
    return disk.bus == "virtio" or (disk.bus == "scsi" and any(other.bus == "scsi" for other in live.disks))


def _nic_edits(desired: DomainConfig, live: DomainConfig) -> Iterator[tuple[LiveEdit, str]]:
    wanted, there = {nic.mac: nic for nic in desired.nics}, {nic.mac: nic for nic in live.nics}
    for mac in sorted(there.keys() - wanted.keys()):
        yield Unplug(there[mac]), f"unplug-{mac}"
    for mac in sorted(wanted.keys()):
        nic, old = wanted[mac], there.get(mac)
        if old is None:
            yield Plug(nic), f"plug-{mac}"
        elif old != nic and _same_card(old, nic):
            yield (Adjust(nic), f"adjust-{mac}") if old.network == nic.network else (Replug(nic), f"replug-{mac}")


def _same_card(old: NicConfig, new: NicConfig) -> bool:
    return replace(old, network=new.network, link=new.link, bandwidth=new.bandwidth) == new
