"""An independent look at a finished plan: invariants that hold whatever the planner's rules are.

Written from the promises, not from the planner's code; it reads only the plan and the raw inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from reconciler.errors import ReconcilerError
from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import Inventory, ObservedDomain
from reconciler.model.ledger import LedgerView
from reconciler.model.plan import Action, Plan
from reconciler.model.policy import Policy
from reconciler.model.steps import (
    DefineDomain,
    DeleteVolume,
    RedefineDomain,
    SetAutostart,
    StartDomain,
    StopDomain,
    UndefineDomain,
)


class PlanRejected(ReconcilerError):
    """The plan breaks an invariant: nothing of it is carried out."""

    def __init__(self, violations: tuple[str, ...]) -> None:
        super().__init__(
            "the plan breaks its own rules, so nothing of it is done:\n" + "\n".join(f"  - {v}" for v in violations),
            hint="this is a mistake in the planner; report it with the output of `reconciler plan --json`",
        )
        self.violations = violations


class _Subject:
    def __init__(
        self, plan: Plan, desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy
    ) -> None:
        self.plan = plan
        self.desired = desired
        self.inventory = inventory
        self.ledger = ledger
        self.fleet = policy.fleet
        self.by_id: Mapping[str, Action] = {action.id: action for action in plan.actions}

    def domain(self, host: str | None, uuid: str) -> ObservedDomain | None:
        observed = self.inventory.hosts.get(host or "")
        if observed is None:
            return None
        return next((domain for domain in observed.domains.values() if domain.uuid == uuid), None)

    def is_ours(self, domain: ObservedDomain) -> bool:
        mark = domain.config.mark
        return mark is not None and mark.fleet == self.fleet


def check(
    plan: Plan, desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy
) -> tuple[str, ...]:
    """Every violation, as a sentence; empty for a good plan."""
    if not plan.actions:
        return ()
    subject = _Subject(plan, desired, inventory, ledger, policy)
    return tuple(violation for rule in _RULES for violation in rule(subject))


def require_sound(plan: Plan, desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy) -> None:
    """Raise PlanRejected if the plan breaks an invariant."""
    violations = check(plan, desired, inventory, ledger, policy)
    if violations:
        raise PlanRejected(violations)


def _ids_are_unique_and_ordered(subject: _Subject) -> Iterator[str]:
    seen: set[str] = set()
    for action in subject.plan.actions:
        if action.id in seen:
            yield f"{action.id} is in the plan twice"
        for before in action.after:
            if before not in seen:
                yield f"{action.id} comes before {before}, which it needs"
        seen.add(action.id)


def _hosts_were_read(subject: _Subject) -> Iterator[str]:
    for action in subject.plan.actions:
        if action.host is not None and action.host not in subject.inventory.hosts:
            yield f"{action.id} acts on {action.host}, which was not read"


def _one_definition_each(subject: _Subject) -> Iterator[str]:
    defined: dict[str, str] = {}
    for action in subject.plan.actions:
        if isinstance(action.step, DefineDomain):
            name = action.step.config.name
            if name in defined:
                yield f"{name} is defined on {defined[name]} and on {action.host}"
            defined[name] = action.host or ""


def _no_second_copy(subject: _Subject) -> Iterator[str]:
    for action in subject.plan.actions:
        if not isinstance(action.step, DefineDomain):
            continue
        config = action.step.config
        for host in subject.inventory.hosts.values():
            for domain in host.domains.values():
                if domain.uuid == config.uuid or domain.name == config.name:
                    yield f"{action.id} would define {config.name} on {action.host}, but it exists on {host.name}"
        placement = subject.ledger.placements.get(config.name)
        if placement is not None and placement.host not in subject.inventory.hosts:
            yield f"{action.id}: {config.name} was placed on {placement.host}, which was not read"
        mark = config.mark
        if placement is not None and mark is not None:
            moved = placement.host != action.host
            if mark.epoch < placement.epoch + moved:
                yield f"{action.id}: epoch {mark.epoch} does not exceed that of the copy on {placement.host}"


def _only_ours_is_touched(subject: _Subject) -> Iterator[str]:
    touching = RedefineDomain | SetAutostart | StartDomain | StopDomain | UndefineDomain
    for action in subject.plan.actions:
        step = action.step
        if not isinstance(step, touching):
            continue
        uuid = step.config.uuid if isinstance(step, RedefineDomain) else step.uuid
        domain = subject.domain(action.host, uuid)
        if domain is not None and not subject.is_ours(domain):
            yield f"{action.id} would touch {domain.name} on {action.host}, which is not managed"
        if domain is None and not isinstance(step, StartDomain):
            yield f"{action.id} acts on a domain that was not seen on {action.host}"


def _only_our_volumes_go(subject: _Subject) -> Iterator[str]:
    leaving = {action.step.uuid for action in subject.plan.actions if isinstance(action.step, UndefineDomain)}
    for action in subject.plan.actions:
        if not isinstance(action.step, DeleteVolume):
            continue
        if not action.step.volume.startswith(f"{subject.fleet}."):
            yield f"{action.id} would delete {action.step.volume}, which is not ours"
        yield from _users(subject, action, action.step, leaving)


def _users(subject: _Subject, action: Action, step: DeleteVolume, leaving: set[str]) -> Iterator[str]:
    host = subject.inventory.hosts.get(action.host or "")
    pool = host.pools.get(step.pool) if host else None
    volume = (pool.volumes or {}).get(step.volume) if pool else None
    if volume is None:
        return
    shared = step.pool in subject.desired.pools and subject.desired.pools[step.pool].spec.shared
    for other in subject.inventory.hosts.values():
        if not shared and other.name != action.host:
            continue
        for domain in other.domains.values():
            replaced = any(
                isinstance(a.step, RedefineDomain) and a.step.config.uuid == domain.uuid for a in subject.plan.actions
            )
            configs = (domain.live,) if replaced else (domain.config, domain.live)
            used = {disk.path for config in configs if config for disk in config.disks}
            used |= {config.seed.path for config in configs if config and config.seed}
            if volume.path in used and domain.uuid not in leaving:
                yield f"{action.id} would delete {step.volume}, which {domain.name} on {other.name} uses"
    gone = {a.step.volume for a in subject.plan.actions if isinstance(a.step, DeleteVolume)}
    for sibling in (pool.volumes or {}).values() if pool else ():
        if sibling.backing_path == volume.path and sibling.name not in gone:
            yield f"{action.id} would delete {step.volume}, which {sibling.name} is an overlay of"


def _removal_is_certain(subject: _Subject) -> Iterator[str]:
    for action in subject.plan.actions:
        if not isinstance(action.step, UndefineDomain):
            continue
        if subject.desired.removal_hold:
            yield f"{action.id} removes although {subject.desired.removal_hold}"
        if action.target.name in subject.desired.vms:
            yield f"{action.id} removes a VM that is in the specs"
        if action.target in subject.desired.unusable:
            yield f"{action.id} removes a VM whose spec could not be read"


def _data_goes_only_where_asked(subject: _Subject) -> Iterator[str]:
    for action in subject.plan.actions:
        if action.disruption != "data-loss" or not isinstance(action.step, DeleteVolume):
            continue
        marks = [
            domain.config.mark
            for host in subject.inventory.hosts.values()
            for domain in host.domains.values()
            if domain.config.mark is not None and domain.config.mark.vm == action.target.name
        ]
        if not any(mark.deletion_policy == "delete" for mark in marks):
            yield f"{action.id} loses data of {action.target}, whose deletionPolicy does not say so"


def _held_is_held(subject: _Subject) -> Iterator[str]:
    paused = subject.ledger.paused
    for action in subject.plan.actions:
        if "fleet" in paused or str(action.target) in paused:
            yield f"{action.id} acts on {action.target}, which is paused"


_RULES: Final[tuple[Callable[[_Subject], Iterator[str]], ...]] = (
    _ids_are_unique_and_ordered,
    _hosts_were_read,
    _one_definition_each,
    _no_second_copy,
    _only_ours_is_touched,
    _only_our_volumes_go,
    _removal_is_certain,
    _data_goes_only_where_asked,
    _held_is_held,
)
