"""Pools and networks: defined, started and autostarted where the specs say; existing ones used as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.model import identity
from reconciler.model.inventory import HostInventory, ObservedNetwork, ObservedPool
from reconciler.model.network import Network
from reconciler.model.plan import FieldChange, UnmetReason
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DefineNetwork, DefinePool, NetworkConfig, PoolConfig, StartNetwork, StartPool
from reconciler.model.storage_pool import StoragePool
from reconciler.planner.draft import Draft
from reconciler.planner.vm_domain import PoolOnHost
from reconciler.planner.world import World

_BLOCK_TYPES: Final = ("logical", "disk", "iscsi", "iscsi-direct", "scsi", "mpath")
"""Pool types whose volumes are block devices."""
_HELD: Final = "it is held and not active yet"


@dataclass(slots=True)
class Facilities:
    """What each host will offer once the plan has run, and the actions that bring it about.

    Keys are (object name, host name), but for `pools`, which is by host and then by pool.
    """

    pools: dict[str, dict[str, PoolOnHost]] = field(default_factory=dict)
    networks: set[tuple[str, str]] = field(default_factory=set)
    pool_actions: dict[tuple[str, str], str] = field(default_factory=dict)
    network_actions: dict[tuple[str, str], str] = field(default_factory=dict)
    trouble: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(kind, object, host) → why it can't be used there."""
    uploads: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(host, pool, base volume) → the action that uploads it."""

    def pools_on(self, host: str) -> Mapping[str, PoolOnHost]:
        """Usable pools of one host, by name."""
        return self.pools.get(host, {})

    def has_pool(self, pool: str, host: str) -> bool:
        """Whether the pool can be used on the host."""
        return pool in self.pools_on(host)


def plan_facilities(world: World, draft: Draft) -> Facilities:
    """Bring pools and networks to the hosts that were read."""
    facilities = Facilities()
    hosts = world.inventory.hosts
    for _, pool in sorted(world.desired.pools.items()):
        for name, host in hosts.items():
            if world.pool_serves(pool.name, name):
                _PoolPlanner(world, draft, facilities, pool, host).plan()
    for _, network in sorted(world.desired.networks.items()):
        for name, host in hosts.items():
            if world.network_serves(network.name, name):
                _NetworkPlanner(world, draft, facilities, network, host).plan()
    return facilities


@dataclass(frozen=True, slots=True)
class _PoolPlanner:
    world: World
    draft: Draft
    facilities: Facilities
    pool: StoragePool
    host: HostInventory

    @property
    def key(self) -> tuple[str, str]:
        return (self.pool.name, self.host.name)

    def plan(self) -> None:
        observed = self.host.pools.get(self.pool.name)
        if observed is None:
            self._absent()
        elif observed.uuid == identity.pool_uuid(self.world.fleet, self.pool.name):
            self._ours(observed)
        else:
            self._theirs(observed)

    def _absent(self) -> None:
        spec = self.pool.spec
        if spec.type == "existing":
            self._trouble(
                "pool-unavailable",
                f"{self.host.name} has no pool named {self.pool.name}",
                "define it there, or give the StoragePool a type and target",
            )
            return
        volume_group = spec.source.volume_group or self.pool.name if spec.type == "logical" else None
        target = spec.target or f"/dev/{volume_group}"
        self._serve(target)
        self._act(
            DefinePool(
                PoolConfig(
                    name=self.pool.name,
                    uuid=identity.pool_uuid(self.world.fleet, self.pool.name),
                    type=spec.type,
                    target=target,
                    source_host=spec.source.host,
                    source_dir=spec.source.dir,
                    volume_group=volume_group,
                )
            ),
            created=True,
            detail=f"{spec.type} pool at {target}",
        )

    def _ours(self, observed: ObservedPool) -> None:
        spec = self.pool.spec
        if spec.target is not None and observed.target.rstrip("/") != spec.target.rstrip("/"):
            change = FieldChange("target", observed.target, spec.target, "data-loss")
            self._trouble(
                "immutable",
                f"target is {observed.target} and can't be changed to {spec.target}: volumes would be left behind",
                f"put target: {observed.target} back, or make a new StoragePool",
                change,
            )
            return
        if spec.type not in ("existing", observed.type):
            self._trouble(
                "immutable",
                f"it is a {observed.type} pool and can't be made a {spec.type} one: volumes would be left behind",
                f"put type: {observed.type} back, or make a new StoragePool",
                FieldChange("type", observed.type, spec.type, "data-loss"),
            )
            return
        self._serve(observed.target)
        if not observed.active or not observed.autostart:
            changes = _on_off(observed.active, observed.autostart)
            self._act(
                StartPool(self.pool.name, start=not observed.active, autostart=True),
                created=False,
                detail="start" if not observed.active else "autostart",
                changes=changes,
            )

    def _theirs(self, observed: ObservedPool) -> None:
        spec = self.pool.spec
        if spec.target is not None and observed.target.rstrip("/") != spec.target.rstrip("/"):
            self._trouble(
                "conflict",
                f"{self.host.name} has another pool of that name, at {observed.target}",
                "rename the StoragePool, or write type: existing to use that one",
            )
        elif not observed.active:
            self._trouble(
                "pool-unavailable",
                f"the existing pool on {self.host.name} is not active",
                f"virsh -c {self._uri()} pool-start {self.pool.name}",
            )
        else:
            self._serve(observed.target)

    def _uri(self) -> str:
        return self.world.desired.hosts[self.host.name].spec.uri

    def _serve(self, target: str) -> None:
        observed = self.host.pools.get(self.pool.name)
        kind = observed.type if observed else self.pool.spec.type
        self.facilities.pools.setdefault(self.host.name, {})[self.pool.name] = PoolOnHost(
            target, block=kind in _BLOCK_TYPES
        )

    def _trouble(self, reason: UnmetReason, detail: str, hint: str, *changes: FieldChange) -> None:
        self.facilities.trouble["StoragePool", self.pool.name, self.host.name] = detail
        self.draft.wait(
            ObjectRef("StoragePool", self.pool.name),
            reason,
            detail,
            severity="blocked",
            host=self.host.name,
            hint=hint,
            changes=changes,
        )

    def _act(
        self,
        step: DefinePool | StartPool,
        *,
        created: bool,
        detail: str,
        changes: tuple[FieldChange, ...] = (),
    ) -> None:
        if _is_held(self.world, self.draft, ObjectRef("StoragePool", self.pool.name), self.host.name):
            if isinstance(step, DefinePool) or step.start:
                self.facilities.pools[self.host.name].pop(self.pool.name)
                self.facilities.trouble["StoragePool", self.pool.name, self.host.name] = _HELD
            return
        self.facilities.pool_actions[self.key] = self.draft.act(
            step,
            target=ObjectRef("StoragePool", self.pool.name),
            host=self.host.name,
            sign="create" if created else "change",
            why="missing" if created else "drift",
            detail=detail,
            changes=changes,
        )


@dataclass(frozen=True, slots=True)
class _NetworkPlanner:
    world: World
    draft: Draft
    facilities: Facilities
    network: Network
    host: HostInventory

    @property
    def key(self) -> tuple[str, str]:
        return (self.network.name, self.host.name)

    def plan(self) -> None:
        observed = self.host.networks.get(self.network.name)
        if observed is None:
            self._absent()
        elif observed.uuid == identity.network_uuid(self.world.fleet, self.network.name):
            self._ours(observed)
        else:
            self._theirs(observed)

    def _config(self) -> NetworkConfig | None:
        spec = self.network.spec
        if spec.mode == "existing":
            return None
        return NetworkConfig(
            name=self.network.name,
            uuid=identity.network_uuid(self.world.fleet, self.network.name),
            mode=spec.mode,
            bridge=spec.bridge,
            subnet=spec.subnet,
            dhcp=spec.dhcp,
        )

    def _absent(self) -> None:
        config = self._config()
        if config is None:
            self._trouble(
                "network-unavailable",
                f"{self.host.name} has no network named {self.network.name}",
                "define it there, or give the Network another mode",
            )
            return
        self.facilities.networks.add(self.key)
        what = config.bridge or config.subnet or ""
        self._act(DefineNetwork(config), created=True, detail=f"{config.mode} network {what}".rstrip())

    def _ours(self, observed: ObservedNetwork) -> None:
        config = self._config()
        changes = () if config is None else _network_changes(config, observed)
        if config is not None and changes:
            self._redefine(config, changes)
            return
        self.facilities.networks.add(self.key)
        if not observed.active or not observed.autostart:
            self._act(
                StartNetwork(self.network.name, start=not observed.active, autostart=True),
                created=False,
                detail="start" if not observed.active else "autostart",
                changes=_on_off(observed.active, observed.autostart),
            )

    def _redefine(self, config: NetworkConfig, changes: tuple[FieldChange, ...]) -> None:
        users = sorted(
            domain.name
            for domain in self.host.domains.values()
            if domain.live is not None and any(nic.network == self.network.name for nic in domain.live.nics)
        )
        self.facilities.networks.add(self.key)
        if users:
            self._wait_for_users(users, changes)
        else:
            self._act(
                DefineNetwork(config, redefine=True), created=False, detail="redefine and restart", changes=changes
            )

    def _wait_for_users(self, users: list[str], changes: tuple[FieldChange, ...]) -> None:
        self.draft.wait(
            ObjectRef("Network", self.network.name),
            "restart-pending",
            f"in use on {self.host.name} by {', '.join(users)}; restarting the network would cut them off",
            host=self.host.name,
            hint="stop those VMs (runStrategy: Halted), or give them another network first",
            changes=changes,
        )

    def _theirs(self, observed: ObservedNetwork) -> None:
        if self.network.spec.mode != "existing":
            self._trouble(
                "conflict",
                f"{self.host.name} has another network of that name",
                "rename the Network, or write mode: existing to use that one",
            )
        elif not observed.active:
            uri = self.world.desired.hosts[self.host.name].spec.uri
            self._trouble(
                "network-unavailable",
                f"the existing network on {self.host.name} is not active",
                f"virsh -c {uri} net-start {self.network.name}",
            )
        else:
            self.facilities.networks.add(self.key)

    def _trouble(self, reason: UnmetReason, detail: str, hint: str) -> None:
        self.facilities.trouble["Network", self.network.name, self.host.name] = detail
        self.draft.wait(
            ObjectRef("Network", self.network.name),
            reason,
            detail,
            severity="blocked",
            host=self.host.name,
            hint=hint,
        )

    def _act(
        self,
        step: DefineNetwork | StartNetwork,
        *,
        created: bool,
        detail: str,
        changes: tuple[FieldChange, ...] = (),
    ) -> None:
        if _is_held(self.world, self.draft, ObjectRef("Network", self.network.name), self.host.name):
            observed = self.host.networks.get(self.network.name)
            if observed is None or not observed.active:
                self.facilities.networks.discard(self.key)
                self.facilities.trouble["Network", self.network.name, self.host.name] = _HELD
            return
        self.facilities.network_actions[self.key] = self.draft.act(
            step,
            target=ObjectRef("Network", self.network.name),
            host=self.host.name,
            sign="create" if created else "change",
            why="missing" if created else "drift",
            detail=detail,
            changes=changes,
        )


def _is_held(world: World, draft: Draft, ref: ObjectRef, host: str) -> bool:
    """Say that the change waits, if the object is paused."""
    if not world.is_paused(ref):
        return False
    draft.wait(ref, "paused", "held; changes wait", host=host, hint=world.how_to_resume(ref))
    return True


def _on_off(active: bool, autostart: bool) -> tuple[FieldChange, ...]:
    changes = []
    if not active:
        changes.append(FieldChange("active", "no", "yes", "none"))
    if not autostart:
        changes.append(FieldChange("autostart", "no", "yes", "none"))
    return tuple(changes)


def _network_changes(config: NetworkConfig, observed: ObservedNetwork) -> tuple[FieldChange, ...]:
    pairs = (
        ("mode", observed.mode, config.mode),
        ("bridge", observed.bridge if config.mode == "bridge" else None, config.bridge),
        ("subnet", observed.subnet, config.subnet),
        ("dhcp", "yes" if observed.dhcp else "no", "yes" if config.dhcp else "no"),
    )
    return tuple(FieldChange(name, str(old), str(new), "reboot") for name, old, new in pairs if old != new)
