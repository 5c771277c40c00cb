"""Desired state, inventory and ledger in; a plan out. Pure: the same input gives the same plan, byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from reconciler.model.desired_state import DesiredState, SpecProblem
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.next_command import NextCommand
from reconciler.model.outcome import action_inputs
from reconciler.model.plan import Action, Plan, Summary, Unmet
from reconciler.model.policy import Policy
from reconciler.model.resource import ObjectRef
from reconciler.planner.captures import plan_captures
from reconciler.planner.collection import plan_collection
from reconciler.planner.deletion_guard import expiry_of, guard_of
from reconciler.planner.draft import Draft
from reconciler.planner.drills import plan_drills
from reconciler.planner.expiry import plan_expiries
from reconciler.planner.facilities import Facilities
from reconciler.planner.failures import report_risks
from reconciler.planner.fencing import plan_fencing
from reconciler.planner.migrations import Mover
from reconciler.planner.moves import plan_moves
from reconciler.planner.networks import plan_networks
from reconciler.planner.ordering import hold_back, ordered
from reconciler.planner.placement import make_rooms
from reconciler.planner.pools import plan_pools
from reconciler.planner.pruning import plan_pruning
from reconciler.planner.removal import plan_removals
from reconciler.planner.renaming import lookalikes
from reconciler.planner.vms import plan_vms
from reconciler.planner.world import World, make_world


def plan(desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy, now: float) -> Plan:
    """Decide everything: which actions, in which order, and why each spec that stays unmet does. `now` is wall time."""
    return plan_of(make_world(desired, inventory, ledger, policy, now))


def plan_of(world: World, doubted: Mapping[ObjectRef, str] = MappingProxyType({})) -> Plan:
    """As `plan`, of inputs that are indexed already; nothing is done to what is `doubted`, for the reason given."""
    draft = Draft()
    facilities = Facilities()
    plan_pools(world, facilities, draft)
    plan_networks(world, facilities, draft)
    rooms = make_rooms(world)
    holdups = plan_fencing(world, facilities, rooms, draft)
    alike = lookalikes(world)
    wishes = plan_vms(world, facilities, rooms, holdups, draft, alike)
    report_risks(world, facilities, rooms, draft)
    guard = guard_of(world)
    plan_removals(world, guard, draft, {old: new for new, old in alike.items()})
    plan_expiries(world, draft, lambda stone: guard.holds(draft, expiry_of(stone), stone.host))
    plan_collection(world, draft)
    plan_pruning(world, draft)
    plan_moves(Mover(world, facilities, rooms, draft), wishes)
    plan_captures(world, facilities, draft)
    plan_drills(world, facilities, rooms, draft)
    held = hold_back(world, draft, doubted)
    _report_unusable(world, draft)
    actions = ordered(draft.actions)
    unmet = tuple(sorted(draft.unmet, key=_unmet_order))
    return Plan(
        generation=world.desired.generation,
        actions=actions,
        unmet=unmet,
        summary=_summary(world, actions, unmet),
        fingerprint=_fingerprint(actions),
        deletions=guard.wished,
        mass_deletion=guard.held if guard.held.deletions else None,
        wanted_approvals=tuple(dict.fromkeys(draft.wanted_approvals)),
        held=tuple(sorted({*held, *(draft.remembered - draft.actions.keys())})),
        dead=tuple(sorted(world.dead)),
        unseen=tuple(sorted(name for name in world.inventory.unread if name in world.desired.hosts)),
    )


def _report_unusable(world: World, draft: Draft) -> None:
    for ref, problem in sorted(world.desired.unusable.items()):
        draft.wait(
            ref,
            "spec-invalid",
            f"{problem.where}: {problem.message}; {_what_stands(world, ref)}",
            severity="blocked",
            hint=_who_tells_more(world, problem),
        )


def _who_tells_more(world: World, problem: SpecProblem) -> str:
    """What the images say wrong is told here in full, and not by `validate`, which opens none."""
    causes = world.desired.unusable.items()
    cause = next((ref for ref, own in causes if own.needs_images and problem.message.startswith(f"{ref} has ")), None)
    if problem.code == "S044" and cause is not None:
        return NextCommand("why", str(cause))
    return "" if problem.needs_images else NextCommand("validate")


def _what_stands(world: World, ref: ObjectRef) -> str:
    if _is_desired(world, ref):
        return "until that is mended the last good form stands"
    return "nothing of it is changed or removed until that is mended"


def _unmet_order(unmet: Unmet) -> tuple[object, ...]:
    return (unmet.target, unmet.reason, unmet.host or "", unmet.detail)


def _fingerprint(actions: Iterable[Action]) -> str:
    digest = hashlib.blake2b(digest_size=5)
    for action in actions:
        digest.update(f"{action.id}|{action.after}|{action_inputs(action)}\n".encode())
    return digest.hexdigest()


def _summary(world: World, actions: tuple[Action, ...], unmet: tuple[Unmet, ...]) -> Summary:
    """Each object counts once, by the most telling of its signs."""
    signs: dict[ObjectRef, set[str]] = {}
    for action in actions:
        signs.setdefault(action.target, set()).add(action.sign)
    counted = {"create": 0, "change": 0, "destroy": 0, "move": 0}
    for found in signs.values():
        counted[next(sign for sign in ("move", "create", "destroy", "change") if sign in found)] += 1
    blocked = {u.target for u in unmet if u.severity == "blocked"}
    waiting = {u.target for u in unmet if u.severity == "waiting"} - blocked
    touched = signs.keys() | blocked | waiting
    everything = (
        len(world.desired.pools) + len(world.desired.networks) + len(world.desired.images) + len(world.desired.vms)
    )
    known = sum(
        1 for ref in touched if ref.kind != "Host" and (ref in world.desired.sources or _is_desired(world, ref))
    )
    return Summary(
        create=counted["create"],
        change=counted["change"],
        destroy=counted["destroy"],
        move=counted["move"],
        blocked=len(blocked),
        waiting=len(waiting),
        unchanged=max(0, everything - known),
    )


def _is_desired(world: World, ref: ObjectRef) -> bool:
    kind, name = ref
    desired = world.desired
    return name in {
        "Host": desired.hosts,
        "StoragePool": desired.pools,
        "Network": desired.networks,
        "Image": desired.images,
        "VirtualMachine": desired.vms,
    }.get(kind, {})
