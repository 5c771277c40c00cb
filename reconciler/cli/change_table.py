"""What changing a field of a VM does to its running guest: asked of the planner, change by change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.cli.change_samples import SAMPLES, Sample
from reconciler.model import identity
from reconciler.model.abilities import HostAbilities
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DomainConfig
from reconciler.model.host import Host
from reconciler.model.image import Image
from reconciler.model.inventory import (
    HostFacts,
    HostInventory,
    ImageFacts,
    Inventory,
    ObservedDomain,
    ObservedNetwork,
    ObservedPool,
    ObservedVolume,
)
from reconciler.model.ledger import LedgerView, Placement
from reconciler.model.network import Network
from reconciler.model.plan import DISRUPTIONS, Disruption, Plan
from reconciler.model.policy import Policy
from reconciler.model.storage_pool import StoragePool
from reconciler.model.tombstone import Tombstone
from reconciler.model.version import ImageVersion, VersionDisk
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.former_names import under_former_names
from reconciler.planner.planner import plan as make_plan
from reconciler.planner.vm_domain import PoolOnHost, desired_domain, marked, seed_name

_FLEET: Final = "example"
_GIB: Final = 1 << 30
_LEAST: Final = {
    "memory": "1GiB",
    "disks": [{"name": "root", "pool": "vms", "image": "debian", "size": "10GiB"}],
    "networks": [{"network": "lan"}],
}
_HEADER: Final = "| field | change | disruption |\n| --- | --- | --- |"
INTRODUCTION: Final = (
    "## What a change does to a running VM",
    (
        "Asked of the planner that `plan` uses, for a VM with `updatePolicy: live`: *none* and *live* happen at once"
        " and the guest goes on running, *migrate* moves it as it runs; *reboot* and *rebuild* (it boots from another"
        " disk) are staged and wait for its next start; *refused* is told and never done. With `updatePolicy: stage`"
        " all but a larger disk waits; with `restart` the guest is restarted for what can't be had without."
    ),
)


_REFUSED: Final = ("immutable", "disk-not-its-own", "maybe-renamed")


class ChangeRow(Struct, frozen=True):
    """One row: a field below the VM, when this is how it goes, and what it costs (`refused` where it is never done)."""

    field: str
    when: str
    disruption: Disruption | str


def change_rows() -> tuple[ChangeRow, ...]:
    """Every row, fields in the order of the specs."""
    return tuple(ChangeRow(sample.field, sample.when, _cost(sample)) for sample in SAMPLES)


def change_table() -> str:
    """The section of docs/SPEC.md, without a line end."""
    return "\n\n".join([*INTRODUCTION, "\n".join([_HEADER, *(_line(row) for row in change_rows())])])


def changes_of(path: str) -> tuple[ChangeRow, ...]:
    """Rows of the field at `path` below a VM, such as `spec.memory`."""
    return tuple(row for row in change_rows() if row.field == path)


def _line(row: ChangeRow) -> str:
    return f"| {row.field} | {row.when} | {row.disruption} |"


def _cost(sample: Sample) -> Disruption | str:
    """The worst of what is done at once and what waits for a reboot."""
    before, after = _vm(sample.before, {}), _vm(sample.after, sample.metadata)
    made = _plan_of(before, after)
    if any(unmet.reason in _REFUSED and unmet.severity == "blocked" for unmet in made.unmet):
        return "refused"
    return max(_disruptions(made), key=DISRUPTIONS.index, default="none")


def _disruptions(made: Plan) -> Iterator[Disruption]:
    for action in made.actions:
        yield action.disruption
        yield from (change.disruption for change in action.changes)
    for unmet in made.unmet:
        if unmet.reason in ("restart-pending", "rename-pending"):
            yield from (change.disruption for change in unmet.changes)


def _plan_of(before: VirtualMachine, after: VirtualMachine) -> Plan:
    """The plan for a fleet that is as `before` says, and is to be as `after` says."""
    world = _desired(before)
    domain = _observed(before, world)
    placement = Placement(before.name, "h1", 1, 0.0)
    replaced = identity.disk_volume(_FLEET, before.name, "root", "qcow2", 1)
    ledger = LedgerView(
        placements={before.name: placement},
        hosts_read=frozenset(world.hosts),
        versions={"golden": (_version(before),)},
        tombstones=(Tombstone(before.name, "replaced", 0.0, 1e9, "h1", (("vms", replaced),)),),
    )
    inventory = _inventory(before, domain)
    wanted = under_former_names(_desired(after), inventory, ledger, _FLEET)
    return make_plan(wanted, inventory, ledger, Policy(fleet=_FLEET), 0.0)


def _version(vm: VirtualMachine) -> ImageVersion:
    """Of the VM's first disk, in the pool that it is in."""
    stamp = "20261122t020000z"
    disk = VersionDisk("root", identity.version_disk_volume(_FLEET, "golden", stamp, "root"), _GIB, _GIB, "")
    return ImageVersion("golden", stamp, 0.0, vm.name, "", "vms", None, "", "", "quiesced", (disk,))


def _vm(values: Any, metadata: Any) -> VirtualMachine:
    return VirtualMachine.model_validate(
        _document("VirtualMachine", {**_LEAST, **values}, {"name": "web", "labels": {"app": "web"}, **metadata})
    )


def _document(kind: str, spec: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _desired(vm: VirtualMachine) -> DesiredState:
    """Two hosts that share two pools, two networks, two images, and the VM."""

    def several(kind: str, model: type[Any], names: tuple[str, ...], **spec: Any) -> dict[str, Any]:
        return {
            name: model.model_validate(
                _document(
                    kind,
                    {key: _for(value, name) for key, value in spec.items()},
                    {"name": name, "labels": {"host": name}},
                )
            )
            for name in names
        }

    return DesiredState(
        "",
        hosts=several("Host", Host, ("h1", "h2"), uri="qemu+ssh://{}/system"),
        pools=several("StoragePool", StoragePool, ("vms", "slow"), type="dir", target="/srv/{}", shared=True),
        networks=several("Network", Network, ("lan", "dmz"), mode="isolated"),
        images=several("Image", Image, ("debian", "other"), source={"path": "x.qcow2"}, format="qcow2"),
        vms={vm.name: vm},
    )


def _for(value: Any, name: str) -> Any:
    return value.format(name) if isinstance(value, str) else value


def _observed(vm: VirtualMachine, world: DesiredState) -> ObservedDomain:
    """The VM as it runs after it was made from its spec."""
    pools = {name: PoolOnHost(f"/srv/{name}", block=False) for name in world.pools}
    volumes = {disk.name: identity.disk_volume(_FLEET, vm.name, disk.name, disk.format) for disk in vm.spec.disks}
    wanted = desired_domain(_FLEET, vm, world.hosts["h1"], pools, volumes=volumes)
    config: DomainConfig = marked(wanted, vm, fleet=_FLEET, epoch=1, generation="")
    config = replace(config, machine={"q35": "pc-q35-7.2"}.get(config.machine, config.machine))
    return ObservedDomain(
        vm.name, config.uuid, "running", persistent=True, config=config, live=config, fingerprint="", reason="booted"
    )


def _inventory(vm: VirtualMachine, domain: ObservedDomain) -> Inventory:
    pools = {name: _pool(name, vm) for name in ("vms", "slow")}
    networks = {name: _network(name) for name in ("lan", "dmz")}
    facts = {name: HostFacts(name, name, 64 * _GIB, 16, "x86_64", ("kvm", "qemu"), 9_000_000) for name in ("h1", "h2")}
    hosts = {
        name: HostInventory(
            name, 0.0, facts[name], {vm.name: domain} if name == "h1" else {}, pools, networks, HostAbilities()
        )
        for name in facts
    }
    images = {
        name: ImageFacts(name, f"sha256:{'0' * 64}", cached=True, virtual_size=_GIB) for name in ("debian", "other")
    }
    return Inventory(hosts=hosts, images=images)


def _pool(name: str, vm: VirtualMachine) -> ObservedPool:
    disks = [disk for disk in vm.spec.disks if disk.pool == name]
    volumes = {identity.disk_volume(_FLEET, vm.name, disk.name, disk.format): disk.size or _GIB for disk in disks}
    if name == "vms":
        version = _version(vm)
        volumes |= {disk.volume: disk.virtual_size for disk in version.disks}
        volumes[identity.version_manifest(_FLEET, version.image, version.stamp)] = _GIB
        volumes[identity.disk_volume(_FLEET, vm.name, "root", "qcow2", 1)] = _GIB
    seed = seed_name(_FLEET, vm)
    if seed and disks:
        volumes[seed] = 1 << 20
    found = {
        volume: ObservedVolume(volume, f"/srv/{name}/{volume}", volume.rpartition(".")[2], size, size)
        for volume, size in volumes.items()
    }
    return ObservedPool(
        name, identity.pool_uuid(_FLEET, name), "dir", f"/srv/{name}", True, True, 1 << 50, 1 << 50, found
    )


def _network(name: str) -> ObservedNetwork:
    return ObservedNetwork(name, identity.network_uuid(_FLEET, name), True, True, "isolated", None, None, False)
