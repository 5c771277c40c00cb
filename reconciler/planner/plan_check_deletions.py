"""What a plan may take away at once without a human's word."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.plan import Action
from reconciler.model.steps import DeleteVolume, UndefineDomain
from reconciler.planner.plan_check_lost import removes_an_old_copy
from reconciler.planner.plan_subject import Subject


def many_go_only_where_accepted(subject: Subject) -> Iterator[str]:
    """No more VMs than the policy allows are removed, or deleted for good, unless a human has accepted each of them."""
    accepted = {deletion.vm for deletion in subject.ledger.accepted_deletions}
    purged = {stone.vm for stone in subject.ledger.tombstones if stone.purged}
    gone = {action.target.name for action in subject.plan.actions if _takes_away(subject, action)} - accepted - purged
    managed = {
        domain.config.mark.vm for domain in subject.domains.values() if domain.config.mark and subject.is_ours(domain)
    }
    number = len(managed | subject.ledger.placements.keys())
    rule = subject.policy.mass_deletion
    if len(gone) > 1 and (len(gone) > rule.count or len(gone) > rule.share * number):
        yield f"{', '.join(sorted(gone))} of {number} VMs would be deleted at once, and nobody has accepted that"


def _takes_away(subject: Subject, action: Action) -> bool:
    if isinstance(action.step, DeleteVolume):
        return action.why == "expired"
    return (
        isinstance(action.step, UndefineDomain) and action.why == "removed" and not removes_an_old_copy(subject, action)
    )
