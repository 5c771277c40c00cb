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


def _takes_a_guest_down(subject: Subject, action: Action) -> bool:
    step, hurts = action.step, DISRUPTIONS.index(action.disruption)
    if action.why in ("host-lost", "ended", "incomplete", "expired") or hurts < DISRUPTIONS.index("reboot"):
        return False
    if isinstance(step, MigrateDomain):
        return step.cold and not step.begun
    if isinstance(step, UndefineDomain):
        return True
    if isinstance(step, DeleteVolume):
        return action.target.kind == "VirtualMachine" and not any(
            (doomed.vm, doomed.pool, doomed.volume) == (action.target.name, step.pool, step.volume)
            for doomed in subject.ledger.doomed
        )
    runs = any(d.active and d.name == action.target.name and subject.is_ours(d) for d in subject.domains.values())
    return isinstance(step, StopDomain | SwitchDisks) and runs
