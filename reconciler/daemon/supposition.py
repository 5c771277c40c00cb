"""A look at the fleet as it would be with some of its hosts dead."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from reconciler.daemon.decision import decide
from reconciler.daemon.view import View
from reconciler.errors import UsageError
from reconciler.model.policy import Policy
from reconciler.planner.what_if import if_down


def suppose_down(view: View, hosts: Sequence[str], policy: Policy) -> View:
    """The plan that would follow if `hosts` were proven dead; raises UsageError for one that the specs don't have.

    The hosts count as known to be dead, not as unseen.
    """
    for name in hosts:
        if name not in view.desired.hosts:
            raise UsageError(
                f"{name} is no host of the specs", hint=f"hosts: {', '.join(sorted(view.desired.hosts)) or 'none'}"
            )
    inventory, ledger = if_down(view.desired, view.inventory, view.ledger, hosts, view.at)
    plan, status = decide(view.desired, inventory, ledger, policy, view.at)
    unseen = tuple(name for name in plan.unseen if name not in hosts)
    others = {name: host for name, host in inventory.unread.items() if name not in hosts}
    return replace(
        view,
        inventory=replace(inventory, unread=others),
        ledger=ledger,
        plan=replace(plan, unseen=unseen),
        status=status,
    )
