"""Taking over a domain that is there: only as it is, so that nothing of it restarts or is otherwise than before."""

from __future__ import annotations

from shlex import quote
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.domain import DomainConfig
from reconciler.model.inventory import ObservedDomain
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import FieldChange
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import AdoptDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.vm_diff import diff, kept_machine
from reconciler.planner.vm_domain import desired_domain, marked
from reconciler.planner.world import World

HARMLESS: Final = frozenset({"title", "description"})
"""Fields that no guest notices: they may differ when a domain is taken over."""


class Adoption(Struct, frozen=True):
    """Plans the taking over of the domain that `metadata.adopt` names, while it is not marked yet."""

    world: World
    facilities: Facilities
    draft: Draft
    vm: VirtualMachine

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    def decides(self) -> bool:
        """Whether there is a domain to take over, or none where there should be one; says what is done about it."""
        wanted = self.vm.metadata.adopt
        if wanted is None:
            return False
        places = self.world.foreign.uuids.get(wanted, ())
        recorded = self.world.ledger.placements.get(self.vm.name)
        if recorded is not None and recorded.host not in {place.host for place in places}:
            return False  # it was taken over before, and is where it is on record, or lost
        if len(places) > 1:
            hosts = " and ".join(place.host for place in places)
            self._refuse(f"domain {wanted} is on {hosts}", "undefine all but one of them", places[0].host)
        elif places:
            domains = self.world.inventory.hosts[places[0].host].domains
            self._take(next(found for found in domains.values() if found.uuid == wanted), places[0].host)
        elif self.vm.name in self.world.ledger.removed:
            return False  # it was taken over, removed, and comes back on its disks
        else:
            self._report_absent(wanted)
        return True

    def _report_absent(self, wanted: str) -> None:
        unread = self.world.unread
        if unread:
            self.draft.wait(
                self.target,
                "host-unread",
                f"domain {wanted}, which it is to take over, is not in sight; it may be on {', '.join(unread)}",
                host=unread[0],
                hint=NextCommand("why", f"Host/{unread[0]}"),
            )
            return
        self._refuse(
            f"no host has the domain {wanted} that it is to take over, and adopt makes none",
            "correct metadata.adopt (virsh domuuid NAME tells it), or leave it out for a new VM",
            None,
        )

    def _take(self, domain: ObservedDomain, host: str) -> None:
        obstacle, hint = self._obstacle(domain, host)
        if obstacle:
            self._refuse(obstacle, hint, host)
            return
        config = desired_domain(
            self.world.fleet,
            self.vm,
            self.world.desired.hosts[host],
            self.facilities.pools_on(host),
            volumes=self.world.disk_volumes(self.vm),
            observed=domain.config,
        )
        changes = diff(config, domain.config)
        if any(change.field not in HARMLESS for change in changes):
            self._refuse(
                f"its spec would change domain {domain.name}, which is taken over only as it is",
                f"write what is there now (reconciler adopt {host} {domain.name} prints it), and change it later",
                host,
                tuple(change for change in changes if change.field not in HARMLESS),
            )
            return
        self._adopt(config, domain, host, tuple(replace(change, disruption="none") for change in changes))

    def _obstacle(self, domain: ObservedDomain, host: str) -> tuple[str, str]:
        """Why the domain can't be this VM, whatever the fields say, and what lifts that; empty where it can."""
        uri = self.world.desired.hosts[host].spec.uri
        mark = domain.config.mark
        if mark is not None:
            whose = f"VirtualMachine/{mark.vm} of fleet {mark.fleet}"
            return f"domain {domain.name} on {host} is {whose} already", f"take it out of the specs of {mark.fleet}"
        if domain.name != self.vm.name:
            off = "shut it down, then " if domain.active else ""
            return (
                f"domain {domain.uuid} on {host} has the name {domain.name}, and a VM has that of its domain",
                f"name the VM {domain.name}, or {off}virsh -c {uri} domrename {quote(domain.name)} {self.vm.name}",
            )
        if not domain.persistent:
            return f"domain {domain.name} on {host} is transient", f"define it: virsh -c {uri} dumpxml and define"
        if domain.is_on_its_way:
            return f"domain {domain.name} on {host} is being migrated", "wait until it has arrived"
        pools = self.facilities.pools_on(host)
        for disk in self.vm.spec.disks:
            if disk.pool not in pools:
                trouble = self.facilities.trouble.get(("StoragePool", disk.pool, host), "the specs don't give it one")
                return f"pool {disk.pool} on {host}: {trouble}", NextCommand("why", f"StoragePool/{disk.pool}")
        return "", ""

    def _adopt(
        self, config: DomainConfig, domain: ObservedDomain, host: str, described: tuple[FieldChange, ...]
    ) -> None:
        before, removed = self.world.ledger.placements.get(self.vm.name), self.world.ledger.removed.get(self.vm.name)
        epoch = before.epoch if before else removed.epoch + 1 if removed else 1
        generation = self.world.desired.generation
        mine = marked(config, self.vm, fleet=self.world.fleet, epoch=epoch, generation=generation)
        autostart: tuple[FieldChange, ...] = ()
        if config.autostart != domain.config.autostart:
            old, new = ("yes" if each.autostart else "no" for each in (domain.config, config))
            autostart = (FieldChange("autostart", old, new, "none"),)
        state = "it runs on" if domain.active else "it stays off"
        self.draft.act(
            AdoptDomain(
                config=replace(mine, machine=kept_machine(config, domain.config)),
                expect_fingerprint=domain.fingerprint,
                volumes=tuple((disk.name, disk.volume) for disk in self.vm.spec.disks if disk.volume is not None),
            ),
            target=self.target,
            host=host,
            sign="change",
            why="adopt",
            detail=f"take over domain {domain.name} as it is; {state}",
            changes=(FieldChange("managed", "no", f"by fleet {self.world.fleet}", "none"), *autostart, *described),
        )

    def _refuse(self, detail: str, hint: str, host: str | None, changes: tuple[FieldChange, ...] = ()) -> None:
        self.draft.wait(
            self.target, "adoption-refused", detail, severity="blocked", host=host, hint=hint, changes=changes
        )
