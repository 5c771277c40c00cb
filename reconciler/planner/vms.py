"""What happens to each VM: an ordered rule table, the first match decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Severity, UnmetReason, Why
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import StopDomain, is_followed_up
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner import cold_moves
from reconciler.planner.adoption import Adoption
from reconciler.planner.collisions import report_mac_collision
from reconciler.planner.creation import Creation
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.fencing import Holdup
from reconciler.planner.fitting import held_to_its_room
from reconciler.planner.fleet_baseline import report_weak_hosts
from reconciler.planner.in_place import InPlace
from reconciler.planner.leftovers import clear_leftovers
from reconciler.planner.lost_hosts import decisive_home, possible_homes
from reconciler.planner.lost_vms import LostVm, clear_stale_copies
from reconciler.planner.migratability import as_it_runs
from reconciler.planner.moves import Wish
from reconciler.planner.on_its_way import OnItsWay
from reconciler.planner.ownership import Copy
from reconciler.planner.placement import Room
from reconciler.planner.power import Power
from reconciler.planner.renaming import Renaming, hold_new, other_origin
from reconciler.planner.strangers import heir, namesake
from reconciler.planner.two_copies import report_broken, which_is_left_over
from reconciler.planner.unwanted import broken_rule
from reconciler.planner.world import World


class VmPlanner(Struct, frozen=True):
    """Decides one VM; every rule returns whether it was the one."""

    world: World
    facilities: Facilities
    rooms: dict[str, Room]
    draft: Draft
    holdups: Mapping[str, Holdup]
    """By host: why a lost one is not fenced now."""
    vm: VirtualMachine
    copies: tuple[Copy, ...]
    """Its domains in sight."""
    wishes: list[Wish]
    """VMs that are to leave their hosts; this one is added if it is."""
    lookalikes: Mapping[str, str] = MappingProxyType({})
    """New VMs that may be ones that left the specs: new → old."""

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    def decide(self) -> None:
        """Apply the first rule that matches."""
        for rule in _RULES:
            if rule(self):
                return

    def is_on_its_way(self) -> bool:
        """A migration of it is on record: followed to its end, or held; until then nothing else is done to it."""
        move = self.world.ledger.migrations.get(self.vm.name)
        return move is not None and OnItsWay(self.world, self.draft, move).decides()

    def is_moved_by_others(self) -> bool:
        """Somebody else moves it, or this ledger has lost that we do: half of what is in sight is none to act upon."""
        if report_broken(self.world, self.draft, self.vm.name, self.copies):
            return True
        incoming = [copy for copy in self.copies if copy.is_on_its_way]
        if not incoming or (len(self.copies) < 2 and self._is_at_home(incoming[0])):
            return False
        places = " and ".join(f"{copy.host} ({copy.domain.state})" for copy in self.copies)
        way = f"between {places}" if len(self.copies) > 1 else f"to {places}, from a host that can't be read"
        detail = f"it is on its way {way}, by no plan of this controller; nothing is done to it meanwhile"
        self.draft.wait(self.target, "migrating", detail, host=incoming[0].host)
        return True

    def _is_at_home(self, copy: Copy) -> bool:
        """Whether it stands still where it belongs; what waits elsewhere, or is transient, is half of a guest."""
        placement = self.world.ledger.placements.get(self.vm.name)
        return copy.domain.persistent and placement is not None and placement.host == copy.host

    def has_stale_copies(self) -> bool:
        """Old copies on hosts that came back: they go first, and all else waits for the next pass."""
        return clear_stale_copies(self.world, self.draft, self.target)

    def has_leftovers(self) -> bool:
        """Copies of before it was removed: they go before it is made anew."""
        return clear_leftovers(self.world, self.draft, self.target)

    def has_two_copies(self) -> bool:
        """Two managed domains of one VM: which is the true one is for the epoch, what to do for a human."""
        copies = self.copies
        if len(copies) < 2:
            return False
        found = ", ".join(f"{c.host} (epoch {c.mark.epoch}, {c.domain.state})" for c in copies)
        detail = f"there are {len(copies)} copies: {found}; nothing is done to any of them"
        self._block("conflict", detail, copies[0].host, which_is_left_over(self.world, self.vm.name, copies))
        return True

    def says_another_first_name(self) -> bool:
        """Its spec would give it the UUID and volumes of another name than it was made with: empty ones."""
        origin = other_origin(self.world, self.vm)
        if origin is None:
            return False
        says = f"it was made as {origin}, and by its spec as {self.vm.metadata.origin}; nothing is done to it"
        way = "take previousName out" if origin == self.vm.name else f"write metadata.previousName: {origin}"
        copies, placement = self.copies, self.world.ledger.placements.get(self.vm.name)
        host = copies[0].host if copies else placement.host if placement is not None else None
        self.draft.wait(self.target, "conflict", says, severity="blocked", host=host, hint=way)
        return True

    def has_impostor(self) -> bool:
        """A domain that carries the VM's mark under another name or UUID was made by somebody, not by us.

        Its own copy is converged nevertheless, unless the other has the VM's UUID.
        """
        impostors = self.world.foreign.impostors.get(self.vm.name, ())
        for other in impostors:
            self._block(
                "conflict",
                f"domain {other.domain.name} on {other.host} carries this VM's mark, but has another name or UUID;"
                " it is left alone",
                other.host,
                f"if it is a copy, remove its mark: virsh -c {self._uri(other.host)} metadata {other.domain.name}"
                " urn:reconciler:domain:1 --remove --config; if it was renamed, give it its name back",
            )
        return bool(impostors) and not self.copies

    def is_to_be_adopted(self) -> bool:
        """Its spec takes over a domain that is not marked yet."""
        return not self.copies and Adoption(self.world, self.facilities, self.draft, self.vm).decides()

    def is_taken_by_a_stranger(self) -> bool:
        """A foreign domain has the name or the UUID: never adopted or destroyed silently."""
        if self.copies:
            return False
        if self.vm.name in self.world.foreign.names:
            self._report_strangers(severity="blocked")
            return True
        found = heir(self.world, self.vm.name)
        if found is not None:
            self._block("conflict", found.detail, found.host, found.hint)
        return found is not None

    def is_on_a_lost_host(self) -> bool:
        """Its host has an open incident and does not answer: recovered on proof, else it waits."""
        placement, world = self.world.ledger.placements.get(self.vm.name), self.world
        if placement is None or self.copies:
            return False
        host = decisive_home(placement, world.ledger, world.inventory.hosts)
        if host is None or host not in world.ledger.incidents or host not in world.desired.hosts:
            return False
        LostVm(world, self.facilities, self.rooms, self.draft, self.holdups, self.vm, placement, host).plan()
        return True

    def may_be_back_where_it_was_lost(self) -> bool:
        """Recovered, and not seen to run yet, while its former host is neither in sight nor proven dead any more."""
        placement = self.world.ledger.placements.get(self.vm.name)
        before = placement.came_from if placement is not None else None
        if before is None or before in self.world.inventory.hosts or before in self.world.dead or self._runs_in_sight():
            return False
        is_ours = before in self.world.desired.hosts
        self.draft.wait(
            self.target,
            "host-unread",
            f"it is recovered from {before}, which may be back by now and can't be read",
            host=before,
            hint=NextCommand("why", f"Host/{before}") if is_ours else f"put Host {before} back until the VM runs",
        )
        return True

    def was_placed_on_a_host_out_of_sight(self) -> bool:
        """Unseen is not absent: it may run there. A copy that runs in sight is proof that it does not."""
        placement = self.world.ledger.placements.get(self.vm.name)
        if placement is None or placement.host in self.world.inventory.hosts or self._runs_in_sight():
            return False
        idle = f"; the copy on {self.copies[0].host} is off and stays so" if self.copies else ""
        if placement.host in self.world.desired.hosts:
            unread = self.world.inventory.unread.get(placement.host)
            seen = "is another machine now" if placement.host in self.world.strangers else "can't be read"
            detail = f"{placement.host} {seen}, so the VM is neither known to run nor known to be off{idle}"
            hint = unread.hint if unread and unread.hint else NextCommand("why", f"Host/{placement.host}")
        elif ObjectRef("Host", placement.host) in self.world.desired.unusable:
            detail = f"it was placed on {placement.host}, whose spec can't be used{idle}"
            hint = NextCommand("validate")
        else:
            detail = f"it was placed on {placement.host}, which is no longer in the specs{idle}"
            hint = f"put Host {placement.host} back until its VMs are elsewhere: in maintenance it is emptied"
        self.draft.wait(self.target, "host-unread", detail, host=placement.host, hint=hint)
        return True

    def may_run_unseen(self) -> bool:
        """No record of it, and a host that this ledger has never seen: it may run there."""
        if self.vm.name in self.world.ledger.placements or self._runs_in_sight():
            return False
        never = self.world.never_seen
        if not never:
            return False
        self.draft.wait(
            self.target,
            "fleet-not-seen",
            f"{', '.join(never)} was never read with this ledger and might be running it",
            hint="bring the host up, or take it out of the specs",
        )
        return True

    def may_have_been_moved_out_of_sight(self) -> bool:
        """Gone from the host that it was on, while others can't be read: somebody may have moved it there.

        Not so where it was never defined: then the failure to define it is on record, or that it never ran there. And
        nobody runs it on a host that is proven dead.
        """
        placement = self.world.ledger.placements.get(self.vm.name)
        unread = [host for host in self.world.unread if host not in self.world.dead]
        if placement is None or self.copies or not unread or not placement.ran:
            return False
        if f"define-domain:{self.target}@{placement.host}" in self.world.ledger.failures:
            return False
        self.draft.wait(
            self.target,
            "host-unread",
            f"it is not on {placement.host} any more; somebody may have moved it to {', '.join(unread)},"
            " which can't be read",
            host=unread[0],
            hint=NextCommand("why", f"Host/{unread[0]}"),
        )
        return True

    def is_stale(self) -> bool:
        """By the ledger the VM is elsewhere: this copy must never be run by us."""
        placement = self.world.ledger.placements.get(self.vm.name)
        if placement is None or not self.copies or self.copies[0].host == placement.host:
            return False
        copy = self.copies[0]
        if copy.mark.epoch > placement.epoch:
            return False
        self._block(
            "conflict",
            f"the copy on {copy.host} (epoch {copy.mark.epoch}, {copy.domain.state}) is stale: the VM was placed on"
            f" {placement.host} (epoch {placement.epoch})",
            copy.host,
            f"once it is off: virsh -c {self._uri(copy.host)} undefine {self.vm.name}",
        )
        return True

    def exists(self) -> bool:
        """It is there: converge it where it is."""
        if not self.copies:
            return False
        self._report_strangers(severity="info")
        report_mac_collision(self.world, self.draft, self.vm, self.copies[0].host)
        if Renaming(self.world, self.facilities, self.draft, self.vm, self.copies[0]).decides():
            return True
        held = held_to_its_room(self.rooms, self.draft, self.vm, self.copies[0])
        known = len(self.draft.actions)
        InPlace(self.world, self.facilities, self.draft, held, self.copies[0]).converge()
        self._leave_an_unwanted_host(self.copies[0], tuple(self.draft.actions)[known:])
        return True

    def _runs_in_sight(self) -> bool:
        return any(copy.domain.active for copy in self.copies)

    def _block(self, reason: UnmetReason, detail: str, host: str, hint: str) -> None:
        self.draft.wait(self.target, reason, detail, severity="blocked", host=host, hint=hint)

    def may_be_another(self) -> bool:
        """It is new, and one that left the specs with it is just like it: neither is made nor removed."""
        old = self.lookalikes.get(self.vm.name)
        if old is not None:
            hold_new(self.world, self.draft, self.vm, old)
        return old is not None

    def create(self) -> bool:
        """It is nowhere: place it and make it."""
        Creation(self.world, self.facilities, self.rooms, self.draft, self.vm).plan()
        return True

    def _report_strangers(self, severity: Severity) -> None:
        found = namesake(self.world, self.vm.name)
        if found is not None:
            self.draft.wait(self.target, "conflict", found.detail, severity=severity, host=found.host, hint=found.hint)

    def _leave_an_unwanted_host(self, copy: Copy, acted: tuple[str, ...]) -> None:
        """A host that is emptied, or that its placement does not allow: what runs is to be moved, what is off named."""
        drained = self.world.desired.hosts[copy.host].is_drained
        reason = "which is in maintenance" if drained else broken_rule(self.world, self.vm, copy.host)
        is_left_to_people = drained and self.vm.spec.placement.on_drain == "block"
        if not reason or (is_left_to_people and not copy.domain.active):
            return
        is_stopped = any(isinstance(self.draft.actions[action].step, StopDomain) for action in acted)
        if is_stopped or (copy.domain.active and self.vm.spec.run_strategy == "Halted"):
            return  # what it is then is for the next plan
        is_due = cold_moves.is_due(self.world, self.vm, copy) and self.vm.spec.run_strategy != "Halted"
        if copy.domain.active or drained or is_due:
            why: Why = "drain" if drained else "placement-rule"
            power = Power(self.world, self.facilities, self.draft, self.vm, copy)
            starts = not copy.domain.active and (is_due or power.is_to_run())
            was = power.how_it_went_off() if starts and not is_due else ""
            self.wishes.append(Wish(as_it_runs(self.vm, copy), copy, why, reason, acted, starts, was))
            return
        self.draft.wait(
            self.target,
            "not-wanted-here",
            f"it is on {copy.host}, {reason}, and off: only running VMs are moved",
            severity="info",
            host=copy.host,
        )

    def _uri(self, host: str) -> str:
        return self.world.desired.hosts[host].spec.uri


_RULES: Final[tuple[Callable[[VmPlanner], bool], ...]] = (
    VmPlanner.is_on_its_way,
    VmPlanner.is_moved_by_others,
    VmPlanner.has_stale_copies,
    VmPlanner.has_leftovers,
    VmPlanner.has_two_copies,
    VmPlanner.says_another_first_name,
    VmPlanner.has_impostor,
    VmPlanner.is_to_be_adopted,
    VmPlanner.is_taken_by_a_stranger,
    VmPlanner.is_on_a_lost_host,
    VmPlanner.may_be_back_where_it_was_lost,
    VmPlanner.was_placed_on_a_host_out_of_sight,
    VmPlanner.may_run_unseen,
    VmPlanner.may_have_been_moved_out_of_sight,
    VmPlanner.is_stale,
    VmPlanner.exists,
    VmPlanner.may_be_another,
    VmPlanner.create,
)


def plan_vms(
    world: World,
    facilities: Facilities,
    rooms: dict[str, Room],
    holdups: Mapping[str, Holdup],
    draft: Draft,
    lookalikes: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Wish, ...]:
    """Every VM of the specs, by HA priority; what is there already has its room. Returns those that are to be moved.

    Of equal priority, those that lost their host go before new ones, then by size and name. One that fits nowhere takes
    no room from those behind it: better some run than none.
    """
    placements, dead = world.ledger.placements, world.dead

    def urgency(vm: VirtualMachine) -> tuple[int, bool, int, str]:
        placement = placements.get(vm.name) if dead else None
        is_lost = placement is not None and not dead.isdisjoint(possible_homes(placement))
        return (-vm.spec.ha.priority, not is_lost, -vm.spec.memory_ceiling, vm.name)

    order = sorted(world.desired.vms.values(), key=urgency)
    wishes: list[Wish] = []
    report_weak_hosts(world, draft)
    for vm in order:
        ref = ObjectRef("VirtualMachine", vm.name)
        before, to_move = draft.checkpoint(), len(wishes)
        copies = world.copies.get(vm.name, ())
        VmPlanner(world, facilities, rooms, draft, holdups, vm, copies, wishes, lookalikes).decide()
        if world.is_paused(ref):
            is_to_move = len(wishes) > to_move
            del wishes[to_move:]
            only_ends = all(is_followed_up(action.step) for action in tuple(draft.actions.values())[before[0] :])
            if (not only_ends and draft.rollback(before)) or is_to_move:
                draft.wait(ref, "paused", "held; changes wait", hint=world.how_to_resume(ref))
    return tuple(wishes)
