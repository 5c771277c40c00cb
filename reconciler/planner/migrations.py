"""Moves of VMs to other hosts: the one function that plans them, whatever the reason."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.ledger import Migration
from reconciler.model.migration import DiskCopy
from reconciler.model.plan import Disruption, FieldChange, Why
from reconciler.model.quantities import format_duration
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import MigrateDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner import cold_moves
from reconciler.planner.captures import holds_vm
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.migratability import as_it_runs, bound, obstacle
from reconciler.planner.migration_disks import MovingDisks
from reconciler.planner.ownership import Copy
from reconciler.planner.peers import migration_address, peer_uri
from reconciler.planner.placement import Room, Verdict, place
from reconciler.planner.shutdowns import shut_down
from reconciler.planner.world import World

Manner = Literal["live", "cold", "off"]
"""As it runs; shut down for it; or off already."""
_COLD: Final = "cold"
"""The part of such an action: that a live one failed does not hold it up."""
_WORTH_A_REBOOT: Final[frozenset[Why]] = frozenset({"drain", "placement-rule"})


class _Trip(Struct, frozen=True):
    """One move that is to be planned: whose, where to, why, and after which actions."""

    vm: VirtualMachine
    """As it runs."""
    copy: Copy
    disks: MovingDisks
    host: str
    why: Why
    detail: str
    after: tuple[str, ...]

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)


class Mover(Struct, frozen=True):
    """Plans moves into `draft`; each takes its room of `rooms`, so that the next one sees what is left.

    Whoever has a reason to move a VM asks here and nowhere else, and once for each VM in a plan: rules of placement,
    a drain, balance. How many go at once is for these; the executor holds them to `policy.migration` once more.
    """

    world: World
    facilities: Facilities
    rooms: Mapping[str, Room]
    draft: Draft

    def plan_move(
        self,
        vm: VirtualMachine,
        copy: Copy,
        *,
        why: Why,
        detail: str,
        only: Collection[str] | None = None,
        after: Iterable[str] = (),
        manner: Manner = "live",
        starts: bool = False,
    ) -> Verdict:
        """Have `vm` go from where its `copy` is to the best other host; `detail` says why, in a few words.

        `only` are hosts to choose from, `after` are actions that come first: all that the plan does to the VM where it
        is has to be among them; `starts`: it is off, and to be on. Returns the host that it goes to; or why each does
        not take it, with nothing planned (where it can leave its host for none, all say so).

        Planned are bases and the seed that it needs there, and one MigrateDomain (sign `move`; disruption `migrate`,
        `reboot` where the VM may be, or is, shut down for it, or `none` for what is off).
        """
        vm, disks = as_it_runs(vm, copy), MovingDisks(self.world, self.facilities, vm, copy)
        out = {name: why_not for name, why_not in self._out(vm, copy, disks, only, manner).items() if why_not}
        verdict = place(self.world, self.facilities, vm, self.rooms, barred=out)
        if verdict.host is None:
            return verdict
        self.rooms[verdict.host].take(vm)
        trip = _Trip(vm, copy, disks, verdict.host, why, detail, tuple(after))
        if manner == "live":
            self._move_live(trip)
        else:
            self._move_cold(trip, is_off=manner == "off", starts=starts or manner == "cold")
        return verdict

    def why_not_cold(self, vm: VirtualMachine, copy: Copy) -> str:
        """Why it is never shut down for a move; empty if it may be."""
        return cold_moves.why_not(vm, MovingDisks(self.world, self.facilities, vm, copy))

    def obstacles(self, vm: VirtualMachine, copy: Copy) -> Mapping[str, str]:
        """Of each host in sight but its own, in order: why the VM can't go there now; empty where it can."""
        disks = MovingDisks(self.world, self.facilities, vm, copy)
        out = self._out(as_it_runs(vm, copy), copy, disks, None)
        return {name: out[name] for name in sorted(out) if name != copy.host}

    def can_leave(self, vm: VirtualMachine, copy: Copy, hosts: Iterable[str] | None = None) -> bool:
        """Whether any of `hosts` (all in sight for None) takes it: as `obstacles`, looking no further than need be."""
        disks, stuck = MovingDisks(self.world, self.facilities, vm, copy), self.why_stuck(vm, copy)
        sized = as_it_runs(vm, copy)
        return not stuck and any(
            name != copy.host and not self._why_not(sized, copy, disks, name, stuck, None)
            for name in (self.rooms if hosts is None else hosts)
        )

    def _out(
        self,
        vm: VirtualMachine,
        copy: Copy,
        disks: MovingDisks,
        only: Collection[str] | None,
        manner: Manner = "live",
    ) -> Mapping[str, str]:
        stuck = self.why_stuck(vm, copy)
        return {name: self._why_not(vm, copy, disks, name, stuck, only, manner) for name in self.rooms}

    def why_stuck(self, vm: VirtualMachine, copy: Copy) -> str:
        """Why the VM can't leave its host for any other as it is now; empty if it can."""
        disks = MovingDisks(self.world, self.facilities, vm, copy)
        return self._why_bound(vm, copy, disks) or ("" if copy.domain.active else cold_moves.what_stays(disks))

    def goes_only_as_it_runs(self, vm: VirtualMachine, copy: Copy) -> bool:
        """Whether all that keeps it is that it is off."""
        disks = MovingDisks(self.world, self.facilities, vm, copy)
        return not copy.domain.active and not self._why_bound(vm, copy, disks) and bool(cold_moves.what_stays(disks))

    def _why_bound(self, vm: VirtualMachine, copy: Copy, disks: MovingDisks) -> str:
        captured = holds_vm(self.world, vm.name)
        if captured is not None:
            return f"it is being captured for Image/{captured.image}, and goes once it is copied"
        if not copy.domain.persistent:
            return "it is transient; it is defined first"
        namesakes = {*self.world.foreign.names.get(vm.name, ()), *self._of_its_uuid(copy)}
        if namesakes:
            return f"another domain has its name or UUID, on {', '.join(sorted(namesakes))}"
        return bound(copy) or disks.why_stuck()

    def _of_its_uuid(self, copy: Copy) -> tuple[str, ...]:
        return tuple(place.host for place in self.world.foreign.uuids.get(copy.domain.uuid, ()))

    def _why_not(
        self,
        vm: VirtualMachine,
        copy: Copy,
        disks: MovingDisks,
        host: str,
        stuck: str,
        only: Collection[str] | None,
        manner: Manner = "live",
    ) -> str:
        """Why not to `host`, as far as it is about the way there; whether it fits there is for the placement."""
        if host == copy.host:
            return "it is there"
        if stuck:
            return stuck
        if only is not None and host not in only:
            return "not asked for"
        in_the_way = obstacle(self.world, self.facilities, vm, copy, self.rooms[host])
        return in_the_way or disks.why_not_on(host) or self._failed_before(vm, host, manner)

    def _failed_before(self, vm: VirtualMachine, host: str, manner: Manner) -> str:
        """A move there that failed is tried again after a while; until then another host may do."""
        name = f"migrate-domain:{ObjectRef('VirtualMachine', vm.name)}"
        key, cold = f"{name}@{host}", f"{name}:{_COLD}@{host}"
        failures, now = self.world.ledger.failures, self.world.now
        if cold in failures:
            self.draft.remembered.add(cold)  # how often it was shut down in vain, live moves in between or not
        failure = failures.get(key if manner == "live" else cold)
        if failure is None or (manner == "off" and cold_moves.waits_a_moment(failure)):
            return ""  # it waits a moment for that very host, rather than be started and shut down once more
        left = cold_moves.shut_down_again_in(failure, now) if manner == "cold" else failure.waits(now)
        if not left:
            return ""
        self.draft.remembered.add(failure.key)
        return f"{failure.message} (tried again in {max(1, math.ceil(left))} s)"

    def _move_live(self, trip: _Trip) -> None:
        copies, made = trip.disks.copies(self.draft, trip.host)
        step, why_not_cold = self._step(trip, copies), cold_moves.why_not(trip.vm, trip.disks)
        may_reboot = step.rules.fallback == "cold" and trip.why in _WORTH_A_REBOOT and not why_not_cold
        if step.rules.fallback == "cold" and not may_reboot:
            step = replace(step, rules=replace(step.rules, fallback="abort"))
        if copies:  # what had come of them could not be told from what was left behind
            step = replace(step, rules=replace(step.rules, post_copy=False))
        limit = format_duration(step.rules.deadline)
        told = f"; not there within {limit}, it is shut down and started there" if may_reboot else ""
        detail = f"move from {trip.copy.host}: {trip.detail}{told}"
        self._act(step, trip, detail, (*trip.after, *made), "reboot" if may_reboot else "migrate")

    def _move_cold(self, trip: _Trip, *, is_off: bool, starts: bool) -> None:
        """Where it runs still it is shut down first; the next plan starts it where it has come to."""
        _, made = trip.disks.copies(self.draft, trip.host)
        first = (*trip.after, *made)
        if not is_off:
            domain = trip.copy.domain
            stop = self.draft.act(
                shut_down(self.world, trip.vm, domain),
                target=trip.target,
                host=trip.copy.host,
                sign="change",
                why=trip.why,
                detail=f"shut down to be started on {trip.host}: it could not be moved in time as it ran",
                disruption="reboot",
                changes=(FieldChange("state", domain.state, "shutoff", "reboot"),),
                after=first,
            )
            first = (*first, stop)
        step = replace(self._step(trip, ()), cold=True, starts=starts)
        detail = f"move from {trip.copy.host} while it is off: {trip.detail}"
        self._act(step, trip, detail, first, "none" if is_off else "reboot")

    def _step(self, trip: _Trip, copies: tuple[DiskCopy, ...]) -> MigrateDomain:
        spec, placement = self.world.desired.hosts[trip.host], self.world.ledger.placements.get(trip.vm.name)
        copy, disks = trip.copy, trip.disks
        live = copy.domain.running_config
        return MigrateDomain(
            domain=copy.domain.name,
            uuid=copy.domain.uuid,
            source=copy.host,
            target=trip.host,
            epoch=max(copy.mark.epoch, placement.epoch if placement else 0) + 1,
            peer_uri=peer_uri(spec) or "",
            rules=self.world.policy.migration.rules(live.max_memory + sum(disk.capacity for disk in copies)),
            address=migration_address(spec),
            disks=copies,
            paths=disks.other_paths(trip.host),
            trusts_sharing=disks.has_shared,
        )

    def _act(self, step: MigrateDomain, trip: _Trip, detail: str, after: Iterable[str], disruption: Disruption) -> None:
        facilities, spec = self.facilities, trip.vm.spec
        ready = [facilities.network_actions.get((nic.network_name, step.target)) for nic in spec.networks]
        ready += [facilities.pool_actions.get((disk.pool, step.target)) for disk in spec.disks]
        self.draft.act(
            step,
            target=trip.target,
            host=step.target,
            sign="move",
            why=trip.why,
            detail=detail,
            disruption=disruption,
            changes=(FieldChange("host", step.source, step.target, disruption),),
            after=(*after, *(action for action in ready if action is not None)),
            part=_COLD if step.cold else "",
        )


def follow(draft: Draft, move: Migration, host: str) -> str:
    """Have a migration that was begun before followed to its end; `host` is one of the two that answers."""
    return draft.act(
        replace(move.step, begun=True),
        target=ObjectRef("VirtualMachine", move.vm),
        host=host,
        sign="move",
        why=move.why,
        detail=f"follow its move from {move.source} to {move.target}",
        disruption="none",
        part=_COLD if move.step.cold else "",
    )
