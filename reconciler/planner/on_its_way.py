"""VMs with a migration on record: followed to its end, or held until it is certain where they are."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.ledger import Migration
from reconciler.model.next_command import NextCommand
from reconciler.model.quantities import approximate_size
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import StopDomain
from reconciler.planner import cold_moves
from reconciler.planner.draft import Draft
from reconciler.planner.migrations import follow
from reconciler.planner.ownership import Copy
from reconciler.planner.two_copies import report_broken
from reconciler.planner.world import World


class OnItsWay(Struct, frozen=True):
    """Plans a VM that `move` is on record of; it is at one of the two hosts, and nothing else is done to it."""

    world: World
    draft: Draft
    move: Migration

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.move.vm)

    def decides(self) -> bool:
        """Whether that is all there is to do; not so for a VM that was lost with its hosts, and is on neither."""
        if str(self.target) in self.world.ledger.in_flight:
            self.draft.wait(self.target, "migrating", words(self.move), host=self.move.target)
            return True
        if self._has_left_for_out_of_sight():
            follow(self.draft, self.move, self.move.source)
            return True
        if self._gives_up_half() or report_broken(
            self.world, self.draft, self.move.vm, self.world.copies.get(self.move.vm, ())
        ):
            return True
        unsure = [host for host in (self.move.source, self.move.target) if not self._is_certain(host)]
        if unsure and self._has_not_left() and cold_moves.is_over(self.move, self.world.now):
            follow(self.draft, self.move, self.move.source)
            return True
        if unsure and not self._runs_at_target():
            self._hold(unsure[0])
            return True
        return self._is_seen_to()

    def _is_seen_to(self) -> bool:
        if self._runs_at_target() or self._is_read(self.move.source):
            self._follow_to(self.move.target if self._is_read(self.move.target) else self.move.source)
            return True
        arrived = self._at(self.move.target)
        if arrived is None:
            return False
        if arrived.is_on_its_way:
            self._report_remains()
        else:
            follow(self.draft, self.move, self.move.target)
        return True

    def _gives_up_half(self) -> bool:
        """The other half was lost with its host for certain: this one never goes on, and is in its recovery's way."""
        vm = self.world.desired.vms.get(self.move.vm)
        if vm is None or not vm.spec.ha.enabled:
            return False
        for host, other in ((self.move.target, self.move.source), (self.move.source, self.move.target)):
            half = self._at(host)
            if half is not None and half.domain.is_half and other in self.world.dead:
                self.draft.act(
                    StopDomain(domain=half.domain.name, uuid=half.domain.uuid, timeout=0.0, force=True),
                    target=self.target,
                    host=host,
                    sign="change",
                    why="host-lost",
                    detail=f"force off what is left of it: the rest of its memory was lost with {other}",
                    disruption="reboot",
                )
                return True
        return False

    def _runs_at_target(self) -> bool:
        """Then it has arrived, whatever a source that is silent has kept of it: the epoch decides."""
        found = self._at(self.move.target)
        if found is None or found.is_on_its_way or not found.domain.persistent:
            return False
        return found.domain.state == "running" and found.mark.epoch == self.move.epoch

    def _follow_to(self, host: str) -> None:
        """Told too, where looking at both once did not end it: libvirt may have let it run on at its source as well."""
        action = follow(self.draft, self.move, host)
        here = self._at(self.move.source)
        is_there_too = here is not None and here.domain.state == "running" and self._runs_at_target()
        if not is_there_too or action not in self.world.ledger.failures:
            return
        self.draft.wait(
            self.target,
            "conflict",
            f"it runs on {self.move.source} and on {self.move.target}: libvirt had it run on at its source too",
            severity="blocked",
            host=self.move.target,
            hint=f"see which of them is to stay; on the other host: virsh destroy {self.move.vm}, then virsh undefine"
            f" --keep-nvram {self.move.vm}",
        )

    def _has_left_for_out_of_sight(self) -> bool:
        """Its source has it no more, so it came to the target, and is sought where a host that can't be read is.

        Not so with disks of its own: whether they are whole there is known once it is seen.
        """
        world, target, uuid = self.world, self.move.target, self.move.step.uuid
        source = world.inventory.hosts.get(self.move.source)
        if source is None or self.move.step.disks or target not in world.desired.hosts:
            return False
        if self._is_read(target) or target in world.strangers:
            return False
        return all(domain.uuid != uuid for domain in source.domains.values())

    def _has_not_left(self) -> bool:
        """Moved while it was off, and still at its source: a definition is all that may be of it at the target.

        Nobody runs that: it is not started by itself, and of a lower epoch than the VM has once that is settled.
        """
        found = self._at(self.move.source)
        is_whole = found is not None and found.domain.persistent and found.mark.epoch < self.move.epoch
        return self.move.step.cold and is_whole

    def _is_read(self, host: str) -> bool:
        return host in self.world.inventory.hosts

    def _is_certain(self, host: str) -> bool:
        return self._is_read(host) or host in self.world.dead

    def _at(self, host: str) -> Copy | None:
        return next((copy for copy in self.world.copies.get(self.move.vm, ()) if copy.host == host), None)

    def _hold(self, unread: str) -> None:
        """Unseen is not absent: it may have arrived there, or be there still."""
        copies = self.world.copies.get(self.move.vm, ())
        running = [copy.host for copy in copies if copy.domain.state == "running" and not copy.is_on_its_way]
        lost = unread in self.world.ledger.incidents
        where = f"; it runs on {running[0]}" if running else ""
        if self._has_not_left():
            where += f"; it has not left {self.move.source}, and stays there unless it does within 3 minutes"
        self.draft.wait(
            self.target,
            "migration-unsettled" if running else "host-lost" if lost else "host-unread",
            f"it was on its way from {self.move.source} to {self.move.target}, and {unread} can't be asked{where}",
            host=unread,
            hint=self._how_to_settle(unread),
        )

    def _how_to_settle(self, unread: str) -> str:
        if unread not in self.world.desired.hosts:
            return f"put Host {unread} back until that is settled"
        lost = unread in self.world.ledger.incidents
        return (
            NextCommand("fence", "confirm", unread, "--reason", "TEXT")
            if lost
            else NextCommand("why", f"Host/{unread}")
        )

    def _report_remains(self) -> None:
        host = self.move.target
        uri = self.world.desired.hosts[host].spec.uri
        self.draft.wait(
            self.target,
            "conflict",
            f"{self.move.source} died while it was on its way, and what had come to {host} of it waits there, paused;"
            " it is never resumed",
            severity="blocked",
            host=host,
            hint=f"virsh -c {uri} destroy {self.move.vm}",
        )


def words(move: Migration) -> str:
    """`from h1 to h2, 45 %, 1.2 GiB left`."""
    told = move.progress
    if told is None or told.total <= 0:
        return f"on its way from {move.source} to {move.target}"
    share = 100 * max(0, told.total - told.remaining) // told.total
    left = approximate_size(told.remaining)
    return f"on its way from {move.source} to {move.target}: {share} %, {left} left, {approximate_size(told.done)} sent"
