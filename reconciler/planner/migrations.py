"""Moves of running VMs to other hosts: the one function that plans them, whatever the reason."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.ledger import Migration
from reconciler.model.plan import FieldChange, Why
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import MigrateDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.migratability import as_it_runs, bound, obstacle
from reconciler.planner.migration_disks import MovingDisks
from reconciler.planner.ownership import Copy
from reconciler.planner.peers import migration_address, peer_uri
from reconciler.planner.placement import Room, Verdict, place
from reconciler.planner.world import World

_NONE_BARRED: Final[Mapping[str, str]] = {}


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
        barred: Mapping[str, str] = _NONE_BARRED,
        after: Iterable[str] = (),
    ) -> Verdict:
        """Have `vm` go from where its `copy` runs to the best other host; `detail` says why, in a few words.

        `only` are hosts to choose from, `barred` says why others are out of the question, `after` are actions that come
        first: all that the plan does to the VM where it is has to be among them. Returns the host that it goes to; or
        why each does not take it, with nothing planned (where it can leave its host for none, all say so).

        Planned are bases and the seed that it needs there, and one MigrateDomain (sign `move`, disruption `migrate`).
        """
        vm, disks = as_it_runs(vm, copy), MovingDisks(self.world, self.facilities, vm, copy)
        out = {name: why_not for name, why_not in {**self._out(vm, copy, disks, only), **barred}.items() if why_not}
        verdict = place(self.world, self.facilities, vm, self.rooms, barred=out)
        if verdict.host is None:
            return verdict
        self.rooms[verdict.host].take(vm)
        self._move(vm, copy, disks, verdict.host, why, detail, after)
        return verdict

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
        self, vm: VirtualMachine, copy: Copy, disks: MovingDisks, only: Collection[str] | None
    ) -> Mapping[str, str]:
        stuck = self.why_stuck(vm, copy)
        return {name: self._why_not(vm, copy, disks, name, stuck, only) for name in self.rooms}

    def why_stuck(self, vm: VirtualMachine, copy: Copy) -> str:
        """Why the VM can't leave its host for any other while it runs; empty if it can."""
        if not copy.domain.persistent:
            return "it is transient; it is defined first"
        namesakes = {*self.world.foreign.names.get(vm.name, ()), *self._of_its_uuid(copy)}
        if namesakes:
            return f"another domain has its name or UUID, on {', '.join(sorted(namesakes))}"
        stuck = bound(copy)
        if not stuck and copy.domain.state != "running":
            stuck = f"it is {copy.domain.state}"
        return stuck or MovingDisks(self.world, self.facilities, vm, copy).why_stuck()

    def _of_its_uuid(self, copy: Copy) -> tuple[str, ...]:
        return tuple(place.host for place in self.world.foreign.uuids.get(copy.domain.uuid, ()))

    def _why_not(
        self, vm: VirtualMachine, copy: Copy, disks: MovingDisks, host: str, stuck: str, only: Collection[str] | None
    ) -> str:
        """Why not to `host`, as far as it is about the way there; whether it fits there is for the placement."""
        if host == copy.host:
            return "it is there"
        if stuck:
            return stuck
        if only is not None and host not in only:
            return "not asked for"
        in_the_way = obstacle(self.world, self.facilities, vm, copy, self.rooms[host])
        return in_the_way or disks.why_not_on(host) or self._failed_before(vm, host)

    def _failed_before(self, vm: VirtualMachine, host: str) -> str:
        """A move there that failed is tried again after a while; until then another host may do."""
        key = f"migrate-domain:{ObjectRef('VirtualMachine', vm.name)}@{host}"
        failure = self.world.ledger.failures.get(key)
        if failure is None or not failure.waits(self.world.now):
            return ""
        self.draft.remembered.add(key)
        wait = max(1, math.ceil(failure.waits(self.world.now)))
        return f"{failure.message} (tried again in {wait} s)"

    def _move(
        self,
        vm: VirtualMachine,
        copy: Copy,
        disks: MovingDisks,
        host: str,
        why: Why,
        detail: str,
        after: Iterable[str],
    ) -> None:
        spec, facilities = self.world.desired.hosts[host], self.facilities
        copies, made = disks.copies(self.draft, host)
        ready = [facilities.network_actions.get((nic.network, host)) for nic in vm.spec.networks]
        ready += [facilities.pool_actions.get((disk.pool, host)) for disk in vm.spec.disks]
        live = copy.domain.live or copy.domain.config
        placement = self.world.ledger.placements.get(vm.name)
        step = MigrateDomain(
            domain=copy.domain.name,
            uuid=copy.domain.uuid,
            source=copy.host,
            target=host,
            epoch=max(copy.mark.epoch, placement.epoch if placement else 0) + 1,
            peer_uri=peer_uri(spec) or "",
            rules=self.world.policy.migration.rules(live.max_memory + sum(disk.capacity for disk in copies)),
            address=migration_address(spec),
            disks=copies,
            paths=disks.other_paths(host),
            trusts_sharing=disks.has_shared,
        )
        self.draft.act(
            step,
            target=ObjectRef("VirtualMachine", vm.name),
            host=host,
            sign="move",
            why=why,
            detail=f"move from {copy.host}: {detail}",
            disruption="migrate",
            changes=(FieldChange("host", copy.host, host, "migrate"),),
            after=(*after, *made, *(action for action in ready if action is not None)),
        )


def follow(draft: Draft, move: Migration, host: str) -> None:
    """Have a migration that was begun before followed to its end; `host` is one of the two that answers."""
    draft.act(
        replace(move.step, begun=True),
        target=ObjectRef("VirtualMachine", move.vm),
        host=host,
        sign="move",
        why=_WHYS.get(move.why, "placement-rule"),
        detail=f"follow its move from {move.source} to {move.target}",
        disruption="none",
    )


_WHYS: Final[Mapping[str, Why]] = {
    "drain": "drain",
    "balance": "balance",
    "failback": "failback",
    "placement-rule": "placement-rule",
}
