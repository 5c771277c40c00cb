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
    CreateVolume,
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
    """The plan and its inputs, indexed once: a plan may have ten thousand actions."""

    def __init__(
        self, plan: Plan, desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy
    ) -> None:
        self.plan = plan
        self.desired = desired
        self.inventory = inventory
        self.ledger = ledger
        self.fleet = policy.fleet
        self.by_id: Mapping[str, Action] = {action.id: action for action in plan.actions}
        self.domains: dict[tuple[str, str], ObservedDomain] = {}
        self.known_at: dict[str, list[str]] = {}
        for host in inventory.hosts.values():
            for domain in host.domains.values():
                self.domains[host.name, domain.uuid] = domain
                for identity in (domain.uuid, domain.name):
                    self.known_at.setdefault(identity, []).append(host.name)

    def domain(self, host: str | None, uuid: str) -> ObservedDomain | None:
        return self.domains.get((host or "", uuid))

    def is_ours(self, domain: ObservedDomain) -> bool:
        mark = domain.config.mark
        return mark is not None and mark.fleet == self.fleet and mark.vm == domain.name

    def comes_before(self, action: Action) -> set[str]:
        """Ids of all actions that must have succeeded before `action`."""
        found: set[str] = set()
        waiting = list(action.after)
        while waiting:
            before = waiting.pop()
            if before not in found:
                found.add(before)
                waiting += self.by_id[before].after if before in self.by_id else ()
        return found


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
        for host in sorted({*subject.known_at.get(config.uuid, ()), *subject.known_at.get(config.name, ())}):
            yield f"{action.id} would define {config.name} on {action.host}, but it exists on {host}"
        placement = subject.ledger.placements.get(config.name)
        if placement is not None and placement.host not in subject.inventory.hosts:
            yield f"{action.id}: {config.name} was placed on {placement.host}, which was not read"
        mark = config.mark
        if placement is not None and mark is not None:
            moved = placement.host != action.host
            if mark.epoch < placement.epoch + moved:
                yield f"{action.id}: epoch {mark.epoch} does not exceed that of the copy on {placement.host}"


def _no_start_beside_a_copy(subject: _Subject) -> Iterator[str]:
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
        if placement is not None and placement.host not in (action.host, *subject.inventory.hosts):
            yield f"{action.id}: {name} was placed on {placement.host}, which was not read"
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
    deletions = [action for action in subject.plan.actions if isinstance(action.step, DeleteVolume)]
    users = _Users(subject) if deletions else None
    for action in deletions:
        assert isinstance(action.step, DeleteVolume)  # noqa: S101  selected above
        if not action.step.volume.startswith(f"{subject.fleet}."):
            yield f"{action.id} would delete {action.step.volume}, which is not ours"
        if users is not None:
            yield from users.of(action, action.step)


class _Users:
    """Who refers to which volume: domains by path, overlays by backing path."""

    def __init__(self, subject: _Subject) -> None:
        self.subject = subject
        self.deleted = {
            (action.host, action.step.pool, action.step.volume)
            for action in subject.plan.actions
            if isinstance(action.step, DeleteVolume)
        }
        self.domains: dict[str, list[tuple[str, ObservedDomain]]] = {}
        for host in subject.inventory.hosts.values():
            for domain in host.domains.values():
                for path in _paths(domain):
                    self.domains.setdefault(path, []).append((host.name, domain))

    def of(self, action: Action, step: DeleteVolume) -> Iterator[str]:
        host = self.subject.inventory.hosts.get(action.host or "")
        pool = host.pools.get(step.pool) if host else None
        volumes = (pool.volumes or {}) if pool else {}
        volume = volumes.get(step.volume)
        if volume is None:
            return
        spec = self.subject.desired.pools.get(step.pool)
        shared = spec is not None and spec.spec.shared
        before = self.subject.comes_before(action)
        for where, domain in self.domains.get(volume.path, ()):
            if (shared or where == action.host) and not self._is_gone_by_then(domain, where, before):
                yield f"{action.id} would delete {step.volume}, which {domain.name} on {where} uses"
        for sibling in volumes.values():
            if sibling.backing_path == volume.path and (action.host, step.pool, sibling.name) not in self.deleted:
                yield f"{action.id} would delete {step.volume}, which {sibling.name} is an overlay of"

    def _is_gone_by_then(self, domain: ObservedDomain, host: str, before: set[str]) -> bool:
        steps = [(self.subject.by_id[name].step, self.subject.by_id[name].host) for name in before]
        stopped = any(isinstance(s, StopDomain) and s.uuid == domain.uuid and where == host for s, where in steps)
        undefined = any(isinstance(s, UndefineDomain) and s.uuid == domain.uuid and where == host for s, where in steps)
        return (undefined or not domain.persistent) and (stopped or not domain.active)


def _paths(domain: ObservedDomain) -> set[str]:
    configs = [config for config in (domain.config, domain.live) if config is not None]
    return {disk.path for config in configs for disk in (*config.disks, config.seed) if disk is not None}


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
        if any((d.vm, d.volume) == (action.target.name, action.step.volume) for d in subject.ledger.doomed):
            continue
        domains = [
            host.domains[action.target.name]
            for host in subject.inventory.hosts.values()
            if action.target.name in host.domains
        ]
        marks = [domain.config.mark for domain in domains if subject.is_ours(domain)]
        if not any(mark is not None and mark.deletion_policy == "delete" for mark in marks):
            yield f"{action.id} loses data of {action.target}, whose deletionPolicy does not say so"


def _finished_disks_stay(subject: _Subject) -> Iterator[str]:
    """A disk goes only with its VM, or where it was begun and never finished."""
    unfinished = {(intent.pool, intent.volume) for intent in subject.ledger.intents}
    for action in subject.plan.actions:
        step = action.step
        if isinstance(step, DeleteVolume) and action.disruption != "data-loss":
            parts = step.volume.split(".")
            is_disk = len(parts) == 4 and parts[3] in ("qcow2", "raw")
            if is_disk and (step.pool, step.volume) not in unfinished:
                yield f"{action.id} would delete the disk {step.volume}, which nobody asked for"
        if isinstance(step, CreateVolume) and step.replace_partial and (step.pool, step.volume) not in unfinished:
            yield f"{action.id} would replace {step.volume}, which is not known to be partial"


def _held_is_held(subject: _Subject) -> Iterator[str]:
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
        if "fleet" in held or str(action.target) in held:
            yield f"{action.id} acts on {action.target}, which is paused"
        elif f"Host/{action.host}" in held:
            yield f"{action.id} acts on {action.host}, which is paused"


_RULES: Final[tuple[Callable[[_Subject], Iterator[str]], ...]] = (
    _ids_are_unique_and_ordered,
    _hosts_were_read,
    _one_definition_each,
    _no_second_copy,
    _no_start_beside_a_copy,
    _only_ours_is_touched,
    _only_our_volumes_go,
    _removal_is_certain,
    _data_goes_only_where_asked,
    _finished_disks_stay,
    _held_is_held,
)
