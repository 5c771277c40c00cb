"""What happens to each VM: an ordered rule table, the first match decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reconciler.model.identity import vm_uuid
from reconciler.model.plan import Why
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DefineDomain, StartDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.disks import DiskPlanner
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.in_place import InPlace
from reconciler.planner.placement import Room, Verdict, place, reject
from reconciler.planner.vm_domain import desired_domain, marked
from reconciler.planner.world import World


@dataclass(frozen=True, slots=True)
class VmPlanner:
    """Decides one VM; every rule returns whether it was the one."""

    world: World
    facilities: Facilities
    rooms: dict[str, Room]
    draft: Draft
    vm: VirtualMachine

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    def decide(self) -> None:
        """Apply the first rule that matches."""
        for rule in _RULES:
            if rule(self):
                return

    def has_two_copies(self) -> bool:
        """Two managed domains of one VM: which is the true one is for the epoch, what to do for a human."""
        copies = self.world.copies.get(self.vm.name, ())
        if len(copies) < 2:
            return False
        found = ", ".join(f"{c.host} (epoch {c.mark.epoch}, {c.domain.state})" for c in copies)
        stale = min(copies, key=lambda c: (c.mark.epoch, not c.domain.active))
        self.draft.wait(
            self.target,
            "conflict",
            f"there are {len(copies)} copies: {found}; nothing is done to any of them",
            severity="blocked",
            host=copies[0].host,
            hint=f"on {stale.host}, once you are sure that it is the stale one: virsh undefine {self.vm.name}",
        )
        return True

    def has_foreign_mark(self) -> bool:
        """A domain that carries the VM's mark under another name or UUID was made by somebody, not by us."""
        for copy in self.world.copies.get(self.vm.name, ()):
            expected = desired_identity(self.world.fleet, self.vm.name)
            if (copy.domain.name, copy.domain.uuid) != expected:
                self.draft.wait(
                    self.target,
                    "conflict",
                    f"domain {copy.domain.name} on {copy.host} carries this VM's mark, but has another name or UUID",
                    severity="blocked",
                    host=copy.host,
                    hint="if it is a copy, remove its mark: virsh metadata "
                    f"{copy.domain.name} urn:reconciler:domain:1 --remove",
                )
                return True
        return False

    def exists(self) -> bool:
        """It is there: converge it where it is."""
        copies = self.world.copies.get(self.vm.name, ())
        if not copies:
            return False
        self._report_strangers(severity="info")
        InPlace(self.world, self.facilities, self.draft, self.vm, copies[0]).converge()
        self._report_unwanted_host(copies[0].host)
        return True

    def is_taken_by_a_stranger(self) -> bool:
        """An unmanaged domain has the name: never adopted or destroyed silently."""
        if self.vm.name not in self.world.strangers:
            return False
        self._report_strangers(severity="blocked")
        return True

    def was_placed_on_a_host_out_of_sight(self) -> bool:
        """Unseen is not absent: it may run there."""
        placement = self.world.ledger.placements.get(self.vm.name)
        if placement is None or placement.host in self.world.inventory.hosts:
            return False
        if placement.host in self.world.desired.hosts:
            unread = self.world.inventory.unread.get(placement.host)
            detail = f"{placement.host} can't be read, so the VM is neither known to run nor known to be off"
            hint = unread.hint if unread and unread.hint else f"reconciler why Host/{placement.host}"
        else:
            detail = f"it was placed on {placement.host}, which is no longer in the specs"
            hint = f"put Host {placement.host} back until its VMs are elsewhere"
        self.draft.wait(self.target, "host-unread", detail, host=placement.host, hint=hint)
        return True

    def may_run_unseen(self) -> bool:
        """No record of it, and a host that this ledger has never seen: it may run there."""
        if self.vm.name in self.world.ledger.placements:
            return False
        seen = self.world.ledger.hosts_read | self.world.inventory.hosts.keys()
        never = sorted(self.world.desired.hosts.keys() - seen)
        if not never:
            return False
        self.draft.wait(
            self.target,
            "fleet-not-seen",
            f"{', '.join(never)} was never read with this ledger and might be running it",
            hint="bring the host up, or take it out of the specs",
        )
        return True

    def create(self) -> bool:
        """It is nowhere: place it and make it."""
        verdict = self._place()
        if verdict.host is None:
            self.draft.wait(
                self.target,
                "no-host-fits",
                "no host fits",
                per_host=verdict.rejections,
                hint=f"reconciler why {self.target}",
            )
            return True
        self.rooms[verdict.host].take(self.vm)
        self._make(verdict.host)
        return True

    def _place(self) -> Verdict:
        """The host that it was on comes first: its disks may be there."""
        placement = self.world.ledger.placements.get(self.vm.name)
        before = placement.host if placement else None
        if before in self.rooms:
            room = self.rooms[before]
            if not reject(self.world, self.facilities, self.vm, room):
                return Verdict(before, ())
            if not self._all_shared():
                return place(self.world, self.facilities, self.vm, self.rooms, only=before)
        return place(self.world, self.facilities, self.vm, self.rooms, only=self._host_with_disks())

    def _all_shared(self) -> bool:
        return all(
            (pool := self.world.desired.pools.get(disk.pool)) is not None and pool.spec.shared
            for disk in self.vm.spec.disks
        )

    def _host_with_disks(self) -> str | None:
        """The host whose local pool still holds a disk of this VM, retained from before."""
        for disk in self.vm.spec.disks:
            pool = self.world.desired.pools.get(disk.pool)
            if pool is None or pool.spec.shared:
                continue
            volume = f"{self.world.fleet}.{self.vm.name}.{disk.name}.{disk.format}"
            for host in self.world.pool_hosts.get(disk.pool, ()):
                observed = self.world.inventory.hosts[host].pools.get(disk.pool)
                if observed is not None and observed.volumes and volume in observed.volumes:
                    return host
        return None

    def _make(self, host: str) -> None:
        before = self.world.ledger.placements.get(self.vm.name)
        epoch = 1 if before is None else before.epoch + (before.host != host)
        config = desired_domain(
            self.world.fleet, self.vm, self.world.desired.hosts[host], self.facilities.pools_on(host)
        )
        disks = DiskPlanner(self.world, self.facilities, self.draft, self.vm, host, None, "create")
        prepared = disks.prepare(config)
        if prepared is None:
            return
        networks = [
            action
            for nic in config.nics
            if (action := self.facilities.network_actions.get((nic.network, host))) is not None
        ]
        pools = [
            action
            for disk in self.vm.spec.disks
            if (action := self.facilities.pool_actions.get((disk.pool, host))) is not None
        ]
        why: Why = "missing" if before is None else "drift"
        config = marked(config, self.vm, fleet=self.world.fleet, epoch=epoch, generation=self.world.desired.generation)
        autostart = config.autostart
        define = self.draft.act(
            DefineDomain(config),
            target=self.target,
            host=host,
            sign="create",
            why=why,
            detail="define" + (" with autostart" if autostart else ""),
            after=(*prepared, *networks, *pools),
        )
        if self.vm.spec.run_strategy in ("Always", "RerunOnFailure"):
            self.draft.act(
                StartDomain(domain=config.name, uuid=config.uuid),
                target=self.target,
                host=host,
                sign="create",
                why=why,
                detail="start",
                after=(define,),
            )

    def _report_strangers(self, severity: str) -> None:
        hosts = self.world.strangers.get(self.vm.name, ())
        if not hosts:
            return
        self.draft.wait(
            self.target,
            "conflict",
            f"an unmanaged domain of this name is on {', '.join(hosts)}; it is left alone",
            severity="info" if severity == "info" else "blocked",
            host=hosts[0],
            hint=f"rename one of the two, or remove the other: virsh -c {self._uri(hosts[0])} domrename "
            f"{self.vm.name} {self.vm.name}-old",
        )

    def _report_unwanted_host(self, host: str) -> None:
        """Moving is not done yet where the placement no longer allows the host; it is said."""
        allowed = self.vm.spec.placement.hosts
        selector = self.vm.spec.placement.node_selector
        labels = self.world.desired.hosts[host].metadata.labels
        missing = [f"{key}={value}" for key, value in selector.items() if labels.get(key) != value]
        if (allowed and host not in allowed) or missing:
            wanted = " ".join(missing) or f"one of {', '.join(allowed)}"
            self.draft.wait(
                self.target,
                "not-wanted-here",
                f"it is on {host}, but its placement asks for {wanted}",
                severity="info",
                host=host,
                hint=f"move it by hand: virsh -c {self._uri(host)} migrate --live --persistent --undefinesource "
                f"{self.vm.name} …",
            )

    def _uri(self, host: str) -> str:
        return self.world.desired.hosts[host].spec.uri


def desired_identity(fleet: str, vm: str) -> tuple[str, str]:
    """Name and UUID that the domain of `vm` has."""
    return (vm, vm_uuid(fleet, vm))


_RULES: Final[tuple[Callable[[VmPlanner], bool], ...]] = (
    VmPlanner.has_two_copies,
    VmPlanner.has_foreign_mark,
    VmPlanner.exists,
    VmPlanner.is_taken_by_a_stranger,
    VmPlanner.was_placed_on_a_host_out_of_sight,
    VmPlanner.may_run_unseen,
    VmPlanner.create,
)


def plan_vms(world: World, facilities: Facilities, rooms: dict[str, Room], draft: Draft) -> None:
    """Every VM of the specs: those that are there first, then new ones by HA priority, size and name."""
    order = sorted(
        world.desired.vms.values(),
        key=lambda vm: (-vm.spec.ha.priority, -(vm.spec.max_memory or vm.spec.memory), vm.name),
    )
    for vm in order:
        ref = ObjectRef("VirtualMachine", vm.name)
        before = draft.checkpoint()
        VmPlanner(world, facilities, rooms, draft, vm).decide()
        if world.is_paused(ref) and draft.rollback(before):
            draft.wait(ref, "paused", "held; changes wait", hint=f"reconciler resume {ref}")
