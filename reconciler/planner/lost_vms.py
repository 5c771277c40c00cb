"""VMs of lost hosts: run elsewhere on proof, or told what they wait for; and their old copies, once hosts are back."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from reconciler.model.ledger import Placement
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import UNSEEN, UnmetReason, Why
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import StopDomain, UndefineDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.creation import Creation
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.fencing import Holdup, confirm, local_disks
from reconciler.planner.lost_hosts import proven, stale_copies
from reconciler.planner.placement import Room
from reconciler.planner.two_copies import report_split
from reconciler.planner.world import World


class LostVm(Struct, frozen=True):
    """Plans a VM that was placed on a host with an open incident, and is nowhere in sight."""

    world: World
    facilities: Facilities
    rooms: dict[str, Room]
    draft: Draft
    holdups: Mapping[str, Holdup]
    """By host: why it is not fenced now."""
    vm: VirtualMachine
    placement: Placement
    host: str
    """The one of its hosts that decides: it is recovered from there, or waits for it."""

    def plan(self) -> None:
        """Recover it, or say what it waits for."""
        own = self._waits_for_its_host()
        if own:
            hint = NextCommand("why", f"Host/{self.host}")
            self._wait("host-lost", f"{self.host} is lost, and {own}", hint)
        elif self.host in self.world.dead:
            creation = Creation(self.world, self.facilities, self.rooms, self.draft, self.vm, self.host)
            creation.plan()
        elif proven(self.world.ledger, self.host):
            self._wait("host-lost", f"{self.host} is proven dead; nothing is recovered in the quiet period", "")
        else:
            self._wait_for_proof()

    def _waits_for_its_host(self) -> str:
        """Why this VM does not go elsewhere, whatever is known of its host; empty if it does."""
        if not self.vm.spec.ha.enabled:
            return "ha.enabled is false: it waits for its host"
        if self.placement.autostart:
            return f"{self.host} starts it by itself when it is back, so it is not run elsewhere"
        local = local_disks(self.world, self.vm)
        if local and self.vm.spec.ha.on_host_loss == "wait":
            disks = f"its disk {local[0]} is" if len(local) == 1 else f"its disks {', '.join(local)} are"
            return f"{disks} there: it waits for its host (ha.onHostLoss: rebuild would make it anew)"
        return ""

    def _wait_for_proof(self) -> None:
        holdup, health = self.holdups.get(self.host), self.world.ledger.health.get(self.host)
        if holdup is None and health is not None and health.state == "returning":
            detail = f"{self.host} answers again, and is not read yet"
            self._wait("host-unread", detail, NextCommand("why", f"Host/{self.host}"))
        elif holdup is None:
            detail = f"{self.host} is lost and not proven dead; it goes elsewhere once {self.host} is surely off"
            self._wait("host-lost", detail, confirm(self.host))
        else:
            # Of the VM it has to be said that it may run, not that somebody is at it or that it is held.
            reason: UnmetReason = holdup.reason if holdup.reason in UNSEEN else "host-lost"
            target = ObjectRef("VirtualMachine", self.vm.name)
            self.draft.wait(
                target,
                reason,
                holdup.detail,
                severity=holdup.severity,
                host=self.host,
                hint=holdup.hint,
                per_host=holdup.per_vm.get(self.vm.name, ()),
            )

    def _wait(self, reason: UnmetReason, detail: str, hint: str) -> None:
        self.draft.wait(ObjectRef("VirtualMachine", self.vm.name), reason, detail, host=self.host, hint=hint)


def clear_stale_copies(world: World, draft: Draft, target: ObjectRef) -> bool:
    """Force off and undefine old copies; their disks stay. Return whether there are any.

    But for what has run on with disks of its own, which is told.

    There is no waiting for a guest whose disks are another's by now. A copy that an I/O error paused is among them: it
    is never resumed.
    """
    placement = world.ledger.placements.get(target.name)
    if placement is None:
        return False
    stale = stale_copies(world.copies.get(target.name, ()), placement, world.ledger.incidents)
    if report_split(world, draft, target.name, stale):
        return True
    for copy in stale:
        domain, after = copy.domain, []
        why: Why = "host-lost" if copy.host in world.ledger.incidents else "drift"
        which = f"the old copy (epoch {copy.mark.epoch})"
        # Either what was proven was not so, or the host has started it again by itself.
        doubt = f"; it ran on {copy.host} all the same, so check its disks" if why == "host-lost" else ""
        if domain.active:
            after.append(
                draft.act(
                    StopDomain(domain=domain.name, uuid=domain.uuid, timeout=0.0, force=True),
                    target=target,
                    host=copy.host,
                    sign="change",
                    why=why,
                    detail=f"force off {which}: the VM belongs to {placement.host} now{doubt}",
                )
            )
        if domain.persistent:
            draft.act(
                UndefineDomain(domain=domain.name, uuid=domain.uuid, keep_nvram=True),
                target=target,
                host=copy.host,
                sign="change",
                why=why,
                detail=f"undefine {which}; its disks are kept",
                after=after,
            )
    return bool(stale)
