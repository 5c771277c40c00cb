"""What nobody has let through yet does not begin: no guest is disrupted on purpose outside of its windows."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.plan import DISRUPTIONS, Action
from reconciler.model.restores import SwitchDisks
from reconciler.model.steps import DeleteVolume, MigrateDomain, StopDomain, UndefineDomain
from reconciler.model.windows import windows_of
from reconciler.planner.plan_subject import Subject


def disruptions_keep_to_their_windows(subject: Subject) -> Iterator[str]:
    """No guest is shut down, moved while it is off, given other disks or removed outside of its windows.

    Unless that is for a failure: then it may be done at any time.
    """
    windows, now = subject.policy.windows, subject.now
    for action in subject.plan.actions if windows and now is not None else ():
        if not _takes_a_guest_down(subject, action):
            continue
        vm = subject.desired.vms.get(action.target.name)
        own = windows_of(windows, action.target.name, None if vm is None else vm.metadata.labels)
        spans = [each for window in own or () for each in window.instants(now or 0.0)]
        if own is not None and not any(begin <= (now or 0.0) < end for begin, end in spans):
            yield f"{action.id} ({action.disruption}) is done outside of the windows of {action.target}"


def few_are_disrupted_at_once(subject: Subject) -> Iterator[str]:
    """No more VMs are taken down on purpose than the rate limit leaves."""
    limit, now = subject.policy.rate_limit, subject.now
    if limit.disruptions is None or now is None:
        return
    lately = [vm for vm, at in subject.ledger.disruptions if now - limit.per < at <= now]
    begun = {
        action.target.name
        for action in subject.plan.actions
        if isinstance(action.step, StopDomain | MigrateDomain) and _takes_a_guest_down(subject, action)
    }
    if len(begun) + len(lately) > limit.disruptions and begun:
        names = ", ".join(sorted(begun))
        yield f"{names} are taken down at once beside {len(lately)} of late: {limit.disruptions} may be"


def what_needs_approval_has_it(subject: Subject) -> Iterator[str]:
    """Nothing that hurts so much that the policy asks for a word is done on purpose without a committed one."""
    asked = subject.policy.require_approval
    for action in subject.plan.actions if asked and subject.now is not None else ():
        if action.disruption not in asked or not _takes_something(subject, action):
            continue
        given = subject.desired.approvals.get(action.approval)
        if given is None or not given.spec.counts(subject.now or 0.0):
            yield f"{action.id} ({action.disruption}) is done without an Approval of {action.target}"


def _takes_something(subject: Subject, action: Action) -> bool:
    """Whether it is the undoing of a VM's system or data that no failure asks for."""
    if action.why in ("host-lost", "ended", "incomplete", "expired", "retention", "unused", "requested"):
        return False
    step = action.step
    if isinstance(step, DeleteVolume):
        return not _is_doomed(subject, action, step)
    return isinstance(step, SwitchDisks) or (
        isinstance(step, UndefineDomain) and action.why == "removed" and not subject.is_old_copy(action.host, step.uuid)
    )


def _is_doomed(subject: Subject, action: Action, step: DeleteVolume) -> bool:
    return any(
        (doomed.vm, doomed.pool, doomed.volume) == (action.target.name, step.pool, step.volume)
        for doomed in subject.ledger.doomed
    )


def _takes_a_guest_down(subject: Subject, action: Action) -> bool:
    step, hurts = action.step, DISRUPTIONS.index(action.disruption)
    if action.why in ("host-lost", "ended", "incomplete", "expired") or hurts < DISRUPTIONS.index("reboot"):
        return False
    if isinstance(step, MigrateDomain):
        return step.cold and not step.begun
    if isinstance(step, UndefineDomain):
        return True
    if isinstance(step, DeleteVolume):
        return action.target.kind == "VirtualMachine" and not _is_doomed(subject, action, step)
    runs = any(d.active and d.name == action.target.name and subject.is_ours(d) for d in subject.domains.values())
    return isinstance(step, StopDomain | SwitchDisks) and runs
