"""What holds of any plan that moves VMs: few at once, and only to where the specs and the hosts' health allow it.

Written apart from the planner's own rules, out of the raw inputs, so that a mistake there is caught here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.model.host import Host
from reconciler.model.plan import Action
from reconciler.model.resource import Labels
from reconciler.model.steps import MigrateDomain
from reconciler.planner.plan_subject import Subject


def few_are_on_their_way(subject: Subject) -> Iterator[str]:
    """No more VMs are on their way at once, in the fleet and out of each host, than the policy allows."""
    begun = [step for _, step in _moves(subject)]
    rules, under_way = subject.policy.migration, subject.ledger.migrations
    if begun and len(begun) + len(under_way) > rules.parallel_fleet:
        names = ", ".join(step.domain for step in begun)
        number, limit = len(begun) + len(under_way), rules.parallel_fleet
        yield f"{number} VMs would be on their way at once ({names} anew), and {limit} may be"
    leaving = Counter(move.source for move in under_way.values())
    leaving.update(step.source for step in begun)
    for source in sorted({step.source for step in begun}):
        if leaving[source] > rules.parallel_per_source:
            yield f"{leaving[source]} VMs would leave {source} at once, and {rules.parallel_per_source} may"


def moves_go_where_the_vm_may_be(subject: Subject) -> Iterator[str]:
    """A VM that may be moved goes from a host that is not held to a healthy one that its placement allows."""
    for action, step in _moves(subject):
        for trouble in (*_of_the_source(subject, step), *_of_the_target(subject, step)):
            yield f"{action.id} would move {step.domain} {trouble}"


def _of_the_source(subject: Subject, step: MigrateDomain) -> Iterator[str]:
    host, vm = subject.desired.hosts.get(step.source), subject.desired.vms.get(step.domain)
    if host is None or vm is None:
        yield f"from {step.source}, which is not what the specs are about"
        return
    if host.metadata.paused or f"Host/{step.source}" in subject.ledger.paused:
        yield f"from {step.source}, which is held"
    if host.spec.state == "maintenance" and vm.spec.placement.on_drain == "block":
        yield "although that is left to people"


def _of_the_target(subject: Subject, step: MigrateDomain) -> Iterator[str]:
    host, vm = subject.desired.hosts.get(step.target), subject.desired.vms.get(step.domain)
    health, observed = subject.ledger.health.get(step.target), subject.inventory.hosts.get(step.target)
    if host is None or vm is None or observed is None:
        return  # told by others
    if step.target in subject.ledger.incidents or (health is not None and health.state not in ("online", "unknown")):
        yield f"to {step.target}, which is not well"
    if observed.abilities is None:
        yield f"to {step.target}, which was not asked what it can do"
    rules = vm.spec.placement
    if (rules.hosts and step.target not in rules.hosts) or not _has(host.metadata.labels, rules.node_selector):
        yield f"to {step.target}, where its placement does not allow it"
    if rules.spread and any(_has(labels, rules.spread) for labels in _beside(subject, step, host)):
        yield f"to {step.target}, beside a VM that it is to be spread from"


def _beside(subject: Subject, step: MigrateDomain, host: Host) -> Iterator[Labels]:
    """Labels of the other VMs that are on the host, or go there by this plan or an earlier one."""
    names = {domain.name for domain in subject.inventory.hosts[host.name].domains.values() if subject.is_ours(domain)}
    names |= {moved.domain for _, moved in _moves(subject) if moved.target == host.name}
    names |= {move.vm for move in subject.ledger.migrations.values() if move.target == host.name}
    for name in sorted(names - {step.domain}):
        if name in subject.desired.vms:
            yield subject.desired.vms[name].metadata.labels


def _has(labels: Labels, wanted: Labels) -> bool:
    return wanted.items() <= labels.items()


def _moves(subject: Subject) -> list[tuple[Action, MigrateDomain]]:
    """Those that begin; what is on record already is only followed."""
    steps = [(action, action.step) for action in subject.plan.actions]
    return [(action, step) for action, step in steps if isinstance(step, MigrateDomain) and not step.begun]
