"""Whose a volume of the fleet is, by its name alone."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from reconciler.model.identity import parse_disk_volume, volume_prefix

_SEED: Final = re.compile(r"([^.]+)\.seed-[0-9a-f]{16}\.iso")


class Owner(Struct, frozen=True):
    """The VM that a disk or seed was made for."""

    vm: str
    disk: str
    """Empty for a seed."""


def owner_of(fleet: str, volume: str) -> Owner | None:
    """None for what is no disk or seed of a VM of the fleet, such as a base."""
    disk = parse_disk_volume(fleet, volume)
    if disk is not None:
        return Owner(disk.vm, disk.disk)
    prefix = volume_prefix(fleet)
    seed = _SEED.fullmatch(volume.removeprefix(prefix)) if volume.startswith(prefix) else None
    return Owner(seed[1], "") if seed is not None else None
