"""A tiny pure model of the world: what hosts and ledger look like once every action of a plan has succeeded.

It is as strict as real hosts are: an action that could not succeed is an AssertionError here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from reconciler.model import steps
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DomainConfig
from reconciler.model.health import FenceProof
from reconciler.model.inventory import (
    HostInventory,
    ImageFacts,
    Inventory,
    ObservedDomain,
    ObservedNetwork,
    ObservedPool,
    ObservedVolume,
)
from reconciler.model.ledger import DoomedVolume, LedgerView, Placement, RemovedVm, VersionRemoval, VolumeIntent
from reconciler.model.live_edit import edited, is_done
from reconciler.model.plan import Action, Plan
from reconciler.model.restores import RestoreDisk, SwitchDisks
from reconciler.model.tombstone import Tombstone
from reconciler.model.version import ImageVersion
from tests.support.apply_restores import Restores
from tests.support.defined import DomainStep, at_target, domain_as_defined, fingerprint_of, redefined, uuid_of

_SEED_SIZE: Final = 1 << 19


def apply_plan(
    inventory: Inventory, ledger: LedgerView, plan: Plan, specs: DesiredState, now: float = 0.0
) -> tuple[Inventory, LedgerView]:
    """Inventory and ledger after all actions of `plan`, in their order, have succeeded."""
    world = _World(
        hosts=dict(inventory.hosts),
        images=dict(inventory.images),
        placements={vm: _as_in_specs(placement, specs) for vm, placement in ledger.placements.items()},
        removed=dict(ledger.removed),
        intents=set(ledger.intents),
        proofs=dict(ledger.proofs),
        left_behind=set(ledger.left_behind),
        tombstones=list(ledger.tombstones),
        counted=ledger.counted,
        versions=dict(ledger.versions),
        removals=set(ledger.removals),
        restores=Restores.of(ledger),
        now=now,
        shared={name for name, pool in specs.pools.items() if pool.spec.shared},
    )
    for number, action in enumerate(plan.actions):
        assert set(action.after) <= {done.id for done in plan.actions[:number]}, action.id
        if not isinstance(action.step, steps.DrillImage | steps.EndDrill):  # what a drill makes is gone with its end
            world.perform(action)
    return (
        replace(inventory, hosts=world.hosts, images=world.images),
        replace(
            ledger,
            placements={vm: _as_in_specs(placement, specs) for vm, placement in world.placements.items()},
            removed=world.removed,
            intents=frozenset(world.intents),
            proofs=world.proofs,
            left_behind=frozenset(world.left_behind),
            **world.restores.on_record,
            tombstones=tuple(world.tombstones),
            versions=world.versions,
            removals=frozenset(world.removals),
        ),
    )


def _as_in_specs(placement: Placement, specs: DesiredState) -> Placement:
    """What the specs say about its disks is written down whenever they are read."""
    vm = specs.vms.get(placement.vm)
    return placement if vm is None else replace(placement, deletion_policy=vm.spec.deletion_policy)


@dataclass
class _World:
    hosts: dict[str, HostInventory]
    images: dict[str, ImageFacts]
    placements: dict[str, Placement]
    removed: dict[str, RemovedVm]
    versions: dict[str, tuple[ImageVersion, ...]]
    removals: set[VersionRemoval]
    intents: set[VolumeIntent]
    shared: set[str]
    proofs: dict[str, FenceProof]
    left_behind: set[DoomedVolume]
    tombstones: list[Tombstone]
    counted: float
    restores: Restores
    now: float

    def perform(self, action: Action) -> None:
        step, host = action.step, action.host or ""
        match step:
            case steps.FenceHost():
                assert step.host not in self.hosts, f"{step.host} answers"
                assert step.host not in self.proofs
                self.proofs[step.host] = FenceProof(
                    step.host, step.incident, "fenced", 0.0, "it is off", "fence_ipmilan"
                )
            case steps.FetchImage():
                self._fetch(step.image.name, step.image.spec.checksum)
            case steps.DefinePool() | steps.StartPool():
                self._pool_step(host, step)
            case steps.DefineNetwork() | steps.StartNetwork():
                self._network_step(host, step)
            case steps.DefineDomain():
                self._define(host, step)
            case SwitchDisks():
                self.tombstones = self.restores.switch(step, self.tombstones, self.now)
                self._switch(host, step)
            case _ if isinstance(step, DomainStep):
                self._domain_step(host, step)
            case steps.UndefineDomain():
                self._undefine(host, step)
            case steps.GrowDisk() | steps.EditLive() | steps.MigrateDomain():
                self._guest_step(host, step, action.why)
            case _:
                self._volume_step(host, step)

    # -- images and volumes ----------------------------------------------------------------------------------------
    def _fetch(self, name: str, checksum: str | None) -> None:
        known = self.images[name]
        self.images[name] = replace(
            known, digest=known.digest or checksum, cached=True, virtual_size=known.virtual_size or 2 << 30
        )

    def _volume_step(self, host: str, step: steps.Step) -> None:
        match step:
            case steps.UploadImage():
                assert self.images[step.image].cached, f"{step.image} is not cached"
                size = self.images[step.image].virtual_size or 0
                self._put(host, step.pool, step.volume, step.format, size)
                self._put(host, step.pool, step.marker, "raw", 0)
            case steps.CreateVolume():
                self._create(host, step)
            case RestoreDisk():
                there = self._volumes(step.source.host, step.source.pool)
                assert all(link.volume in there for link in step.source.chain)
                assert (step.volume in self._volumes(host, step.pool)) == step.replace_partial
                self._put(host, step.pool, step.volume, step.format, step.capacity)
                self.intents |= self.restores.make(host, step)
            case steps.WriteSeed():
                self._put(host, step.pool, step.volume, "raw", _SEED_SIZE)
            case steps.GrowVolume():
                old = self._volumes(host, step.pool)[step.volume]
                assert old.capacity < step.capacity
                self._store(host, step.pool, {step.volume: replace(old, capacity=step.capacity)})
            case steps.DeleteVolume():
                self._delete(host, step)
            case steps.DeleteVersion():
                for name in (step.manifest, *step.volumes):
                    if name in self._volumes(host, step.pool):
                        self._delete(host, steps.DeleteVolume(step.pool, name))
                left = tuple(each for each in self.versions.get(step.image, ()) if each.stamp != step.stamp)
                self.versions[step.image] = left
                self.removals = {each for each in self.removals if (each.image, each.stamp) != (step.image, step.stamp)}
            case _:
                raise AssertionError(step)

    def _volumes(self, host: str, pool: str) -> dict[str, ObservedVolume]:
        found = self.hosts[host].pools[pool]
        assert found.active, f"pool {pool} on {host} is not active"
        assert found.volumes is not None
        return dict(found.volumes)

    def _put(self, host: str, pool: str, name: str, kind: str, size: int, backing: str | None = None) -> None:
        path = f"{self.hosts[host].pools[pool].target}/{name}"
        self._store(host, pool, {name: ObservedVolume(name, path, kind, size, 0, backing)})
        self.intents = {intent for intent in self.intents if (intent.pool, intent.volume) != (pool, name)}

    def _create(self, host: str, step: steps.CreateVolume) -> None:
        volumes = self._volumes(host, step.pool)
        assert (step.volume in volumes) == step.replace_partial, f"{step.volume} is there already"
        backing = None
        if step.base is not None:
            assert {step.base, f"{step.base}.complete"} <= volumes.keys(), f"{step.base} is not complete"
            assert step.capacity >= volumes[step.base].capacity
            backing = volumes[step.base].path if step.clone == "linked" else None
        self._put(host, step.pool, step.volume, step.format, step.capacity, backing)

    def _switch(self, host: str, step: SwitchDisks) -> None:
        domain, new = self._find(host, step.config.uuid), {swap.new for swap in step.swaps}
        assert (domain.active, domain.fingerprint) == (False, step.expect_fingerprint)
        self._check_disks(host, step.config)
        self._set(host, domain_as_defined(step.config))
        self.intents = {intent for intent in self.intents if intent.volume not in new}

    def _delete(self, host: str, step: steps.DeleteVolume) -> None:
        volumes = self._volumes(host, step.pool)
        gone = volumes[step.volume]
        assert all(other.backing_path != gone.path for other in volumes.values()), f"{step.volume} has overlays"
        for name, known in self.hosts.items():
            if name == host or step.pool in self.shared:
                for domain in known.domains.values():
                    for config in (domain.config, domain.live):
                        used = {disk.path for disk in (*config.disks, config.seed) if disk} if config else set()
                        assert gone.path not in used, f"{step.volume} is used by {domain.name}"
        self._store(host, step.pool, {}, without=step.volume)
        self.left_behind = {left for left in self.left_behind if (left.host, left.volume) != (host, step.volume)}
        self._unbury({(step.pool, step.volume)})

    def _store(self, host: str, pool: str, changed: dict[str, ObservedVolume], without: str = "") -> None:
        for name in [*self.hosts] if pool in self.shared else [host]:
            known = self.hosts[name]
            found = known.pools.get(pool)
            if found is not None and found.volumes is not None:
                volumes = {key: value for key, value in {**found.volumes, **changed}.items() if key != without}
                self.hosts[name] = replace(known, pools={**known.pools, pool: replace(found, volumes=volumes)})

    # -- pools and networks ----------------------------------------------------------------------------------------
    def _pool_step(self, host: str, step: steps.DefinePool | steps.StartPool) -> None:
        known = self.hosts[host]
        if isinstance(step, steps.DefinePool):
            config = step.config
            assert config.name not in known.pools
            pool = ObservedPool(config.name, config.uuid, config.type, config.target, True, True, 1 << 40, 1 << 40, {})
        else:
            pool = replace(known.pools[step.name], active=True, autostart=step.autostart)
        seen = [
            found.volumes
            for other in self.hosts.values()
            if pool.name in self.shared and (found := other.pools.get(pool.name)) and found.volumes is not None
        ]
        pool = replace(pool, volumes=dict(seen[0]) if seen else dict(pool.volumes or {}))
        self.hosts[host] = replace(known, pools={**known.pools, pool.name: pool})

    def _network_step(self, host: str, step: steps.DefineNetwork | steps.StartNetwork) -> None:
        known = self.hosts[host]
        if isinstance(step, steps.DefineNetwork):
            config = step.config
            assert (config.name in known.networks) == step.redefine
            network = ObservedNetwork(
                config.name, config.uuid, True, True, config.mode, config.bridge, config.subnet, config.dhcp
            )
        else:
            network = replace(known.networks[step.name], active=True, autostart=step.autostart)
        self.hosts[host] = replace(known, networks={**known.networks, network.name: network})

    # -- domains ---------------------------------------------------------------------------------------------------
    def _set(self, host: str, domain: ObservedDomain) -> None:
        known = self.hosts[host]
        self.hosts[host] = replace(known, domains={**known.domains, domain.name: domain})

    def _remove(self, host: str, name: str) -> None:
        known = self.hosts[host]
        self.hosts[host] = replace(known, domains={k: v for k, v in known.domains.items() if k != name})

    def _find(self, host: str, uuid: str) -> ObservedDomain:
        return next(domain for domain in self.hosts[host].domains.values() if domain.uuid == uuid)

    def _define(self, host: str, step: steps.DefineDomain) -> None:
        config = step.config
        everywhere = [domain for known in self.hosts.values() for domain in known.domains.values()]
        assert all(domain.uuid != config.uuid for domain in everywhere), f"{config.name} exists already"
        assert config.name not in self.hosts[host].domains
        assert config.mark is not None
        self._check_disks(host, config)
        self.placements[config.name] = Placement(
            config.name, host, config.mark.epoch, 0.0, came_from=step.came_from, autostart=config.autostart
        )
        self.removed.pop(config.name, None)
        self._set(host, domain_as_defined(config))
        # The next pass sees that these are in use again.
        paths = {disk.path for disk in (*config.disks, config.seed) if disk is not None}
        pools = self.hosts[host].pools.values()
        self._unbury({(p.name, v.name) for p in pools for v in (p.volumes or {}).values() if v.path in paths})

    def _unbury(self, places: set[tuple[str, str]]) -> None:
        left = [
            replace(stone, volumes=tuple(place for place in stone.volumes if place not in places))
            for stone in self.tombstones
        ]
        self.tombstones = [stone for stone in left if stone.volumes]

    def _check_disks(self, host: str, config: DomainConfig) -> None:
        paths = {volume.path for pool in self.hosts[host].pools.values() for volume in (pool.volumes or {}).values()}
        for disk in (*config.disks, config.seed):
            assert disk is None or disk.path in paths, f"{disk} of {config.name} is not there"

    def _domain_step(self, host: str, step: DomainStep) -> None:
        domain = self._find(host, uuid_of(step))
        match step:
            case steps.RedefineDomain() | steps.AdoptDomain():
                self._set(host, redefined(domain, step))
                if isinstance(step, steps.AdoptDomain):
                    self.placements[domain.name] = Placement(domain.name, host, 1, 0.0)
            case steps.RenameDomain():
                self._remove(host, domain.name)
                self._set(host, domain_as_defined(step.config))
                self.placements[step.config.name] = replace(self.placements.pop(domain.name), vm=step.config.name)
            case steps.SetAutostart():
                config = replace(domain.config, autostart=step.autostart)
                self._set(host, replace(domain, config=config))
            case steps.StartDomain():
                self._start(host, domain)
            case steps.StopDomain():
                assert domain.active
                if domain.persistent:
                    self._set(host, replace(domain, state="shutoff", live=None, reason="shutdown"))
                else:
                    self._remove(host, domain.name)

    def _start(self, host: str, domain: ObservedDomain) -> None:
        assert not domain.active
        for name, known in self.hosts.items():
            copies = [other for other in known.domains.values() if other.uuid == domain.uuid and other.active]
            assert not copies, f"{domain.name} runs on {name} already"
        self._check_disks(host, domain.config)
        self.restores.start(domain.name)
        for nic in domain.config.nics:
            assert nic.network.startswith("bridge:") or self.hosts[host].networks[nic.network].active
        self._set(host, replace(domain, state="running", live=domain.config, reason="booted"))

    def _guest_step(self, host: str, step: steps.GrowDisk | steps.EditLive | steps.MigrateDomain, why: str) -> None:
        match step:
            case steps.GrowDisk():
                self._grow_disk(host, step)
            case steps.EditLive():
                self._edit_live(host, step)
            case steps.MigrateDomain():
                self._migrate(step, why)

    def _edit_live(self, host: str, step: steps.EditLive) -> None:
        domain = self._find(host, step.uuid)
        assert domain.live is not None
        assert not is_done(domain.live, step.edit)
        live = edited(domain.live, step.edit)
        self._check_disks(host, live)
        assert len({disk.target for disk in live.disks}) == len(live.disks)
        assert live.memory <= live.max_memory
        assert live.vcpus <= live.max_vcpus
        for nic in live.nics:
            assert nic.network.startswith("bridge:") or self.hosts[host].networks[nic.network].active
        self._set(host, replace(domain, live=live))

    def _migrate(self, step: steps.MigrateDomain, why: str) -> None:
        domain = self._find(step.source, step.uuid)
        assert domain.state == ("shutoff" if step.cold else "running")
        assert all(known.uuid != step.uuid for known in self.hosts[step.target].domains.values())
        config, live = (at_target(found, step) for found in (domain.config, domain.live or domain.config))
        for disk in step.disks:
            assert disk.volume not in self._volumes(step.target, disk.pool)
            backing = None if disk.base is None else self._volumes(step.target, disk.pool)[disk.base].path
            self._put(step.target, disk.pool, disk.volume, disk.format, disk.capacity, backing)
            self.left_behind.add(DoomedVolume(step.domain, disk.pool, disk.volume, step.source))
        self._check_disks(step.target, live)
        for nic in live.nics:
            assert self.hosts[step.target].networks[nic.network].active
        self._remove(step.source, domain.name)
        moved = replace(domain, config=config, live=live, fingerprint=fingerprint_of(config))
        moved = replace(moved, live=None, reason="unknown") if step.cold else moved
        self._set(step.target, moved)
        self.placements[domain.name] = replace(
            self.placements[domain.name],
            host=step.target,
            epoch=step.epoch,
            since=self.now,
            drained_from=(self.placements[domain.name].drained_from or step.source) if why == "drain" else None,
            autostart=False,
            marked_epoch=None,
            outran_at=None,
            ran=not step.cold or (self.placements[domain.name].ran and not step.starts),
        )

    def _undefine(self, host: str, step: steps.UndefineDomain) -> None:
        domain = self._find(host, step.uuid)
        assert not domain.active
        assert domain.persistent
        if step.keeps is not None and step.keeps.volumes:
            expires = self.now + step.keeps.retention
            stone = Tombstone(domain.name, "removed", self.now, expires, host, step.keeps.volumes, step.uuid)
            self.tombstones.append(replace(stone, macs=step.keeps.macs, counted_from=self.counted))
        self._remove(host, domain.name)
        placement = self.placements.get(domain.name)
        if placement is not None and placement.host == host:
            del self.placements[domain.name]
            self.removed[domain.name] = RemovedVm(
                placement.vm, placement.host, placement.epoch, placement.deletion_policy
            )

    def _grow_disk(self, host: str, step: steps.GrowDisk) -> None:
        domain = self._find(host, step.uuid)
        assert domain.live is not None
        assert any(disk.path == step.path for disk in domain.live.disks)
        for pool in list(self.hosts[host].pools.values()):
            for volume in list((pool.volumes or {}).values()):
                if volume.path == step.path:
                    assert volume.capacity < step.capacity
                    self._store(host, pool.name, {volume.name: replace(volume, capacity=step.capacity)})
