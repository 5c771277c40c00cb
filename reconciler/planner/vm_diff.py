"""Typed against typed: which owned fields of a domain differ, and how much it hurts to change each."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig, WatchdogConfig
from reconciler.model.identity import DiskVolume, parse_disk_volume
from reconciler.model.plan import Disruption, FieldChange
from reconciler.model.quantities import format_size
from reconciler.planner.vm_limits import bandwidth_words, io_words

_ALIASES: Final = {"q35": "pc-q35-", "pc": "pc-i440fx-"}


def same_machine(desired: str, observed: str) -> bool:
    """Whether `observed` is `desired`, or the version that libvirt made of an unversioned name."""
    alias = _ALIASES.get(desired)
    return desired == observed or (alias is not None and observed.startswith(alias))


def kept_machine(desired: DomainConfig, observed: DomainConfig) -> str:
    """An unversioned machine type keeps the version that it got first."""
    return observed.machine if same_machine(desired.machine, observed.machine) else desired.machine


_Field = tuple[str, Callable[[DomainConfig], object], Callable[[object], str]]


def _size(value: object) -> str:
    return format_size(value) if isinstance(value, int) else str(value)


def _yes_no(value: object) -> str:
    return "yes" if value else "no"


def _watchdog(value: object) -> str:
    return f"{value.model}, {value.action}" if isinstance(value, WatchdogConfig) else "none"


def _or_none(value: object) -> str:
    return str(value or "none")


def _text(value: object) -> str:
    """On one line, not longer than is worth reading in a plan."""
    return textwrap.shorten(str(value), 60, placeholder=" …") or "none"


_SCALARS: Final[tuple[_Field, ...]] = (
    ("memory", attrgetter("memory"), _size),
    ("cpu.count", attrgetter("vcpus"), str),
    ("firmware", attrgetter("firmware"), str),
    ("domainType", attrgetter("domain_type"), str),
    ("graphics", attrgetter("graphics"), str),
    ("guest agent channel", attrgetter("agent_channel"), _yes_no),
    ("serial console", attrgetter("serial_console"), _yes_no),
    ("console log", attrgetter("console_log"), _or_none),
    ("random number generator", attrgetter("rng"), _yes_no),
    ("memory balloon", attrgetter("balloon"), _yes_no),
    ("watchdog", attrgetter("watchdog"), _watchdog),
    ("clock", attrgetter("clock"), str),
    ("tpm", attrgetter("tpm"), str),
    ("title", attrgetter("title"), _or_none),
    ("description", attrgetter("description"), _text),
)
_all_scalars: Final = attrgetter(
    "memory",
    "vcpus",
    "firmware",
    "domain_type",
    "graphics",
    "agent_channel",
    "serial_console",
    "console_log",
    "rng",
    "balloon",
    "watchdog",
    "clock",
    "tpm",
    "title",
    "description",
)
"""The same fields at once: in most domains none of them differs."""


def diff(desired: DomainConfig, observed: DomainConfig) -> tuple[FieldChange, ...]:
    """Changes that bring `observed` to `desired`, in a fixed order, without autostart and mark.

    Every field takes effect when the guest next boots, so each change's disruption is `reboot`, or `rebuild` where it
    boots from another disk then.
    """
    return tuple(_changes(desired, observed))


def _changes(desired: DomainConfig, observed: DomainConfig) -> Iterator[FieldChange]:
    if _all_scalars(desired) != _all_scalars(observed):
        for name, read, write in _SCALARS:
            old, new = read(observed), read(desired)
            if old != new:
                yield _change(name, write(old), write(new))
    yield from _ceilings(desired, observed)
    if desired.cpu_model != observed.cpu_model:
        yield _change("cpu.model", observed.cpu_model, desired.cpu_model)
    if not same_machine(desired.machine, observed.machine):
        yield _change("machine", observed.machine, desired.machine)
    if desired.disks != observed.disks:
        yield from _disk_changes(desired.disks, observed.disks)
        yield from _boot_disk_change(desired.disks, observed.disks)
    if desired.seed != observed.seed:
        yield _change("cloudInit", _seed(observed.seed), _seed(desired.seed))
    if desired.nics != observed.nics:
        yield from _nic_changes(desired.nics, observed.nics)


def _ceilings(desired: DomainConfig, observed: DomainConfig) -> Iterator[FieldChange]:
    """A ceiling that merely follows its value is not worth a line of its own."""
    follows = desired.max_memory == desired.memory and observed.max_memory == observed.memory
    if desired.max_memory != observed.max_memory and not follows:
        yield _change("maxMemory", format_size(observed.max_memory), format_size(desired.max_memory))
    follows = desired.max_vcpus == desired.vcpus and observed.max_vcpus == observed.vcpus
    if desired.max_vcpus != observed.max_vcpus and not follows:
        yield _change("cpu.max", str(observed.max_vcpus), str(desired.max_vcpus))


def _disk_changes(desired: tuple[DiskConfig, ...], observed: tuple[DiskConfig, ...]) -> Iterator[FieldChange]:
    wanted = {disk.path: disk for disk in desired}
    there = {disk.path: disk for disk in observed}
    for path in sorted(wanted.keys() | there.keys()):
        new, old = wanted.get(path), there.get(path)
        if new is None:
            yield _disk_gone(path, old, is_boot_disk=path == observed[0].path)
        elif new != old:
            yield from _disk_change(f"disks[{_disk_name(path)}]", old, new)


def _boot_disk_change(desired: tuple[DiskConfig, ...], observed: tuple[DiskConfig, ...]) -> Iterator[FieldChange]:
    """The first disk is what the guest boots from; one that is gone is told by itself."""
    old, new = (disks[0].path if disks else "" for disks in (observed, desired))
    if old != new and any(disk.path == old for disk in desired):
        yield _change("boot disk", _disk_name(old), _disk_name(new), "rebuild")


def _disk_change(name: str, old: DiskConfig | None, new: DiskConfig) -> Iterator[FieldChange]:
    if old is None:
        yield _change(name, "none", _disk(new, None))
        return
    if replace(old, io_tune=new.io_tune) != new:
        yield _change(name, _disk(old, new), _disk(new, old))
    if old.io_tune != new.io_tune:
        yield _change(f"{name}.ioTune", io_words(old.io_tune), io_words(new.io_tune))


def _disk_gone(path: str, old: DiskConfig | None, *, is_boot_disk: bool) -> FieldChange:
    """With its boot disk a guest loses its system: what comes up next is another one. Somebody's disk is just gone."""
    name = f"disks[{_disk_name(path)}]"
    if _of_a_vm(path) is None:
        return _change(name, _disk(old, None), "none")
    kept = f"unplugged, kept as {path.rsplit('/', 1)[-1]}"
    return _change(name, _disk(old, None), kept, "rebuild" if is_boot_disk else "reboot")


def _of_a_vm(path: str) -> DiskVolume | None:
    """What the file's name says, where it is named as a disk of a VM of any fleet."""
    volume = path.rsplit("/", 1)[-1]
    return parse_disk_volume(volume.partition(".")[0], volume)


def _disk_name(path: str) -> str:
    """`root` of `…/fleet.vm.root.qcow2`, else the file's name."""
    disk = _of_a_vm(path)
    return path.rsplit("/", 1)[-1] if disk is None else disk.disk


def _disk(disk: DiskConfig | None, other: DiskConfig | None) -> str:
    if disk is None:
        return "none"
    if other is None:
        return f"{disk.format} on {disk.bus}"
    access = " read-only" if disk.read_only else ""
    return f"{disk.format} on {disk.bus} as {disk.target}{access}"


def _seed(seed: DiskConfig | None) -> str:
    return "none" if seed is None else seed.path.rsplit("/", 1)[-1]


def _nic_changes(desired: tuple[NicConfig, ...], observed: tuple[NicConfig, ...]) -> Iterator[FieldChange]:
    wanted = {nic.mac: nic for nic in desired}
    there = {nic.mac: nic for nic in observed}
    for mac in sorted(wanted.keys() | there.keys()):
        new, old = wanted.get(mac), there.get(mac)
        if new is None or old is None:
            yield _change(f"networks[{mac}]", _nic(old), _nic(new))
        elif new != old:
            yield from _nic_change(f"networks[{mac}]", old, new)


def _nic_change(name: str, old: NicConfig, new: NicConfig) -> Iterator[FieldChange]:
    if replace(old, link=new.link, bandwidth=new.bandwidth) != new:
        yield _change(name, _nic(old), _nic(new))
    if old.link != new.link:
        yield _change(f"{name}.link", old.link, new.link)
    if old.bandwidth != new.bandwidth:
        yield _change(f"{name}.bandwidth", bandwidth_words(old.bandwidth), bandwidth_words(new.bandwidth))


def _nic(nic: NicConfig | None) -> str:
    return "none" if nic is None else f"{nic.network} ({nic.model})"


def _change(field: str, old: str, new: str, disruption: Disruption = "reboot") -> FieldChange:
    return FieldChange(field=field, old=old, new=new, disruption=disruption)
