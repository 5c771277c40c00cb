"""Disks that were truncated, overwritten or removed behind the VM's back: told, never started with, never replaced."""

from __future__ import annotations

from reconciler.model.identity import volume_prefix
from reconciler.model.inventory import ObservedPool, ObservedVolume
from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import Disk, VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.version_sources import newest_of_vm
from reconciler.planner.world import World


def damage_of(disk: Disk, there: ObservedVolume) -> str:
    """What is wrong with the volume of a disk; empty if nothing is known to be.

    A qcow2 file begins with a header that no guest can write to. What a raw one begins with is its guest's business.
    """
    if disk.format == "qcow2" and there.format != "qcow2":
        return f"its file {there.path} is no qcow2 image any more"
    return f"its file {there.path} is empty" if there.capacity == 0 else ""


def is_mounted(world: World, pool: ObservedPool | None) -> bool:
    """Whether the pool shows anything of the fleet: else it is the storage that is gone, not a disk."""
    prefix = volume_prefix(world.fleet)
    return pool is not None and any(name.startswith(prefix) for name in pool.volumes or ())


def report_damaged(
    world: World, draft: Draft, vm: VirtualMachine, host: str, disk: Disk, found: tuple[str, str]
) -> None:
    """Say what was `found`, and how to look at it, with the version that would bring the disk back."""
    what, hint = found
    version = newest_of_vm(world, vm.name, disk.name)
    way = "" if version is None else f"restore: {{image: {version.image}}} in its spec brings back {version.name}"
    draft.wait(
        ObjectRef("VirtualMachine", vm.name),
        "disk-damaged",
        f"disk {disk.name} is damaged: {what}",
        severity="blocked",
        host=host,
        hint="; ".join(part for part in (way, hint) if part),
    )
