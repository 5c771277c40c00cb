"""Names of disks within a guest: `vda`, `vdb`, `sda`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_LETTERS: Final = "abcdefghijklmnopqrstuvwxy"
_BUS_PREFIX: Final = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}


def disk_targets(wanted: Sequence[tuple[str, str]], there: Mapping[str, str]) -> dict[str, str]:
    """The name of each disk by path: `wanted` are path and bus in the spec's order, `there` are names by path now.

    A disk keeps its name. libvirt sorts the disks of a bus by name and boots from the first, so the spec's first disk
    comes first: where it would not, all on its bus are named anew, in the spec's order.
    """
    kept = {path: there[path] for path, bus in wanted if there.get(path, "").startswith(_BUS_PREFIX[bus])}
    boot, prefix = (wanted[0][0], _BUS_PREFIX[wanted[0][1]]) if wanted else ("", "")
    beside = [name for name in kept.values() if name.startswith(prefix)]
    if boot not in kept or kept[boot] != min(beside, key=_rank):
        kept = {path: name for path, name in kept.items() if not name.startswith(prefix)}
    names = dict(kept)
    taken = set(kept.values()) | {name for path, name in there.items() if path not in kept and boot in kept}
    for path, bus in wanted:
        if path not in names:
            after = names.get(boot, "") if _BUS_PREFIX[bus] == prefix else ""
            names[path] = _free(_BUS_PREFIX[bus], taken, after)
            taken.add(names[path])
    return names


def _free(prefix: str, taken: set[str], after: str) -> str:
    names = (f"{prefix}{first}{letter}" for first in ("", *_LETTERS) for letter in _LETTERS)
    return next(name for name in names if name not in taken and _rank(name) > _rank(after))


def _rank(name: str) -> tuple[int, str]:
    """In libvirt's order: `vdz` before `vdaa`."""
    return len(name), name
