"""Drills: the newest version of an image is booted when its schedule says so, after all that matters more.

What a drill makes bears no mark and has names and UUIDs of its own: it is nobody's VM, takes room as a stranger's does,
and what is left of one that was cut off is told by its name, whatever the ledger has forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import identity
from reconciler.model.domain import DomainConfig, NicConfig
from reconciler.model.drill import Drill, DrillDisk, DrillResult
from reconciler.model.image import Image
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import UnmetReason
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DrillImage, EndDrill, NetworkConfig
from reconciler.model.version import ImageVersion, VersionDisk
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.placement import Room, place
from reconciler.planner.schedules import due_instant
from reconciler.planner.vm_domain import desired_domain
from reconciler.planner.world import World

_GO_FIRST: Final[frozenset[UnmetReason]] = frozenset({"no-host-fits", "no-room", "host-lost"})
"""Whoever waits for room, or for a host, is not to find it taken by a drill."""


def plan_drills(world: World, facilities: Facilities, rooms: Mapping[str, Room], draft: Draft) -> None:
    """End what is left of drills; begin those that are due, where there is room to spare."""
    left = _end_what_is_left(world, draft)
    for name in sorted(world.desired.images):
        image = world.desired.images[name]
        versions = world.ledger.versions.get(name, ())
        if image.spec.drill is not None and versions:
            _DrillPlanner(world, facilities, rooms, draft, image, image.spec.drill, versions).plan(is_left=name in left)


def _end_what_is_left(world: World, draft: Draft) -> frozenset[str]:
    """Images of which something is left of a drill that is not under way any more."""
    left = set()
    for host in sorted(world.inventory.hosts):
        found: dict[str, list[tuple[str, str]]] = {image: [] for image in _machines(world, host)}
        for image, pool, volume in _overlays(world, host):
            found.setdefault(image, []).append((pool, volume))
        for image, volumes in sorted(found.items()):
            left.add(image)
            _end(world, draft, image, host, tuple(volumes))
    return frozenset(left)


def _machines(world: World, host: str) -> Iterator[str]:
    """Images whose throw-away VM or network is on the host."""
    fleet, observed = world.fleet, world.inventory.hosts[host]
    there = [(domain.name, domain.uuid, False) for domain in observed.domains.values()]
    there += [(network.name, network.uuid, True) for network in observed.networks.values()]
    for name, uuid, is_network in there:
        image = identity.drilled_image(fleet, name)
        if image is not None:
            ours = identity.drill_uuid(fleet, image, "Network" if is_network else "VirtualMachine")
            if uuid == ours:
                yield image


def _overlays(world: World, host: str) -> Iterator[tuple[str, str, str]]:
    """Image, pool and name of each overlay that the host sees and is to remove."""
    pools = world.inventory.hosts[host].pools
    for pool in sorted(pools):
        if world.storage_host(pool, host) == host:
            for volume in sorted(pools[pool].volumes or ()):
                image = identity.drill_volume_image(world.fleet, volume)
                if image is not None:
                    yield image, pool, volume


def _end(world: World, draft: Draft, image: str, host: str, volumes: tuple[tuple[str, str], ...]) -> None:
    name = identity.drill_name(world.fleet, image)
    draft.act(
        EndDrill(
            image=image,
            domain=name,
            uuid=identity.drill_uuid(world.fleet, image),
            network=name,
            network_uuid=identity.drill_uuid(world.fleet, image, "Network"),
            volumes=volumes,
        ),
        target=ObjectRef("Image", image),
        host=host,
        sign="destroy",
        why="incomplete",
        detail="remove what is left of a drill",
    )


class _DrillPlanner(Struct, frozen=True):
    """One image that is to be tried."""

    world: World
    facilities: Facilities
    rooms: Mapping[str, Room]
    draft: Draft
    image: Image
    drill: Drill
    versions: tuple[ImageVersion, ...]

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef("Image", self.image.name)

    @property
    def version(self) -> ImageVersion:
        """The newest one."""
        return self.versions[-1]

    def plan(self, *, is_left: bool) -> None:
        result = self.world.ledger.drills.get(self.image.name)
        if result is not None and not result.passed:
            self._report(result)
        due = due_instant(self.drill.schedule, () if result is None else (result.at,), self.world.now)
        if due is None or is_left or self.image.name in self.world.ledger.captures:
            return
        if self.world.is_paused(self.ref):
            self.draft.wait(self.ref, "paused", "held; its drill waits", hint=self.world.how_to_resume(self.ref))
            return
        vm = self.world.desired.vms.get(self.version.vm)
        if vm is None:
            self._wait(f"VirtualMachine/{self.version.vm} is not in the specs, so what to boot it on is not known")
        elif any(unmet.reason in _GO_FIRST for unmet in self.draft.unmet) or self.world.ledger.incidents:
            self._wait("others wait for a host, and go first")
        else:
            self._begin(vm)

    def _report(self, result: DrillResult) -> None:
        version = replace(self.version, stamp=result.stamp)
        self.draft.wait(
            self.ref,
            "drill-failed",
            f"the drill of {version.name} failed: {result.detail}",
            severity="blocked",
            hint=NextCommand("why", str(self.ref)),
        )

    def _wait(self, detail: str) -> None:
        self.draft.wait(self.ref, "drill-waits", f"the drill of {self.version.name} is due: {detail}", severity="info")

    def _begin(self, vm: VirtualMachine) -> None:
        chains = {disk.name: self._chain(disk) for disk in self.version.disks}
        probe = self._probe(vm)
        if probe is None:
            self._wait(f"none of its disks is one of VirtualMachine/{vm.name} any more")
            return
        verdict = place(self.world, self.facilities, probe, self.rooms, only=self.version.host)
        if verdict.host is None:
            why = "; ".join(f"{host}: {reason}" for host, reason in verdict.rejections)
            self._wait(f"no host has room for it ({why})")
            return
        self.rooms[verdict.host].take(probe)
        self.draft.act(
            self._step(probe, verdict.host, chains),
            target=self.ref,
            host=verdict.host,
            sign="change",
            why="schedule",
            detail=f"boot {self.version.name} as a throw-away VM, to see that it works",
        )

    def _chain(self, disk: VersionDisk) -> tuple[str, ...]:
        """The volume of the disk, and those that it holds the difference to, as recorded."""
        parents = {known.volume: known.parent_volume for version in self.versions for known in version.disks}
        chain = [disk.volume]
        while (parent := parents.get(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return tuple(chain)

    def _probe(self, vm: VirtualMachine) -> VirtualMachine | None:
        """The VM as far as it is tried: the captured disks in the version's pool, no network of the specs, any host."""
        captured = {disk.name for disk in self.version.disks}
        disks = tuple(
            disk.model_copy(update={"pool": self.version.pool, "format": "qcow2", "image": None})
            for disk in vm.spec.disks
            if disk.name in captured
        )
        if not disks:
            return None
        placement = vm.spec.placement.model_copy(update={"hosts": (), "spread": {}, "prefer_spread": {}})
        changes = {"disks": disks, "networks": (), "placement": placement, "cloud_init": None}
        return vm.model_copy(update={"spec": vm.spec.model_copy(update=changes)})

    def _step(self, probe: VirtualMachine, host: str, chains: Mapping[str, tuple[str, ...]]) -> DrillImage:
        fleet, image, stamp = self.world.fleet, self.image.name, self.version.stamp
        name = identity.drill_name(fleet, image)
        volumes = {disk.name: identity.drill_volume(fleet, image, stamp, disk.name) for disk in probe.spec.disks}
        sizes = {disk.name: disk.virtual_size for disk in self.version.disks}
        expect = self.drill.expect
        return DrillImage(
            image=image,
            stamp=stamp,
            pool=self.version.pool,
            config=self._domain(probe, host, volumes),
            network=NetworkConfig(
                name=name,
                uuid=identity.drill_uuid(fleet, image, "Network"),
                mode="isolated",
                bridge=None,
                subnet=None,
                dhcp=False,
            ),
            pool_host=self.world.storage_host(self.version.pool, host),
            disks=tuple(DrillDisk(volume=volumes[disk], capacity=sizes[disk], chain=chains[disk]) for disk in volumes),
            timeout=self.drill.timeout,
            console="" if expect == "agent-ping" else expect.console,
        )

    def _domain(self, probe: VirtualMachine, host: str, volumes: Mapping[str, str]) -> DomainConfig:
        """As the VM is, and with nothing by which the two could meet: another UUID, other MACs, another network."""
        fleet, image = self.world.fleet, self.image.name
        name = identity.drill_name(fleet, image)
        config = desired_domain(
            fleet, probe, self.world.desired.hosts[host], self.facilities.pools_on(host), volumes=volumes
        )
        vm = self.world.desired.vms[probe.name]
        return replace(
            config,
            name=name,
            uuid=identity.drill_uuid(fleet, image),
            machine=next((copy.domain.config.machine for copy in self.world.copies.get(vm.name, ())), config.machine),
            nics=tuple(
                NicConfig(mac=identity.drill_mac(fleet, image, index), network=name, model=nic.model)
                for index, nic in enumerate(vm.spec.networks)
            ),
            graphics="none",
            console_log=None,
            autostart=False,
            title=f"Drill of {self.version.name}"[:64],
            description="A throw-away copy; it is removed by itself.",
        )
