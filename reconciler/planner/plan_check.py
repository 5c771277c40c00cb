"""An independent look at a finished plan: invariants that hold whatever the planner's rules are.

Written from the promises, not from the planner's code; it reads only the plan and the raw inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from reconciler.errors import ReconcilerError
from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.plan import DISRUPTIONS, Action, Plan
from reconciler.model.policy import Policy
from reconciler.model.restores import SwitchDisks
from reconciler.model.steps import (
    DefineDomain,
    RedefineDomain,
    SetAutostart,
    StartDomain,
    StopDomain,
    UndefineDomain,
    is_followed_up,
)
from reconciler.planner.plan_check_adoption import adoptions_change_nothing, renames_change_the_name_alone
from reconciler.planner.plan_check_deletions import many_go_only_where_accepted
from reconciler.planner.plan_check_gate import (
    disruptions_keep_to_their_windows,
    few_are_disrupted_at_once,
    what_needs_approval_has_it,
)
from reconciler.planner.plan_check_limits import few_are_on_their_way, moves_go_where_the_vm_may_be
from reconciler.planner.plan_check_lost import (
    capacity_is_kept,
    one_host_is_fenced_and_under_no_brake,
    only_old_copies_are_cleared,
    removes_an_old_copy,
)
from reconciler.planner.plan_check_moves import (
    moves_leave_one_copy,
    seeds_stay_where_vms_go,
    what_is_copied_stays,
    what_is_on_its_way_is_let_alone,
)
from reconciler.planner.plan_check_versions import one_version_stays, only_what_nothing_needs_of_versions_goes
from reconciler.planner.plan_check_volumes import (
    data_goes_only_where_asked,
    finished_disks_stay,
    only_our_volumes_go,
    versions_stay_whole,
)
from reconciler.planner.plan_subject import Subject


class PlanRejected(ReconcilerError):
    """The plan breaks an invariant: nothing of it is carried out."""

    def __init__(self, violations: tuple[str, ...]) -> None:
        super().__init__(
            "the plan breaks its own rules, so nothing of it is done:\n" + "\n".join(f"  - {v}" for v in violations),
            hint="this is a mistake in the planner; report it with the output of `reconciler plan --json`",
        )
        self.violations = violations


def check(
    plan: Plan,
    desired: DesiredState,
    inventory: Inventory,
    ledger: LedgerView,
    policy: Policy,
    now: float | None = None,
) -> tuple[str, ...]:
    """Every violation, as a sentence; empty for a good plan. Without `now`, in seconds, no window is looked at."""
    if not plan.actions:
        return ()
    subject = Subject(plan, desired, inventory, ledger, policy, now)
    return tuple(violation for rule in _RULES for violation in rule(subject))


def require_sound(plan: Plan, desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy) -> None:
    """Raise PlanRejected if the plan breaks an invariant."""
    violations = check(plan, desired, inventory, ledger, policy)
    if violations:
        raise PlanRejected(violations)


def _ids_are_unique_and_ordered(subject: Subject) -> Iterator[str]:
    seen: set[str] = set()
    for action in subject.plan.actions:
        if action.id in seen:
            yield f"{action.id} is in the plan twice"
        for before in action.after:
            if before not in seen:
                yield f"{action.id} comes before {before}, which it needs"
        seen.add(action.id)


def _hosts_were_read(subject: Subject) -> Iterator[str]:
    for action in subject.plan.actions:
        if action.host is not None and action.host not in subject.inventory.hosts:
            yield f"{action.id} acts on {action.host}, which was not read"


def _one_definition_each(subject: Subject) -> Iterator[str]:
    defined: dict[str, str] = {}
    for action in subject.plan.actions:
        if isinstance(action.step, DefineDomain):
            name = action.step.config.name
            if name in defined:
                yield f"{name} is defined on {defined[name]} and on {action.host}"
            defined[name] = action.host or ""


def _no_second_copy(subject: Subject) -> Iterator[str]:
    for action in subject.plan.actions:
        if not isinstance(action.step, DefineDomain):
            continue
        config = action.step.config
        for host in sorted({*subject.known_at.get(config.uuid, ()), *subject.known_at.get(config.name, ())}):
            yield f"{action.id} would define {config.name} on {action.host}, but it exists on {host}"
        placement = subject.ledger.placements.get(config.name)
        yield from _unseen_homes(subject, action, config.name)
        mark, removed = config.mark, subject.ledger.removed.get(config.name)
        if placement is None and removed is not None and mark is not None and mark.epoch <= removed.epoch:
            yield f"{action.id}: epoch {mark.epoch} does not exceed that of the copy removed from {removed.host}"
        if placement is not None and mark is not None:
            moved = placement.host != action.host
            if mark.epoch < placement.epoch + moved:
                yield f"{action.id}: epoch {mark.epoch} does not exceed that of the copy on {placement.host}"


def _unseen_homes(subject: Subject, action: Action, vm: str) -> Iterator[str]:
    """Hosts other than the action's that may be running the VM: where it was put, and where it was recovered from."""
    placement = subject.ledger.placements.get(vm)
    homes = {placement.host, placement.came_from} - {None, action.host} if placement is not None else set()
    for home in sorted(name for name in homes if name is not None):
        if subject.may_run_on(home):
            yield f"{action.id}: {vm} was placed on {home}, which was not read"


def _no_start_beside_a_copy(subject: Subject) -> Iterator[str]:
    for action in subject.plan.actions:
        if not isinstance(action.step, StartDomain):
            continue
        name = action.step.domain
        others = [
            host.name
            for host in subject.inventory.hosts.values()
            if host.name != action.host and name in host.domains and subject.is_ours(host.domains[name])
        ]
        if others:
            yield f"{action.id} would start {name} on {action.host}, but it also exists on {', '.join(sorted(others))}"
        placement = subject.ledger.placements.get(name)
        yield from _unseen_homes(subject, action, name)
        domain = subject.domain(action.host, action.step.uuid)
        mark = domain.config.mark if domain else None
        if (
            placement is not None
            and mark is not None
            and placement.host != action.host
            and mark.epoch <= placement.epoch
        ):
            yield f"{action.id} would start a stale copy of {name}: the true one is on {placement.host}"
        if domain is None and not any(
            isinstance(subject.by_id[before].step, DefineDomain)
            for before in subject.comes_before(action)
            if before in subject.by_id
        ):
            yield f"{action.id} starts a domain that was not seen on {action.host} and is not defined before"


def _only_ours_is_touched(subject: Subject) -> Iterator[str]:
    touching = RedefineDomain | SwitchDisks | SetAutostart | StartDomain | StopDomain | UndefineDomain
    for action in subject.plan.actions:
        step = action.step
        if not isinstance(step, touching):
            continue
        uuid = step.config.uuid if isinstance(step, RedefineDomain | SwitchDisks) else step.uuid
        domain = subject.domain(action.host, uuid)
        if domain is not None and not subject.is_ours(domain):
            yield f"{action.id} would touch {domain.name} on {action.host}, which is not managed"
        if domain is None and not isinstance(step, StartDomain):
            yield f"{action.id} acts on a domain that was not seen on {action.host}"


def _removal_is_certain(subject: Subject) -> Iterator[str]:
    for action in subject.plan.actions:
        if not isinstance(action.step, UndefineDomain) or removes_an_old_copy(subject, action):
            continue
        if subject.desired.removal_hold:
            yield f"{action.id} removes although {subject.desired.removal_hold}"
        if action.target.name in subject.desired.vms:
            yield f"{action.id} removes a VM that is in the specs"
        if action.target in subject.desired.unusable:
            yield f"{action.id} removes a VM whose spec could not be read"


def _doubtful_specs_only_keep(subject: Subject) -> Iterator[str]:
    """The last word on that is not left to the reasons of actions."""
    for action in subject.plan.actions if subject.desired.doubt else ():
        keeps = action.why in {"host-lost", "incomplete"} or action.target.name in subject.ledger.migrations
        if not keeps and DISRUPTIONS.index(action.disruption) >= DISRUPTIONS.index("rebuild"):
            yield f"{action.id} ({action.disruption}) is done although {subject.desired.doubt}"


def _held_is_held(subject: Subject) -> Iterator[str]:
    desired, paused = subject.desired, subject.ledger.paused
    held = {
        f"{kind}/{name}"
        for kind, objects in (
            ("Host", desired.hosts),
            ("StoragePool", desired.pools),
            ("Network", desired.networks),
            ("Image", desired.images),
            ("VirtualMachine", desired.vms),
        )
        for name, resource in objects.items()
        if resource.metadata.paused
    } | paused
    for action in subject.plan.actions:
        if is_followed_up(action.step):
            continue
        if "fleet" in held or str(action.target) in held:
            yield f"{action.id} acts on {action.target}, which is paused"
        elif f"Host/{action.host}" in held:
            yield f"{action.id} acts on {action.host}, which is paused"


_RULES: Final[tuple[Callable[[Subject], Iterator[str]], ...]] = (
    _ids_are_unique_and_ordered,
    _hosts_were_read,
    _one_definition_each,
    _no_second_copy,
    _no_start_beside_a_copy,
    _only_ours_is_touched,
    adoptions_change_nothing,
    renames_change_the_name_alone,
    only_our_volumes_go,
    _removal_is_certain,
    _doubtful_specs_only_keep,
    data_goes_only_where_asked,
    finished_disks_stay,
    many_go_only_where_accepted,
    disruptions_keep_to_their_windows,
    what_needs_approval_has_it,
    few_are_disrupted_at_once,
    versions_stay_whole,
    _held_is_held,
    one_host_is_fenced_and_under_no_brake,
    only_old_copies_are_cleared,
    capacity_is_kept,
    moves_leave_one_copy,
    seeds_stay_where_vms_go,
    what_is_on_its_way_is_let_alone,
    what_is_copied_stays,
    few_are_on_their_way,
    moves_go_where_the_vm_may_be,
    only_what_nothing_needs_of_versions_goes,
    one_version_stays,
)
