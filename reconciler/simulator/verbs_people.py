"""What people do beside the controller, and what guests do by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from reconciler.hypervisor.simulated_people import People
from reconciler.model.domain import IoTuneConfig
from reconciler.simulator.command import Verb
from reconciler.simulator.fleet_building import define_unmanaged
from reconciler.simulator.stage import Stage

_VIRSH: Final[Mapping[str, Callable[[People, str], None]]] = {
    "destroy": People.destroy,
    "start": People.start,
    "suspend": People.suspend,
    "resume": People.resume,
    "undefine": People.undefine,
}


def _virsh(stage: Stage, host: str, action: str, vm: str) -> None:
    _VIRSH[action](stage.fleet.people(host), vm)


def _edit(stage: Stage, host: str, vm: str, size: int) -> None:
    stage.fleet.people(host).edit(vm, memory=size, max_memory=size)


def _autostart(stage: Stage, host: str, vm: str, state: str) -> None:
    stage.fleet.people(host).edit(vm, autostart=state == "on")


def _unmark(stage: Stage, host: str, vm: str) -> None:
    stage.fleet.people(host).edit(vm, mark=None)


def _copy(stage: Stage, host: str, vm: str, target: str) -> None:
    config = stage.fleet.people(host).entry(vm).config
    stage.fleet.people(target).define(replace(config))


def _define(stage: Stage, host: str, name: str, size: int = 1 << 30) -> None:
    define_unmanaged(stage.fleet, host, name, size, running=True)


def _pool(stage: Stage, host: str, action: str, pool: str) -> None:
    people = stage.fleet.people(host)
    if action == "undefine":
        people.undefine_pool(pool)
    else:
        people.set_pool_active(pool, active=action == "start")


def _network(stage: Stage, host: str, action: str, network: str) -> None:
    people = stage.fleet.people(host)
    if action == "undefine":
        people.undefine_network(network)
    else:
        people.set_network_active(network, active=action == "start")


def _crash_loop(stage: Stage, vm: str, seconds: float) -> None:
    stage.fleet.world.crashing_guests[vm] = seconds
    for host in stage.fleet.world.hosts.values():
        entry = host.by_name(vm)
        if entry is not None and entry.active:
            entry.crash_at = stage.clock.monotonic() + seconds


def _no_crash(stage: Stage, vm: str) -> None:
    stage.fleet.world.crashing_guests.pop(vm, None)
    for host in stage.fleet.world.hosts.values():
        entry = host.by_name(vm)
        if entry is not None:
            entry.crash_at = None


def _rm(stage: Stage, host: str, path: str) -> None:
    stage.fleet.people(host).remove_file(path)


def _limit(stage: Stage, host: str, vm: str, iops: int) -> None:
    stage.fleet.people(host).limit(vm, IoTuneConfig(total_iops=iops))


PEOPLE_VERBS: Final = (
    Verb("virsh HOST destroy|start|suspend|resume|undefine VM", "somebody does that by hand", _virsh),
    Verb("virsh-edit HOST VM memory SIZE", "somebody edits the domain", _edit),
    Verb("virsh-limit HOST VM N", "somebody limits its first disk to N operations a second", _limit),
    Verb("virsh-autostart HOST VM on|off", "somebody sets libvirt's autostart", _autostart),
    Verb("virsh-unmark HOST VM", "somebody removes our mark from the domain", _unmark),
    Verb("virsh-copy HOST VM TARGET", "somebody defines the domain on another host too", _copy),
    Verb("virsh-define HOST NAME [SIZE]", "somebody makes and starts a domain of his own", _define),
    Verb("virsh-pool HOST start|stop|undefine POOL", "somebody does that to a pool", _pool),
    Verb("virsh-network HOST start|stop|undefine NETWORK", "somebody does that to a network", _network),
    Verb("remove-file HOST PATH", "somebody removes a file on the host", _rm),
    Verb("qemu-crash HOST VM", "QEMU dies", lambda stage, host, vm: stage.fleet.people(host).crash(vm)),
    Verb("io-error HOST VM", "QEMU pauses it: a disk fails", lambda stage, h, vm: stage.fleet.people(h).fail_io(vm)),
    Verb("guest-shutdown HOST VM", "from inside", lambda stage, host, vm: stage.fleet.people(host).shut_down(vm)),
    Verb("guest-deaf HOST VM", "it ignores the power button", lambda stage, h, vm: stage.fleet.people(h).deafen(vm)),
    Verb("guest-crashes VM DURATION", "so long after each start, wherever it runs", _crash_loop),
    Verb("guest-sound VM", "it does not crash any more", _no_crash),
)
