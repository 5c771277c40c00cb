"""Networks: defined, started and autostarted where the specs say; never restarted under a running guest."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model import identity
from reconciler.model.inventory import HostInventory, ObservedNetwork
from reconciler.model.network import Network
from reconciler.model.plan import FieldChange, UnmetReason
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DefineNetwork, NetworkConfig, StartNetwork
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import HELD, Facilities, on_off, reports_held
from reconciler.planner.world import World


def plan_networks(world: World, facilities: Facilities, draft: Draft) -> None:
    """Bring the networks to the hosts that were read."""
    for _, network in sorted(world.desired.networks.items()):
        for name, host in world.inventory.hosts.items():
            if world.network_serves(network.name, name):
                _NetworkPlanner(world, draft, facilities, network, host).plan()


class _NetworkPlanner(Struct, frozen=True):
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
                changes=on_off(observed.active, observed.autostart),
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
        if reports_held(self.world, self.draft, ObjectRef("Network", self.network.name), self.host.name):
            observed = self.host.networks.get(self.network.name)
            if observed is None or not observed.active:
                self.facilities.networks.discard(self.key)
                self.facilities.trouble["Network", self.network.name, self.host.name] = HELD
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


def _network_changes(config: NetworkConfig, observed: ObservedNetwork) -> tuple[FieldChange, ...]:
    pairs = (
        ("mode", observed.mode, config.mode),
        ("bridge", observed.bridge if config.mode == "bridge" else None, config.bridge),
        ("subnet", observed.subnet, config.subnet),
        ("dhcp", "yes" if observed.dhcp else "no", "yes" if config.dhcp else "no"),
    )
    return tuple(FieldChange(name, str(old), str(new), "reboot") for name, old, new in pairs if old != new)
