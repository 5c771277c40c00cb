"""A VM that is there: its configuration and its disks; whether it is on follows from that."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.domain import DomainConfig
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import FieldChange, Why
from reconciler.model.steps import RedefineDomain, SetAutostart
from reconciler.planner.disks import DiskPlanner
from reconciler.planner.live_changes import plan_live, staged
from reconciler.planner.one_copy import OneCopy
from reconciler.planner.power import Power
from reconciler.planner.restoration import Restoration
from reconciler.planner.vm_diff import diff, kept_machine
from reconciler.planner.vm_domain import desired_domain, marked, spec_hash


class InPlace(OneCopy, frozen=True):
    """Plans the one copy of `vm`."""

    def converge(self) -> None:
        """Configuration first, then whether it is on."""
        pools = self.facilities.pools_on(self.copy.host)
        missing = sorted({disk.pool for disk in self.vm.spec.disks} - pools.keys())
        if missing:
            self._wait_for_pools(missing)
            return
        if Restoration(self.world, self.facilities, self.draft, self.vm, self.copy).plan():
            return
        config = desired_domain(
            self.world.fleet,
            self.vm,
            self.world.desired.hosts[self.copy.host],
            pools,
            volumes=self.world.disk_volumes(self.vm),
            observed=self.copy.domain.config,
        )
        redefined = self._configure(config)
        if redefined is None:
            return
        self._autostart(config)
        power = Power(self.world, self.facilities, self.draft, self.vm, self.copy)
        power.converge(config, (*redefined, *self._facilities_first(config)))

    def _configure(self, config: DomainConfig) -> tuple[str, ...] | None:
        """Actions after which the persistent configuration is right; None if that can't be had now."""
        domain = self.copy.domain
        disks = DiskPlanner(self.world, self.facilities, self.draft, self.vm, self.copy.host, domain, "change").prepare(
            config
        )
        if disks is None:
            return None
        changes = diff(config, domain.config)
        if not domain.persistent:
            changes += (FieldChange("persistent", "no", "yes", "none"),)
        mark_changes = self._mark_changes(config)
        if not changes and not mark_changes:
            return disks
        differs, changes = bool(changes), self._told_of(changes, config)
        generation = self.world.desired.generation
        redefine = self.draft.act(
            RedefineDomain(
                config=replace(
                    marked(
                        config,
                        self.vm,
                        fleet=self.world.fleet,
                        epoch=self._epoch,
                        generation=generation,
                        restore=self.world.last_restore(self.vm.name, self.copy.mark.restore),
                    ),
                    machine=kept_machine(config, domain.config),
                ),
                expect_fingerprint=domain.fingerprint,
            ),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why=self._why(config) if differs else "spec-change",
            detail=self._redefine_detail(changes) if differs else "note what was applied",
            disruption="rebuild" if _rebuilds(changes) else "none",
            changes=(*changes, *mark_changes),
            after=(*disks, *self._facilities_first(config)),
        )
        return (*disks, redefine)

    def _told_of(self, changes: tuple[FieldChange, ...], config: DomainConfig) -> tuple[FieldChange, ...]:
        """With what each costs; without what the running guest is told by itself."""
        live = self.copy.domain.live
        if live is None:
            return tuple(_while_off(change) for change in changes)
        return staged(changes, plan_live(config, live, self.vm.spec.update_policy))

    def _redefine_detail(self, changes: tuple[FieldChange, ...]) -> str:
        if not changes:
            return "for its next boot too"
        if not self.copy.domain.persistent:
            return "define it persistently"
        is_staged = any(change.disruption in ("reboot", "rebuild") for change in changes)
        waits = is_staged and self.copy.domain.active and self.vm.spec.update_policy != "restart"
        words = "stage for the next boot" if waits else "redefine"
        return f"{words}; it boots from another disk then" if _rebuilds(changes) else words

    def _facilities_first(self, config: DomainConfig) -> tuple[str, ...]:
        """Actions that make the host's networks and pools ready for the VM."""
        host, networks, pools = self.copy.host, self.facilities.network_actions, self.facilities.pool_actions
        found = [networks.get((nic.network, host)) for nic in config.nics] if networks else []
        found += [pools.get((disk.pool, host)) for disk in self.vm.spec.disks] if pools else []
        return tuple(dict.fromkeys(action for action in found if action is not None))

    def _mark_changes(self, config: DomainConfig) -> tuple[FieldChange, ...]:
        mark = self.copy.mark
        pairs = (
            ("applied spec", mark.spec_hash, spec_hash(config)),
            ("epoch", str(mark.epoch), str(self._epoch)),
            ("deletionPolicy", mark.deletion_policy, self.vm.spec.deletion_policy),
            ("prune", mark.prune, "disabled" if self.vm.metadata.prune_disabled else "enabled"),
        )
        changes = tuple(FieldChange(name, old, new, "none") for name, old, new in pairs if old != new)
        live = self.copy.domain.live
        if not changes and live is not None and not mark.is_like(live.mark):
            return (FieldChange("mark of the running domain", "another", "as defined", "none"),)
        return changes

    @property
    def _epoch(self) -> int:
        """The ledger's, where the VM was moved by hand: then the copy's own is that of its former place."""
        placement = self.world.ledger.placements.get(self.vm.name)
        return max(self.copy.mark.epoch, placement.epoch if placement else 0)

    def _why(self, config: DomainConfig) -> Why:
        return "drift" if self.copy.mark.spec_hash == spec_hash(config) else "spec-change"

    def _autostart(self, config: DomainConfig) -> None:
        observed = self.copy.domain.config.autostart
        if observed == config.autostart or not self.copy.domain.persistent:
            return
        self.draft.act(
            SetAutostart(domain=self.vm.name, uuid=config.uuid, autostart=config.autostart),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why="drift",
            detail="autostart",
            changes=(FieldChange("autostart", _yes_no(observed), _yes_no(config.autostart), "none"),),
        )

    def _wait_for_pools(self, missing: list[str]) -> None:
        pool = missing[0]
        trouble = self.facilities.trouble.get(("StoragePool", pool, self.copy.host), "the specs don't give it one")
        self.draft.wait(
            self.target,
            "pool-unavailable",
            f"pool {pool} on {self.copy.host}: {trouble}",
            severity="blocked",
            host=self.copy.host,
            hint=NextCommand("why", f"StoragePool/{pool}"),
        )


def _rebuilds(changes: tuple[FieldChange, ...]) -> bool:
    """Whether the VM has another system after its next boot."""
    return any(change.disruption == "rebuild" for change in changes)


def _while_off(change: FieldChange) -> FieldChange:
    """A VM that is off needs no reboot; that its system is another one then stays true."""
    return change if change.disruption == "rebuild" else replace(change, disruption="none")


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
