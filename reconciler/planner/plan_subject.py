"""A finished plan and the raw inputs it was made from, indexed for those who check it."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import OwnershipMark
from reconciler.model.inventory import Inventory, ObservedDomain
from reconciler.model.ledger import LedgerView
from reconciler.model.plan import Action, Plan
from reconciler.model.policy import Policy


class Subject:
    """The plan and its inputs, indexed once: a plan may have ten thousand actions."""

    def __init__(
        self,
        plan: Plan,
        desired: DesiredState,
        inventory: Inventory,
        ledger: LedgerView,
        policy: Policy,
        now: float | None = None,
    ) -> None:
        self.plan = plan
        self.desired = desired
        self.inventory = inventory
        self.ledger = ledger
        self.policy = policy
        self.fleet = policy.fleet
        self.now = now
        """Wall time in seconds of the planning; None where nobody asks about it."""
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

    def is_proven_dead(self, host: str) -> bool:
        """Whether a proof of the open incident says that a host out of sight can't be running anything."""
        incident, proof = self.ledger.incidents.get(host), self.ledger.proofs.get(host)
        return (
            host not in self.inventory.hosts
            and incident is not None
            and proof is not None
            and (proof.host, proof.incident) == (host, incident.id)
        )

    def may_run_on(self, host: str) -> bool:
        """Whether a VM that was placed on `host` may be running there unseen; in the quiet period, proof or not."""
        return host not in self.inventory.hosts and (self.ledger.quiet or not self.is_proven_dead(host))

    def is_old_copy(self, host: str | None, uuid: str) -> bool:
        """Whether the copy on `host` has a lower epoch than the placement of its VM, which is elsewhere.

        Surely so only where the newer copy is in sight, or `host` was lost. Of a VM that was removed, all that was
        before is old.
        """
        domain = self.domain(host, uuid)
        mark = domain.config.mark if domain is not None and self.is_ours(domain) else None
        placement = self.ledger.placements.get(mark.vm) if mark is not None else None
        if mark is not None and placement is None:
            removed = self.ledger.removed.get(mark.vm)
            return removed is not None and (mark.epoch, host == removed.host) < (removed.epoch, True)
        if mark is None or placement is None or placement.host == host:
            return False
        newer = self.domain(placement.host, uuid)
        newer_mark = newer.config.mark if newer is not None else None
        newest = newer_mark.epoch if newer_mark is not None else None
        if not placement.outdates(mark.epoch, newest):
            return False
        if newer is None:
            return host in self.ledger.incidents
        return newest is not None and newest >= placement.reached_by(newest)

    def runs_on_its_own_disks(self, host: str | None, uuid: str) -> bool:
        """Whether what runs on `host` has disks there that its VM is recorded to have left when it was moved."""
        domain = self.domain(host, uuid)
        if domain is None or domain.state != "running":
            return False
        return any((left.vm, left.host) == (domain.name, host) for left in self.ledger.left_behind)

    def is_ours(self, domain: ObservedDomain) -> bool:
        mark = domain.config.mark
        return mark is not None and mark.fleet == self.fleet and self._is_named_so(mark, domain.name)

    def _is_named_so(self, mark: OwnershipMark, name: str) -> bool:
        return name in (mark.vm, self.desired.to_rename.get(mark.vm))

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
