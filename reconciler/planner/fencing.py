"""Which host is fenced now: one in the fleet at a time, the most important first, and none under a brake."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct

from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import HostState, Incident
from reconciler.model.host import Host
from reconciler.model.next_command import NextCommand
from reconciler.model.outcome import action_inputs
from reconciler.model.plan import Severity, Unmet, UnmetReason
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import FenceHost
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.brakes import brake
from reconciler.planner.draft import Draft
from reconciler.planner.elsewhere import Elsewhere, Rejections, look_elsewhere
from reconciler.planner.facilities import Facilities
from reconciler.planner.host_health import OTHER_MACHINE_SILENT, POWER_OFF
from reconciler.planner.lost_hosts import possible_homes, proven
from reconciler.planner.placement import Room
from reconciler.planner.world import World

_MAY_BE_FENCED: Final[frozenset[HostState]] = frozenset({"unreachable", "fencing"})
_NAMED: Final = 5
_MAKE_ROOM: Final = "add a host, or make room on one; or let its VMs run on more hosts"
_NO_REJECTIONS: Final[Mapping[str, Rejections]] = {}


class Holdup(Struct, frozen=True):
    """Why a host is not fenced now; its VMs wait for the same."""

    reason: UnmetReason
    detail: str
    severity: Severity = "waiting"
    hint: str = ""
    per_vm: Mapping[str, Rejections] = _NO_REJECTIONS
    """Of VMs that no other host takes: why each does not."""


class _Candidate(Struct, frozen=True):
    """A host that is to be proven dead, for the VMs that would then run elsewhere."""

    host: Host
    incident: Incident
    vms: tuple[VirtualMachine, ...]
    is_off: bool
    """Its device says so: that is confirmed, and nothing is switched."""

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef("Host", self.host.name)

    @property
    def importance(self) -> tuple[int, int, str]:
        """Sort key: the highest priority first, then the most VMs."""
        return (-max(vm.spec.ha.priority for vm in self.vms), -len(self.vms), self.host.name)


def plan_fencing(world: World, facilities: Facilities, rooms: Mapping[str, Room], draft: Draft) -> Mapping[str, Holdup]:
    """Plan to fence the one host whose turn it is; return, by host, what the VMs of each that should be wait for.

    `rooms` are what is left on each host before this plan places anything.
    """
    _report_unarmed(world, draft)
    _report_held(world, draft)
    candidates = sorted(_candidates(world), key=lambda candidate: candidate.importance)
    held_back = _brake(world) if candidates else ""
    elsewhere = look_elsewhere(world, facilities, rooms) if candidates else None
    at_work = min((name for name in world.ledger.in_flight if name.startswith("Host/")), default="")
    holdups: dict[str, Holdup] = {}
    for candidate in candidates:
        action = _fence(draft, candidate)
        holdup = (
            _holdup(world, candidate)
            or _holdup_of_all(world, candidate, held_back)
            or (_holdup_of_room(elsewhere, candidate) if elsewhere else None)
            or _holdup_of_failure(world, draft, candidate, action)
            or _holdup_of_turn(candidate, at_work)
        )
        if holdup is None:
            at_work = str(candidate.ref)
            holdups[candidate.host.name] = _under_way(candidate)
        else:
            holdups[candidate.host.name] = holdup
            draft.held[action] = _unmet(candidate.ref, holdup)
    return holdups


def would_be_recovered(world: World, vm: VirtualMachine) -> bool:
    """Whether the VM runs elsewhere once its host is proven dead: only then is that worth a power cut."""
    wanted_on = vm.spec.run_strategy in ("Always", "RerunOnFailure")
    placement = world.ledger.placements.get(vm.name)
    if placement is not None and placement.autostart:
        return False
    return wanted_on and vm.spec.ha.enabled and (vm.spec.ha.on_host_loss == "rebuild" or not local_disks(world, vm))


def local_disks(world: World, vm: VirtualMachine) -> tuple[str, ...]:
    """Names of the VM's disks that no other host can see."""
    return tuple(disk.name for disk in vm.spec.disks if not world.is_shared(disk.pool))


def _candidates(world: World) -> Iterator[_Candidate]:
    """Unreachable hosts with an open incident and no proof, that carry a VM which would run elsewhere."""
    for name, incident in world.ledger.incidents.items():
        host, health = world.desired.hosts.get(name), world.ledger.health.get(name)
        if host is None or health is None or health.state not in _MAY_BE_FENCED:
            continue
        if name in world.inventory.hosts or name in world.strangers or proven(world.ledger, name):
            continue
        is_off = health.rule == POWER_OFF
        vms = tuple(
            vm
            for vm in world.desired.vms.values()
            if (_may_run_on(world, vm, name) and would_be_recovered(world, vm))
            or (is_off and _may_have_come_to(world, vm, name))
        )
        if vms:
            yield _Candidate(host, incident, vms, is_off=is_off)


def _may_run_on(world: World, vm: VirtualMachine, host: str) -> bool:
    """Whether the VM is on `host` for all we know: not in sight, or defined where it was to be recovered, and off."""
    placement, copies = world.ledger.placements.get(vm.name), world.copies.get(vm.name, ())
    if placement is None or host not in possible_homes(placement):
        return False
    if host == placement.host:
        return not copies or _has_only_come_there_off(world, vm)
    return all(copy.host == placement.host and not copy.domain.active for copy in copies)


def _has_only_come_there_off(world: World, vm: VirtualMachine) -> bool:
    """Whether a move is on record whose end nobody saw, and all that is in sight is what came to its target, off.

    It may run at its source for all we know; once that is proven dead, it is started at the target.
    """
    move = world.ledger.migrations.get(vm.name)
    return move is not None and all(
        copy.host == move.target and copy.mark.epoch >= move.epoch and not copy.domain.active
        for copy in world.copies[vm.name]
    )


def _may_have_come_to(world: World, vm: VirtualMachine, host: str) -> bool:
    """Whether a migration to or from `host` is on record: that it is off settles where the VM is.

    No power is cut for that, as the VM may well run on the other host; to ask a device that says *off* costs nothing.
    """
    move = world.ledger.migrations.get(vm.name)
    return move is not None and host in (move.source, move.target)


def _fence(draft: Draft, candidate: _Candidate) -> str:
    host, number = candidate.host, len(candidate.vms)
    what = "have it confirmed that its power is off" if candidate.is_off else "cut its power"
    return draft.act(
        FenceHost(host.name, candidate.incident.id, devices_hash(host), candidate.is_off),
        target=candidate.ref,
        host=None,
        sign="change",
        why="host-lost",
        detail=f"{what}, so that {number} VM{'s' if number > 1 else ''} can run elsewhere",
        disruption="none" if candidate.is_off else "reboot",
    )


# -- why not now -------------------------------------------------------------------------------------------------------


def _holdup(world: World, candidate: _Candidate) -> Holdup | None:
    """What stands in the way of fencing this host."""
    name = candidate.host.name
    if str(candidate.ref) in world.ledger.in_flight:
        return Holdup("in-progress", f"{name} is being fenced")
    if world.is_paused(candidate.ref):
        return Holdup("paused", f"{name} is held, so it is not fenced", hint=_before_it_is_resumed(world, candidate))
    if world.ledger.health[name].rule == OTHER_MACHINE_SILENT:
        detail = (
            f"another machine answered as {name} before the silence: its devices may be that one's and prove nothing"
        )
        return Holdup("not-armed", detail, "blocked", confirm(name))
    unarmed = _why_unarmed(world, candidate.host)
    if unarmed is not None:
        return unarmed
    if candidate.host.is_drained and not candidate.is_off:
        detail = f"{name} is lost, but in maintenance, so whoever works on it decides"
        return Holdup("fencing-held", detail, "blocked", confirm(name))
    return None


def _before_it_is_resumed(world: World, candidate: _Candidate) -> str:
    """A host that was held for work on its libvirtd would be shot if it were just let go."""
    if candidate.is_off:
        return world.how_to_resume(candidate.ref)
    name = candidate.host.name
    return f"have {name} answer first (start libvirtd on it): resumed while it is silent, it is fenced"


def _holdup_of_failure(world: World, draft: Draft, candidate: _Candidate, action: str) -> Holdup | None:
    """What went wrong the last time, until it is tried again."""
    name = candidate.host.name
    failure = world.ledger.failures.get(action)
    if failure is None or not failure.waits(world.now) or failure.inputs != action_inputs(draft.actions[action]):
        return None
    wait = max(1, math.ceil(failure.waits(world.now)))
    detail = f"{name} could not be proven dead: {failure.message} (tried again in {wait} s)"
    return Holdup("fencing-failed", detail, "blocked", confirm(name))


def _holdup_of_all(world: World, candidate: _Candidate, held_back: str) -> Holdup | None:
    """What stands in the way of fencing any host."""
    name = candidate.host.name
    if world.ledger.quiet:
        return Holdup(
            "fencing-held", f"{name} is lost; nobody is fenced in the quiet period after the controller's start"
        )
    if not held_back:
        return None
    # A command to confirm it would be pasted, and in a partition all these hosts are alive.
    hint = "mend the network; `fence confirm` only a host that you know to be off"
    return Holdup("fencing-held", f"{name} is lost, but {held_back}", "blocked", hint)


def _holdup_of_room(elsewhere: Elsewhere, candidate: _Candidate) -> Holdup | None:
    """That no VM would run for it; a host that is off is found so nevertheless, as nothing is switched by that."""
    if candidate.is_off:
        return None
    name, useless, homeless = candidate.host.name, list[str](), dict[str, Rejections]()
    for vm in candidate.vms:
        why = elsewhere.why_useless(vm)
        rejections = elsewhere.rejections(name, vm)
        if not why and not rejections:
            return None
        if why:
            useless.append(f"{vm.name} {why}")
        else:
            homeless[vm.name] = rejections
    if not homeless:
        return Holdup("host-lost", f"{name} is lost; its power is not cut: {_some(useless)}", hint=confirm(name))
    detail = f"{name} is lost; its power is not cut, as no other host would take {_some(homeless)}"
    return Holdup("host-lost", detail, hint=_MAKE_ROOM, per_vm=homeless)


def _some(names: Collection[str]) -> str:
    shown = ", ".join(islice(names, _NAMED))
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _brake(world: World) -> str:
    held_back = brake(world.desired.hosts, world.ledger.health, world.inventory.hosts, world.policy.ha)
    if not held_back and world.ledger.unsettled:
        return "several hosts were bad at once until a moment ago, so nobody is fenced yet"
    return held_back


def _under_way(candidate: _Candidate) -> Holdup:
    """What the VMs of a host wait for whose turn it is."""
    name = candidate.host.name
    said_off = f"the device of {name} says that it is off, and is asked once more; it runs elsewhere once that is sure"
    being_cut = f"the power of {name} is cut now; it runs elsewhere once {name} is surely off"
    detail = said_off if candidate.is_off else being_cut
    return Holdup("host-lost", detail, hint=NextCommand("why", f"Host/{name}"))


def _holdup_of_turn(candidate: _Candidate, at_work: str) -> Holdup | None:
    if not at_work:
        return None
    return Holdup("fencing-held", f"{candidate.host.name} is fenced after {at_work}: one at a time")


# -- armed or not ------------------------------------------------------------------------------------------------------


def _report_unarmed(world: World, draft: Draft) -> None:
    """Devices that could not be used if they were needed, said while there is time to mend it."""
    for name, host in sorted(world.desired.hosts.items()):
        unarmed = _why_unarmed(world, host) if host.spec.fencing and name not in world.ledger.incidents else None
        if unarmed is not None:
            ref = ObjectRef("Host", name)
            draft.wait(ref, "not-armed", unarmed.detail, severity="info", host=name, hint=unarmed.hint)


def _report_held(world: World, draft: Draft) -> None:
    """Hosts that somebody has held, lest that is forgotten; a lost one is told of with its VMs."""
    if "fleet" in world.ledger.paused:
        return
    for name in sorted(world.desired.hosts.keys() - world.ledger.incidents.keys()):
        ref = ObjectRef("Host", name)
        if world.is_paused(ref):
            detail = "held: nothing on it is changed, and were it lost, it is not fenced"
            draft.wait(ref, "paused", detail, severity="info", host=name, hint=world.how_to_resume(ref))


def _why_unarmed(world: World, host: Host) -> Holdup | None:
    host_ref = ObjectRef("Host", host.name)
    if not host.spec.fencing:
        doubted = " that is known to be its own now" if host_ref in world.desired.restrained else ""
        detail = f"{host.name} has no fence device{doubted}, so only you can say that it is off"
        return Holdup("not-armed", detail, "blocked", confirm(host.name))
    doubt = doubt_about_devices(world, host)
    return Holdup("not-armed", doubt, "blocked", NextCommand("fence", "test", host.name)) if doubt else None


def doubt_about_devices(world: World, host: Host) -> str:
    """Why the fence devices of `host` would not be used; empty where they would."""
    devices, test = f"the fence devices of {host.name}", world.ledger.fence_tests.get(host.name)
    if test is None:
        return f"{devices} were never tested, so they are not used"
    if test.devices != devices_hash(host):
        return f"{devices} are others than were tested, so they are not used"
    return "" if test.passed else f"the last test of {devices} failed: {test.message}"


def confirm(host: str) -> str:
    """The command by which a human says that `host` is surely off."""
    return NextCommand("fence", "confirm", host, "--reason", "TEXT")


def _unmet(ref: ObjectRef, holdup: Holdup) -> Unmet:
    return Unmet(ref, holdup.reason, holdup.detail, holdup.severity, host=ref.name, hint=holdup.hint)
