"""A scenario: specs, the fleet that they are for, what happens to it and when."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Final

from msgspec import Struct
from pydantic import Field

from reconciler.model.host import Host
from reconciler.model.policy import Policy
from reconciler.model.quantities import Duration, Size
from reconciler.model.resource import Items, Line, Model, Name
from reconciler.simulator.command import Command, Verb, read_command
from reconciler.simulator.scenario_files import ScenarioError, YamlFile, read_yaml
from reconciler.simulator.simulated_agents import device_of
from reconciler.specfiles.loader import load

FLEET_FILE: Final = "fleet.yaml"
EVENTS_FILE: Final = "events.yaml"
_GIB: Final = 1 << 30


class UnmanagedDomain(Model):
    """A domain that people have on a host beside ours."""

    name: Line
    memory: Size = _GIB
    running: bool = True


class FleetHost(Model):
    """What one machine is."""

    memory: Size = 16 * _GIB
    cpus: Annotated[int, Field(ge=1, le=4096)] = 8
    disk: Size = 1024 * _GIB
    """Of each of its file systems."""
    shutdown: Duration = 2.0
    """How long its guests take to shut down."""
    cpu: Items[Line] | None = None
    """Features of its CPU; those that all hosts have by default."""
    domains: Items[UnmanagedDomain] = ()
    """What people run on it."""


class FleetFile(Model):
    """`fleet.yaml`: the machines, and how the controller is configured."""

    specs: Line = "specs"
    """Folder of the specs, beside this file or wherever it leads to from there."""
    hosts: dict[Name, FleetHost] = Field(default_factory=dict)
    """Hosts that are not listed are those of the specs, with these defaults."""
    policy: Policy = Policy(fleet="sim")
    """The controller's configuration."""
    devices: dict[Line, Line] = Field(default_factory=dict)
    """Fence devices (plug, or address) that switch another machine than that of the specs."""
    tested: bool = True
    """Whether the fence devices were tested before it begins, and passed."""
    call: Duration = 0.1
    """How long a call that changes something takes."""
    play: Duration = 60.0
    """How long it is played after the last event; longer until the fleet is at rest."""
    controllers: Annotated[int, Field(ge=1, le=9)] = 1
    """With two or more they are called c1, c2 and so on, share a ledger in etcd, and one of them leads."""
    specs_of: dict[Name, Line] = Field(default_factory=dict)
    """Folders of controllers that don't have the same specs as the others, such as an older checkout."""
    lease: Duration = 10.0
    """Of who leads."""
    restart: Duration = 1.0
    """When the controller runs again after it was killed."""


class WrittenEvent(Model):
    """One item of `events.yaml`."""

    at: Duration
    do: Line


class Event(Struct, frozen=True):
    """Something that happens `at` seconds after the beginning."""

    at: float
    command: Command


class Scenario(Struct, frozen=True):
    """Everything that is played."""

    name: str
    folder: Path
    """Where the files are that events write into the specs."""
    specs: Path
    fleet: FleetFile
    events: tuple[Event, ...]


def load_scenario(folder: Path, verbs: Mapping[str, Verb]) -> Scenario:
    """The scenario in `folder`. Raises ScenarioError, naming the place of what is wrong."""
    fleet = read_fleet(folder / FLEET_FILE)
    specs = hosts_of_specs(folder / fleet.specs)
    hosts = dict.fromkeys([*fleet.hosts, *specs])
    _refuse_unknown_devices(folder / FLEET_FILE, fleet, specs.values())
    _refuse_unknown_controllers(folder / FLEET_FILE, fleet)
    file = folder / EVENTS_FILE
    events = _events(read_yaml(file), verbs, tuple(hosts)) if file.exists() else ()
    return Scenario(folder.resolve().name, folder, folder / fleet.specs, fleet, events)


def _refuse_unknown_devices(path: Path, fleet: FleetFile, hosts: Collection[Host]) -> None:
    """A device that no host has would be left out in silence."""
    known = sorted({device_of(level.parameters) for host in hosts for level in host.spec.fencing})
    for device, host in fleet.devices.items():
        if device not in known:
            message = f"{device} is no fence device of the specs (by plug, or address)"
            raise read_yaml(path).mistake(("devices", device), message, f"devices: {', '.join(known) or 'none'}")
        if host not in {*fleet.hosts, *(each.name for each in hosts)}:
            raise read_yaml(path).mistake(("devices", device), f"{host} is no host of this fleet")


def _refuse_unknown_controllers(path: Path, fleet: FleetFile) -> None:
    """The first has the specs of the scenario: what is promised is judged by those."""
    known = names_of(fleet.controllers)[1:]
    for name, folder in fleet.specs_of.items():
        if name not in known:
            message = f"{name} can't have specs of its own"
            raise read_yaml(path).mistake(("specsOf", name), message, f"controllers: {', '.join(known) or 'one'}")
        if not (path.parent / folder).is_dir():
            raise read_yaml(path).mistake(("specsOf", name), f"{path.parent / folder} is no directory")


def names_of(controllers: int) -> tuple[str, ...]:
    """`c1`, `c2` and so on."""
    return tuple(f"c{number}" for number in range(1, controllers + 1))


def hosts_of_specs(specs: Path) -> Mapping[str, Host]:
    """The hosts that the specs name; raises ScenarioError where there are no specs."""
    if not specs.is_dir():
        raise ScenarioError(f"{specs} is no directory", hint="put the specs there, or name their folder in fleet.yaml")
    return load(specs, fleet="sim").hosts


def read_fleet(path: Path) -> FleetFile:
    """The fleet file; the defaults where there is none."""
    if not path.exists():
        return FleetFile()
    file = read_yaml(path)
    return file.validated(FleetFile, {} if file.data is None else file.data)


def _events(file: YamlFile, verbs: Mapping[str, Verb], hosts: tuple[str, ...]) -> tuple[Event, ...]:
    items = [] if file.data is None else file.data
    if not isinstance(items, list):
        raise file.mistake((), "events are a list", "write `- {at: 10s, do: power-cut h1}`")
    events: list[Event] = []
    for index, item in enumerate(items):
        written = file.validated(WrittenEvent, item, (index,))
        if events and written.at < events[-1].at:
            raise file.mistake((index, "at"), f"{item['at']} is before the event above", "write events in order")
        try:
            command = read_command(written.do, verbs, hosts)
        except ValueError as error:
            raise file.mistake((index, "do"), str(error), "docs/SIMULATOR.md lists all words") from error
        events.append(Event(written.at, command))
    return tuple(events)
