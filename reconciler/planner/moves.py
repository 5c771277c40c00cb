"""VMs that are to go to another host: which, where to, in which order, and how many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig
from reconciler.model.live_edit import Plug
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Action, Severity, Why
from reconciler.model.resource import ObjectRef
from reconciler.model.restores import RestoreDisk, SwitchDisks
from reconciler.model.steps import CreateVolume, EditLive, MigrateDomain, StartDomain, Step
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner import cold_moves
from reconciler.planner.balance import report_spent, shifts
from reconciler.planner.draft import Draft
from reconciler.planner.drain_status import is_out_of_service
from reconciler.planner.lost_hosts import unfit_for_new_vms
from reconciler.planner.migratability import as_it_runs
from reconciler.planner.migrations import Manner, Mover
from reconciler.planner.ownership import Copy
from reconciler.planner.shutdowns import shut_down
from reconciler.planner.world import World

_TRIES: Final = 3
"""Failed migrations to a host after which it counts as one that does not take the VM."""


class Wish(Struct, frozen=True):
    """A VM that is to leave its host."""

    vm: VirtualMachine
    copy: Copy
    why: Why
    """`drain` or `placement-rule`."""
    reason: str
    """What is wrong with where it is: `which is in maintenance`."""
    after: tuple[str, ...] = ()
    """Actions that this plan does to it where it is."""
    starts: bool = False
    """It is off, and to be on."""
    was: str = ""
    """How it went off that is to be on, as in `; somebody had forced it off`."""

    @property
    def is_off(self) -> bool:
        return not self.copy.domain.active

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    @property
    def urgency(self) -> tuple[object, ...]:
        """Hosts that are emptied first, of those what is missed, then what runs; by priority, the largest first."""
        size = self.vm.spec.memory_ceiling
        need = 0 if self.starts else 2 if self.is_off else 1
        return (self.why != "drain", need, -self.vm.spec.ha.priority, -size, self.vm.name)


class Berths(Struct):
    """How many more VMs may be on their way at once: in the fleet, and out of each host."""

    fleet: int
    per_source: int
    leaving: dict[str, int]

    def full(self, source: str) -> str:
        """Why one more can't leave `source` now; empty if it can."""
        if self.fleet <= 0:
            return "as many as may be on their way at once are"
        if self.leaving.get(source, 0) >= self.per_source:
            return (
                f"{self.per_source} at once leave {source}" if self.per_source > 1 else f"one at a time leaves {source}"
            )
        return ""

    def take(self, source: str) -> None:
        """One more is on its way."""
        self.fleet -= 1
        self.leaving[source] = self.leaving.get(source, 0) + 1


def make_berths(world: World) -> Berths:
    """What the policy allows, less those that are on their way already."""
    rules, leaving = world.policy.migration, dict[str, int]()
    for migration in world.ledger.migrations.values():
        leaving[migration.source] = leaving.get(migration.source, 0) + 1
    return Berths(rules.parallel_fleet - len(world.ledger.migrations), rules.parallel_per_source, leaving)


def plan_moves(mover: Mover, wishes: Iterable[Wish]) -> None:
    """Move the VMs that have to leave their hosts; if there are none, and nothing else is to do, even out the loads."""
    world, berths = mover.world, make_berths(mover.world)
    wanted = sorted(wishes, key=lambda wish: wish.urgency)
    later: list[tuple[Wish, str]] = []
    for wish in wanted:
        _Leaving(mover, berths, wish, later).plan()
    _foresee(mover, later)
    if world.policy.failback:
        _bring_back(mover, berths, {wish.vm.name for wish in wanted})
    is_urged = any(not wish.is_off for wish in wanted)
    if world.policy.balance.enabled and not is_urged and not mover.draft.actions and _is_calm(world):
        _even_out(mover, berths)


def _foresee(mover: Mover, later: Iterable[tuple[Wish, str]]) -> None:
    """Say of those that go later what they wait for, and where to they would go with what those before them leave."""
    rooms = {name: replace(room, labels_there=list(room.labels_there)) for name, room in mover.rooms.items()}
    ahead = Mover(mover.world, mover.facilities, rooms, Draft())
    for wish, full in later:
        source = wish.copy.host
        manner: Manner = "off" if wish.is_off else "live"
        verdict = ahead.plan_move(wish.vm, wish.copy, why=wish.why, detail="", manner=manner)
        end = (
            f"to {verdict.host}, as things are now"
            if verdict.host
            else "and no other host would take it, as things are"
        )
        rejections = () if verdict.host else verdict.rejections
        mover.draft.wait(
            wish.target,
            "move-waits",
            f"it is on {source}, {wish.reason}, and moves later: {full}; {end}",
            host=source,
            per_host=[(host, why) for host, why in rejections if host != source],
        )


def _bring_back(mover: Mover, berths: Berths, leaving: AbstractSet[str]) -> None:
    """VMs that a host was emptied of return to it, the most important first; where that can't be, they stay."""
    changed = {action.target.name for action in mover.draft.actions.values()}
    for vm, copy, home in sorted(_away(mover.world), key=lambda each: (-each[0].spec.ha.priority, each[0].name)):
        if vm.name in leaving or vm.name in changed or home not in mover.rooms or berths.full(copy.host):
            continue
        verdict = mover.plan_move(vm, copy, why="failback", detail=f"{home} takes VMs again", only=(home,))
        if verdict.host is not None:
            berths.take(copy.host)
        elif failure := mover.world.ledger.failures.get(f"migrate-domain:{_vm(vm.name)}@{home}"):
            detail = f"it is on {copy.host}, and returns to {home} later: {dict(verdict.rejections)[home]}"
            again = (
                mover.world.how_to_resume(_vm(vm.name)) if failure.permanent else NextCommand("why", str(_vm(vm.name)))
            )
            mover.draft.wait(_vm(vm.name), "move-waits", detail, severity="info", host=copy.host, hint=again)


def _away(world: World) -> Iterator[tuple[VirtualMachine, Copy, str]]:
    """Running VMs that are where they went when their host was emptied, and that host."""
    for name, placement in world.ledger.placements.items():
        home, vm, copies = placement.drained_from, world.desired.vms.get(name), world.copies.get(name, ())
        if home is None or vm is None or len(copies) != 1 or home == placement.host:
            continue
        held = any(world.is_paused(ref) for ref in (_vm(name), ObjectRef("Host", copies[0].host)))
        is_there = copies[0].host == placement.host and copies[0].domain.state == "running"
        if (
            is_there
            and not held
            and name not in world.ledger.migrations
            and not unfit_for_new_vms(world.ledger, placement.host)
        ):
            yield vm, copies[0], home


def _vm(name: str) -> ObjectRef:
    return ObjectRef("VirtualMachine", name)


def _is_calm(world: World) -> bool:
    """Whether all hosts are in sight and well: what is out of sight may want the room soon, unless it has no VM."""
    missed = [name for name, host in world.desired.hosts.items() if not is_out_of_service(world, host)]
    unwell = any(unfit_for_new_vms(world.ledger, name) or name in world.ledger.incidents for name in missed)
    return not unwell and not any(name in missed for name in world.unread)


def _even_out(mover: Mover, berths: Berths) -> None:
    report_spent(mover)
    for shift in shifts(mover):
        if berths.full(shift.source):
            return
        berths.take(shift.source)
        copy = mover.world.copies[shift.vm][0]
        vm = as_it_runs(mover.world.desired.vms[shift.vm], copy)
        mover.plan_move(vm, copy, why="balance", detail=f"to even out: {shift.words}", only=(shift.target,))


class _Leaving(Struct, frozen=True):
    """Plans one wish."""

    mover: Mover
    berths: Berths
    wish: Wish
    later: list[tuple[Wish, str]]
    """Those that have to wait for others, with why; this one is added if it is."""

    @property
    def _world(self) -> World:
        return self.mover.world

    def plan(self) -> None:
        """Move it, say what it waits for, or do what its spec wants where it can't be moved."""
        wish, source = self.wish, self.wish.copy.host
        held = ObjectRef("Host", source)
        if self._world.is_paused(held):
            hint = self._world.how_to_resume(held)
            detail = f"{held} is held; changes on it wait"
            self.mover.draft.wait(wish.target, "paused", detail, host=source, hint=hint)
        elif wish.why == "drain" and wish.vm.spec.placement.on_drain == "block":
            self._stays("onDrain: block leaves it to you", "shut it down, or migrate it by hand")
        elif trouble := unfit_for_new_vms(self._world.ledger, source):
            self._waits(f"{source}: {trouble}")
        elif any(_gives_disk(self.mover.draft.actions[action].step) for action in wish.after):
            self._waits("it is given a disk first")  # which is seen, and can be told to go along, in the next plan
        elif full := self.berths.full(source):
            if self.mover.can_leave(wish.vm, wish.copy):
                self.later.append((wish, full))  # started where it is meanwhile, if it is to be on
            else:
                self._is_stuck(self.mover.obstacles(wish.vm, wish.copy))
        else:
            self._go()

    def _go(self) -> None:
        wish = self.wish
        detail, manner = f"it is on {wish.copy.host}, {wish.reason}{wish.was}", self._manner()
        after = tuple(action for action in wish.after if action not in self._starts())
        verdict = self.mover.plan_move(
            wish.vm, wish.copy, why=wish.why, detail=detail, after=after, manner=manner, starts=wish.starts
        )
        if verdict.host is None:
            self._is_stuck({host: why for host, why in verdict.rejections if host != wish.copy.host})
        else:
            self._start_no_more()
            self.berths.take(wish.copy.host)

    def _manner(self) -> Manner:
        if self.wish.is_off:
            return "off"
        return "cold" if self._is_due() and not self.mover.why_not_cold(self.wish.vm, self.wish.copy) else "live"

    def _is_due(self) -> bool:
        return cold_moves.is_due(self._world, self.wish.vm, self.wish.copy)

    def _starts(self) -> tuple[str, ...]:
        """Where no host had taken it, it would have been started again where it is."""
        if not self.wish.is_off:
            return ()
        actions = self.mover.draft.actions
        return tuple(action for action in self.wish.after if isinstance(actions[action].step, StartDomain))

    def _start_no_more(self) -> None:
        """It is started where it comes to; where it is only if the move then has to wait."""
        draft = self.mover.draft
        moves = [each.id for each in draft.actions.values() if each.target == self.wish.target and _is_move(each)]
        for action in self._starts():
            draft.instead.update(dict.fromkeys(moves, draft.actions[action]))
            draft.drop(action)

    def _is_stuck(self, obstacles: Mapping[str, str]) -> None:
        wish = self.wish
        seen = {**obstacles, **dict.fromkeys(self._world.unread, "can't be read")}
        shuts_down = wish.why == "drain" and wish.vm.spec.placement.on_drain == "shutdown"
        runs = wish.copy.domain.state == "running"
        if shuts_down and runs and not wish.after and self._is_certain(seen):
            self._shut_down()
            return
        if wish.is_off and self._starts():
            return
        own = self.mover.why_stuck(wish.vm, wish.copy)
        hint = self._how_to_have_it_moved(seen)
        kept_on = self.mover.why_not_cold(wish.vm, wish.copy) if runs and self._is_due() else ""
        kept_on = kept_on and f"; it is not shut down for a move: {kept_on}"
        self._stays((own or "no other host takes it") + kept_on, hint, () if own else tuple(sorted(seen.items())))

    def _how_to_have_it_moved(self, obstacles: Mapping[str, str]) -> str:
        wish, hint = self.wish, "make room, or change what stands in the way"
        if self.mover.goes_only_as_it_runs(wish.vm, wish.copy):
            return self._how_to_have_it_run()
        if wish.starts:
            return f"nothing, as it is started then; sooner: {hint}"
        if any(self._tries(host) for host in obstacles):
            again = NextCommand("resume", str(wish.target))
            hint = f"it is tried again by itself; at once, where that is mended: {again}"
        if wish.why == "drain" and not wish.is_off:
            hint += "; placement.onDrain: shutdown would shut it down"
        return hint

    def _how_to_have_it_run(self) -> str:
        source = self.wish.copy.host
        again = "and in maintenance again it is moved as it runs"
        if self.wish.vm.spec.run_strategy == "Halted":
            return f"to have it moved: Host {source} cordoned, runStrategy: Always, {again}"
        if self.wish.starts:
            return f"sooner: Host {source} cordoned starts it there, {again}"
        return f"to have it moved: Host {source} cordoned, the VM started there, {again}"

    def _is_certain(self, obstacles: Mapping[str, str]) -> bool:
        """Whether no other host will take it, as far as one can know: who has not answered may yet."""
        return all(
            _is_known(self._world, host) and (not self._tries(host) or self._tries(host) >= _TRIES)
            for host in obstacles
        )

    def _tries(self, host: str) -> int:
        """How often it was tried in vain to migrate it there."""
        failure = self._world.ledger.failures.get(f"migrate-domain:{self.wish.target}@{host}")
        return failure.attempts if failure is not None else 0

    def _shut_down(self) -> None:
        wish = self.wish
        self.mover.draft.act(
            shut_down(self._world, wish.vm, wish.copy.domain),
            target=wish.target,
            host=wish.copy.host,
            sign="change",
            why="drain",
            detail=f"shut down until {wish.copy.host} is active again: no other host takes it",
            disruption="reboot",
        )

    def _waits(self, why: str) -> None:
        source = self.wish.copy.host
        detail = f"it is on {source}, {self.wish.reason}, and moves later: {why}"
        self.mover.draft.wait(self.wish.target, "move-waits", detail, host=source)

    def _stays(self, why: str, hint: str, rejections: tuple[tuple[str, str], ...] = ()) -> None:
        wish, source = self.wish, self.wish.copy.host
        severity: Severity = "blocked" if wish.why == "drain" else "waiting"
        reason = wish.reason
        if wish.is_off:
            severity, reason = "waiting" if wish.starts else "info", f"{reason}, and off"
            why += f"; it is started once {source} is active" if wish.starts else ""
        self.mover.draft.wait(
            wish.target,
            "not-wanted-here",
            f"it is on {source}, {reason}; {why}",
            severity=severity,
            host=source,
            hint=hint,
            per_host=rejections,
        )


def _gives_disk(step: Step) -> bool:
    """Whether the VM has a disk after it that it has not now."""
    if isinstance(step, EditLive):
        return isinstance(step.edit, Plug) and isinstance(step.edit.device, DiskConfig)
    return isinstance(step, CreateVolume | RestoreDisk | SwitchDisks)


def _is_move(action: Action) -> bool:
    return isinstance(action.step, MigrateDomain)


def _is_known(world: World, host: str) -> bool:
    """Whether what stands in the way of a host is known for sure: not so while it might just not have answered yet."""
    spec, health = world.desired.hosts[host], world.ledger.health.get(host)
    if spec.spec.state != "active":
        return True
    if host not in world.inventory.hosts:
        return host in world.dead
    return world.inventory.hosts[host].abilities is not None and (health is None or health.state != "suspect")
