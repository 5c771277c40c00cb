"""Drills: a throw-away VM on overlays of a version, alone on a network; all of it goes again, however it ends."""

from __future__ import annotations

import re
from contextlib import closing, suppress
from typing import Final

from reconciler.errors import HostError, ObjectConflict, ReconcilerError, TransientHostError
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.preconditions import find_domain, find_volume
from reconciler.hypervisor.console import Console
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.domain import ACTIVE_STATES
from reconciler.model.drill import DrillDisk, DrillResult
from reconciler.model.inventory import ObservedVolume
from reconciler.model.quantities import format_duration
from reconciler.model.steps import DrillImage, EndDrill

_GLANCE: Final = 1.0
_LINE: Final = 512
"""Characters of a line that are looked at: what a guest prints is not to keep the controller busy."""
_KEPT: Final = 8 << 10


def drill_image(step: DrillImage, context: ActionContext, host: Hypervisor) -> str:
    """Killed at any time: what is left has names of its own, by which the next pass finds and removes it.

    Nothing is on record before it has ended, so that it is due still.
    """
    storage = context.host_named(step.pool_host)
    _remove(step.config.name, step.config.uuid, context, host)
    backings = [_backing(step, disk, context, storage) for disk in step.disks]
    begun = context.clock.monotonic()
    try:
        passed, detail = _tried(step, context, host, storage, backings)
    except (ReconcilerError, HandedBack):
        with suppress(HostError):
            _clean(step, context, host, storage)
        raise
    seconds = context.clock.monotonic() - begun
    result = DrillResult(step.stamp, context.clock.now(), passed, detail, seconds)
    context.ledger.note_drill(step.image, result)
    _clean(step, context, host, storage)
    return detail if passed else f"failed: {detail}"


def end_drill(step: EndDrill, context: ActionContext, host: Hypervisor) -> None:
    """Each part that is there is removed; what is gone already is fine."""
    _remove(step.domain, step.uuid, context, host)
    _remove_network(step.network, step.network_uuid, host)
    for pool, volume in step.volumes:
        context.patiently(lambda pool=pool, volume=volume: host.delete_volume(pool, volume))  # type: ignore[misc]


def _tried(
    step: DrillImage,
    context: ActionContext,
    host: Hypervisor,
    storage: Hypervisor,
    backings: list[ObservedVolume],
) -> tuple[bool, str]:
    host.define_network(step.network)
    for disk, backing in zip(step.disks, backings, strict=True):
        _make_overlay(step, disk, backing, context, storage)
    host.define_domain(step.config)
    try:
        host.start_domain(step.config.uuid)
    except TransientHostError:
        raise
    except HostError as error:
        return False, f"it could not be started: {error.message}"
    if not step.console:
        return _watched(step, context, host, None)
    with closing(host.open_console(step.config.uuid)) as console:
        return _watched(step, context, host, console)


def _watched(step: DrillImage, context: ActionContext, host: Hypervisor, console: Console | None) -> tuple[bool, str]:
    """Whether the guest does what it should before its time is over, and in words."""
    begun, uuid = context.clock.monotonic(), step.config.uuid
    said = ""
    while True:
        is_on = host.domain_state(uuid) in ACTIVE_STATES
        if console is not None:
            said = (said + console.read().decode(errors="replace"))[-_KEPT:]
        took = context.clock.monotonic() - begun
        if is_on and console is None and host.guest_answers(uuid):
            return True, f"its guest agent answered after {format_duration(round(took))}"
        if console is not None and _matches(step.console, said):
            return True, f"its console matched after {format_duration(round(took))}"
        if not is_on:
            return False, f"its guest ended by itself after {format_duration(round(took))}"
        if took >= step.timeout:
            missing = "nothing on its console matched" if step.console else "its guest agent did not answer"
            return False, f"{missing} within {format_duration(step.timeout)}"
        if context.clock.wait(context.stop, _GLANCE):
            raise HandedBack


def _matches(pattern: str, said: str) -> bool:
    return any(re.search(pattern, line[:_LINE]) for line in said.splitlines())


def _backing(step: DrillImage, disk: DrillDisk, context: ActionContext, storage: Hypervisor) -> ObservedVolume:
    """The version's own volume, found to stand on exactly what is on record."""
    found = [find_volume(context, storage, step.pool, volume) for volume in disk.chain]
    expected = [*(volume.path if volume else "" for volume in found[1:]), None]
    for name, volume, below in zip(disk.chain, found, expected, strict=True):
        if volume is None:
            raise context.refuse(f"volume {name} of the version is gone")
        if volume.format != "qcow2" or volume.backing_path != below:
            raise context.refuse(f"volume {name} stands on something else than what was recorded")
    top = found[0]
    if top is None or top.capacity != disk.capacity:
        raise context.refuse(f"volume {disk.chain[0]} is not as large as it was recorded")
    return top


def _make_overlay(
    step: DrillImage, disk: DrillDisk, backing: ObservedVolume, context: ActionContext, storage: Hypervisor
) -> None:
    context.patiently(lambda: storage.delete_volume(step.pool, disk.volume))
    context.patiently(
        lambda: storage.create_volume(step.pool, disk.volume, format="qcow2", capacity=disk.capacity, backing=backing)
    )


def _clean(step: DrillImage, context: ActionContext, host: Hypervisor, storage: Hypervisor) -> None:
    _remove(step.config.name, step.config.uuid, context, host)
    _remove_network(step.network.name, step.network.uuid, host)
    for disk in step.disks:
        context.patiently(lambda volume=disk.volume: storage.delete_volume(step.pool, volume))  # type: ignore[misc]


def _remove(name: str, uuid: str, context: ActionContext, host: Hypervisor) -> None:
    """Off and away with the throw-away VM; somebody else's that has its name is left alone."""
    domain = find_domain(host, uuid)
    if domain is None:
        named = host.domain_by_name(name)
        if named is not None:
            raise ObjectConflict(
                f"another domain has the name {name} (uuid {named.uuid})",
                host=host.name,
                target=str(context.action.target),
                hint="rename or remove that domain",
            )
        return
    if domain.config.mark is not None or domain.name != name:
        raise context.refuse(f"domain {domain.name} has the UUID of a throw-away VM, and is none")
    if domain.active:
        host.destroy_domain(uuid)
    if domain.persistent:
        host.undefine_domain(uuid, keep_nvram=False)


def _remove_network(name: str, uuid: str, host: Hypervisor) -> None:
    found = host.read().networks.get(name)
    if found is not None and found.uuid == uuid:
        host.undefine_network(name)
