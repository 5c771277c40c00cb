"""What a step does, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from urllib.parse import urlsplit

from reconciler.model import capture_steps, steps
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DiskConfig, NicConfig
from reconciler.model.live_edit import (
    Adjust,
    Describe,
    EjectSeed,
    InsertSeed,
    Plug,
    Replug,
    SetMemory,
    SetVcpus,
    Unplug,
)
from reconciler.model.plan import Action
from reconciler.model.quantities import approximate_size, format_duration
from reconciler.model.restores import RestoreDisk, SwitchDisks
from reconciler.model.version import instant_of

DiskImages = Mapping[tuple[str, str], str]
"""Image that a disk starts as, by VM and disk name."""


def disk_images(desired: DesiredState) -> DiskImages:
    """The image of each disk in the specs that has one."""
    return {(vm.name, disk.name): disk.image for vm in desired.vms.values() for disk in vm.spec.disks if disk.image}


def chain(actions: tuple[Action, ...], images: DiskImages) -> str:
    """What the actions do one after the other, each thing said once: `disk root 4GiB from debian-12, define, start`."""
    return ", ".join(dict.fromkeys(phrase(action, images) for action in actions))


def phrase(action: Action, images: DiskImages) -> str:
    """What one action does."""
    step = action.step
    if isinstance(step, steps.CreateVolume):
        return _create_volume(step, action.target.name, images)
    if isinstance(step, steps.StopDomain) and step.timeout <= 0 and action.detail:
        return action.detail  # whose copy it is, and why nobody waits for the guest
    if _is_told_by_the_planner(action) and action.detail:
        return action.detail
    if isinstance(step, steps.StopDomain) and action.why in ("drain", "placement-rule") and action.detail:
        return f"{_words(step)}, {action.detail.removeprefix('shut down ')}"
    return f"{_words(step)}{_what_moving_means(action, step)}"


def _is_told_by_the_planner(action: Action) -> bool:
    """Only that knows whether it is staged, what becomes of disks, and since when they were kept."""
    step = action.step
    if isinstance(step, steps.DefineDomain):
        return "comes back" in action.detail
    is_expired = isinstance(step, steps.DeleteVolume) and action.why == "expired"
    return is_expired or isinstance(
        step, steps.RedefineDomain | steps.AdoptDomain | steps.RenameDomain | steps.UndefineDomain | SwitchDisks
    )


def _what_moving_means(action: Action, step: steps.Step) -> str:
    """What a move for balance is worth, which only the planner knows, and what is done to a guest that writes a lot."""
    if not isinstance(step, steps.MigrateDomain) or step.begun:
        return ""
    worth = f", {action.detail.partition(': ')[2]}" if action.why == "balance" else ""
    if step.cold:
        return worth
    switches = ", by post-copy if its memory does not come to an end" if step.rules.post_copy else ""
    return f"{worth}{switches}{_at_the_deadline(action, step)}"


def _at_the_deadline(action: Action, step: steps.MigrateDomain) -> str:
    limit = format_duration(step.rules.deadline)
    if action.disruption == "reboot":
        return f"; not there within {limit}, it is shut down and started there"
    if step.rules.fallback == "pause":
        return f"; not there within {limit}, its guest stands still until it is, for {limit} more at the most"
    return ""


def _create_volume(step: steps.CreateVolume, vm: str, images: DiskImages) -> str:
    disk = _volume_part(step.volume)
    copy = "a copy of " if step.clone == "full" else ""
    origin = f" from {copy}{images.get((vm, disk), 'its base')}" if step.base else ""
    return f"disk {disk} {approximate_size(step.capacity)}{origin}"


def _volume_part(volume: str) -> str:
    """`root` of `default.web-1.root.qcow2`."""
    parts = volume.split(".")
    return parts[2] if len(parts) >= 4 else volume


def _volume_words(volume: str) -> str:
    part = _volume_part(volume)
    if part.startswith("seed-"):
        return "seed"
    return f"disk {part}" if len(volume.split(".")) >= 4 and not volume.endswith(".complete") else f"base {volume}"


@singledispatch
def _words(step: steps.Step) -> str:
    raise TypeError(f"no words for {type(step).__name__}")


@_words.register
def _(step: steps.FenceHost) -> str:
    return f"cut the power of {step.host} and have it confirmed"


@_words.register
def _(step: steps.MigrateDomain) -> str:
    disks = f" with {_disk_words(step)}" if step.disks else ""
    follow = "follow its move" if step.begun else "move"
    how = "is off, then start it" if step.cold and step.starts else "is off" if step.cold else "runs"
    return f"{follow} from {step.source} while it {how}{disks}"


def _disk_words(step: steps.MigrateDomain) -> str:
    size = approximate_size(sum(disk.capacity for disk in step.disks))
    return f"its local disk{'s' if len(step.disks) > 1 else ''} ({size})"


@_words.register
def _(step: capture_steps.CaptureImage) -> str:
    if step.give_up:
        return f"give up its capture of {step.domain}, as {step.give_up}"
    how = "is off" if step.is_off else "runs"
    disks = ", ".join(disk.name for disk in step.disks)
    size = approximate_size(sum(disk.capacity for disk in step.disks))
    return f"{'follow its capture' if step.begun else 'capture'} of {step.domain} while it {how}: {disks} ({size})"


@_words.register
def _(step: capture_steps.ReadVersions) -> str:
    count = len(step.manifests)
    return f"read {count} manifest{'s' if count > 1 else ''} in pool {step.pool}"


@_words.register
def _(step: steps.DefinePool) -> str:
    return f"define {step.config.type} pool at {step.config.target}"


@_words.register
def _(step: steps.StartPool) -> str:
    return _start_words(start=step.start, autostart=step.autostart)


@_words.register
def _(step: steps.StartNetwork) -> str:
    return _start_words(start=step.start, autostart=step.autostart)


def _start_words(*, start: bool, autostart: bool) -> str:
    if start:
        return "start"
    return f"autostart {'on' if autostart else 'off'}"


@_words.register
def _(step: steps.DefineNetwork) -> str:
    config = step.config
    where = f" on {config.bridge}" if config.mode == "bridge" and config.bridge else ""
    subnet = f" {config.subnet}" if config.subnet else ""
    return f"{'replace by' if step.redefine else 'define'} {config.mode}{where}{subnet}"


@_words.register
def _(step: steps.FetchImage) -> str:
    source = step.image.spec.source
    if source.url is None:
        return f"read {(source.path or '').rpartition('/')[2]}"
    parts = urlsplit(source.url)
    return f"fetch {parts.path.rpartition('/')[2]} from {parts.hostname}"


@_words.register
def _(step: steps.UploadImage) -> str:
    return f"upload to pool {step.pool}"


@_words.register
def _(step: steps.GrowVolume) -> str:
    return f"grow {_volume_words(step.volume)} to {approximate_size(step.capacity)}"


@_words.register
def _(step: steps.GrowDisk) -> str:
    return f"grow {_volume_words(step.path.rpartition('/')[2])} to {approximate_size(step.capacity)} while it runs"


@_words.register
def _(step: steps.DrillImage) -> str:
    return f"boot {step.image}@{instant_of(step.stamp)} as a throw-away VM"


@_words.register
def _(_step: steps.EndDrill) -> str:
    return "remove what is left of a drill"


@_words.register
def _(step: steps.EditLive) -> str:
    match step.edit:
        case SetMemory(memory):
            return f"memory {approximate_size(memory)} while it runs"
        case SetVcpus(vcpus):
            return f"{vcpus} CPUs while it runs"
        case Describe():
            return "describe it"
        case _:
            return _rewiring_words(step.edit)


def _rewiring_words(edit: Plug | Unplug | Replug | Adjust | InsertSeed | EjectSeed) -> str:
    match edit:
        case Plug(device):
            return f"plug {_device_words(device)} in"
        case Unplug(device):
            return f"unplug {_device_words(device)}"
        case Replug(nic):
            return f"plug card {nic.mac} into {nic.network}"
        case Adjust(device):
            return f"adjust {_device_words(device)}"
        case InsertSeed():
            return "plug the new seed in"
        case EjectSeed():
            return "unplug the old seed"


def _device_words(device: DiskConfig | NicConfig) -> str:
    """In the words of the specs; a disk that is none of ours by the device that the guest has."""
    if isinstance(device, NicConfig):
        return f"card {device.mac} ({device.network})"
    volume = device.path.rpartition("/")[2]
    return f"disk {_volume_part(volume) if len(volume.split('.')) >= 4 else device.target}"


@_words.register
def _(step: steps.WriteSeed) -> str:
    del step
    return "seed"


@_words.register
def _(step: steps.DeleteVolume) -> str:
    return f"delete {_volume_words(step.volume)}"


@_words.register
def _(step: steps.DeleteVersion) -> str:
    return f"delete version {instant_of(step.stamp)}"


@_words.register
def _(step: steps.DefineDomain) -> str:
    del step
    return "define"


@_words.register
def _(step: RestoreDisk) -> str:
    return f"make disk {step.disk} from {step.source.name}"


@_words.register
def _(step: SwitchDisks) -> str:
    return f"restore {', '.join(swap.disk for swap in step.swaps)} from {step.source}"


@_words.register
def _(step: steps.RedefineDomain) -> str:
    del step
    return "redefine"


@_words.register
def _(step: steps.AdoptDomain) -> str:
    del step
    return "take it over as it is"


@_words.register
def _(step: steps.RenameDomain) -> str:
    return f"rename {step.domain} to {step.config.name}"


@_words.register
def _(step: steps.SetAutostart) -> str:
    return f"autostart {'on' if step.autostart else 'off'}"


@_words.register
def _(step: steps.StartDomain) -> str:
    return "resume" if step.resume else "start"


@_words.register
def _(step: steps.StopDomain) -> str:
    return f"shut down within {format_duration(step.timeout)}{', else force off' if step.force else ''}"


@_words.register
def _(step: steps.UndefineDomain) -> str:
    del step
    return "undefine"
