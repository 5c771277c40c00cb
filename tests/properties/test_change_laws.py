"""Wherever a VM comes from, applying a spec ends in the domain that a new VM of that spec would be."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DiskConfig, DomainConfig
from reconciler.model.inventory import ObservedDomain
from reconciler.model.network import Network
from reconciler.model.plan import Plan
from tests.unit.executor.bench import FakeImages
from tests.unit.executor.small_fleet import Controller, desired_state, new_fleet, spec, vm

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]  # a tracer makes it twice as long, and adds next to no line

_LAW: Final = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
_DISKS: Final[dict[str, dict[str, Any]]] = {
    "root": {"pool": "vms", "image": "debian"},
    "data": {"pool": "local", "format": "raw"},
    "log": {"pool": "vms"},
}
_rates = st.sampled_from(["1MiB/s", "10MiB/s"])
_io_tunes = st.none() | st.fixed_dictionaries({"totalBytes": _rates}, optional={"readIops": st.integers(1, 9)})
_traffic = st.fixed_dictionaries({"average": st.just("1MiB/s")}, optional={"peak": _rates, "burst": st.just("64KiB")})
_bandwidths = st.none() | st.fixed_dictionaries({"inbound": _traffic}, optional={"outbound": _traffic})
_seeds = st.none() | st.builds(
    lambda number: {"userData": f"#!/bin/sh\necho {number}\n", "onChange": "reseed"}, st.integers(1, 3)
)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


@st.composite
def _disks(draw: st.DrawFn, sizes: dict[str, int]) -> list[dict[str, Any]]:
    """Any of the disks in any order; one that grew once is never asked to shrink, and none moves or is converted."""
    made = []
    for name in draw(st.lists(st.sampled_from(sorted(_DISKS)), min_size=1, unique=True)):
        sizes[name] = draw(st.integers(sizes.get(name, 10), 12))
        tuned = {"bus": draw(st.sampled_from(["virtio", "virtio", "scsi", "sata"])), "ioTune": draw(_io_tunes)}
        made.append({"name": name, **_DISKS[name], "size": f"{sizes[name]}GiB", **_without_none(tuned)})
    return made


_cards = st.lists(
    st.builds(
        lambda **values: _without_none(values),
        network=st.sampled_from(["lan", "dmz"]),
        mac=st.none(),
        model=st.sampled_from(["virtio", "virtio", "e1000"]),
        link=st.sampled_from(["up", "down"]),
        bandwidth=_bandwidths,
    ),
    max_size=3,
)


@st.composite
def _specs(draw: st.DrawFn, sizes: dict[str, int]) -> dict[str, Any]:
    """Any VM that runs, but for what makes it another one."""
    count, memory = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return _without_none(
        {
            "title": draw(st.none() | st.sampled_from(["Shop", "Bank"])),
            "description": draw(st.none() | st.just("two\nlines")),
            "domainType": draw(st.sampled_from(["kvm", "kvm", "qemu"])),
            "machine": draw(st.sampled_from(["q35", "q35", "pc"])),
            "firmware": draw(st.sampled_from(["bios", "bios", "uefi"])),
            "cpu": {
                "count": count,
                "max": draw(st.integers(count, 4)),
                "model": draw(st.sampled_from(["host-model", "host-model", "EPYC"])),
            },
            "memory": f"{memory}GiB",
            "maxMemory": f"{draw(st.integers(memory, 4))}GiB",
            "disks": draw(_disks(sizes)),
            "networks": draw(_cards),
            "cloudInit": draw(_seeds),
            "graphics": draw(st.sampled_from(["none", "none", "vnc"])),
            "watchdog": draw(
                st.none() | st.builds(lambda action: {"action": action}, st.sampled_from(["reset", "pause"]))
            ),
            "ha": {"enabled": draw(st.booleans())},
            "placement": {"hosts": ["h1"]},
            "deletionPolicy": draw(st.sampled_from(["retain", "delete"])),
        }
    )


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A VM before and after; mostly not everything of it changes at once."""
    sizes: dict[str, int] = {}
    before, after = draw(_specs(sizes)), draw(_specs(sizes))
    kept = draw(st.sets(st.sampled_from(sorted(before.keys() - {"disks"})), max_size=len(before)))
    mixed = {**{key: value for key, value in after.items() if key not in kept}, **{key: before[key] for key in kept}}
    counts = mixed["memory"], mixed["maxMemory"]
    return before, {**mixed, "maxMemory": max(counts, key=lambda size: int(size.removesuffix("GiB")))}


class World:
    """One fleet and its controller, with one VM."""

    def __init__(self, directory: str) -> None:
        self.clock = FakeClock()
        self.fleet = new_fleet(self.clock)
        self.controller = Controller(self.fleet, self.clock, Path(directory), FakeImages())
        self.generation = 0

    def converge(self, wanted: dict[str, Any], policy: str) -> Plan:
        """Have the controller bring the VM to what is wanted."""
        self.generation += 1
        return self.controller.converge(_desired(f"g{self.generation}", {**wanted, "updatePolicy": policy}))

    @property
    def domain(self) -> ObservedDomain:
        return self.fleet.people("h1").entry("web").observed()

    @property
    def boots(self) -> int:
        return self.fleet.people("h1").entry("web").boots


def _desired(generation: str, wanted: dict[str, Any]) -> DesiredState:
    state = desired_state(generation, vm("web", **wanted))
    return replace(state, networks={**state.networks, "dmz": spec(Network, "dmz", mode="isolated")})


def _plain(config: DomainConfig | None) -> DomainConfig:
    """What the guest is, without the names of its disks and the order in which they and the cards were plugged in."""
    assert config is not None
    assert config.mark is not None
    by_path = sorted(config.disks, key=lambda disk: disk.path)
    return replace(
        config,
        disks=tuple(replace(disk, target="") for disk in by_path),
        nics=tuple(sorted(config.nics, key=lambda nic: nic.mac)),
        mark=replace(config.mark, spec_hash="", generation="", cpu_model=""),
    )


def _boots_from(config: DomainConfig | None) -> DiskConfig:
    """The first disk, as libvirt sorts them: by bus in their order, then by name."""
    assert config is not None
    return min((disk for disk in config.disks if disk.bus == config.disks[0].bus), key=lambda disk: disk.target)


@given(_pairs(), st.sampled_from(["live", "stage", "restart"]))
@_LAW
def test_a_changed_vm_becomes_what_a_new_one_of_its_spec_would_be(
    pair: tuple[dict[str, Any], dict[str, Any]], policy: str
) -> None:
    before, after = pair
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        changed, made_new = World(one), World(other)
        changed.converge(before, "live")
        made_new.converge(after, "live")

        made = changed.converge(after, policy)
        assert _plain(changed.domain.config) == _plain(made_new.domain.config)
        if not any(unmet.reason == "restart-pending" for unmet in made.unmet):
            assert _plain(changed.domain.live) == _plain(changed.domain.config)

        changed.converge(after, "restart")
        assert _plain(changed.domain.live) == _plain(changed.domain.config) == _plain(made_new.domain.live)
        for config in (changed.domain.config, changed.domain.live):
            assert _boots_from(config).path == _boots_from(made_new.domain.config).path


@given(_pairs())
@_LAW
def test_a_guest_is_not_booted_for_what_can_be_had_while_it_runs(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, after = pair
    with tempfile.TemporaryDirectory() as directory:
        world = World(directory)
        world.converge(before, "live")
        pending = world.converge(after, "live").unmet
        booted = world.boots

        world.converge(after, "restart")

        assert (world.boots > booted) == any(unmet.reason == "restart-pending" for unmet in pending)
