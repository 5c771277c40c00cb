"""What a pass finds to be the matter: level-triggered, so that whoever was away is told the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.daemon.view import View
from reconciler.model.health import HostState
from reconciler.model.notifications import Matter, Matters, Severity
from reconciler.model.plan import UnmetReason

FLEET: Final = "fleet"
NO_PLAN: Final = "no-plan"
_HOSTS: Final[Mapping[HostState, Severity]] = {
    "suspect": "info",
    "unreachable": "critical",
    "fencing": "critical",
    "fenced": "critical",
    "quarantined": "warning",
}
"""What a host may be taken for that somebody should know of."""
_NOT_SURE: Final = frozenset({"unknown", "returning"})
_REASONS: Final[Mapping[UnmetReason, Severity]] = {
    "host-lost": "critical",
    "fencing-failed": "critical",
    "disk-damaged": "critical",
    "crash-loop": "warning",
    "guest-not-answering": "warning",
    "failed": "warning",
    "not-armed": "warning",
    "no-host-fits": "warning",
    "conflict": "warning",
    "drill-failed": "warning",
    "version-damaged": "warning",
    "specs-doubted": "warning",
    "approval-wanted": "warning",
}


def matters_of(view: View) -> Matters:
    """What is the matter as of `view`."""
    desired = view.desired
    kinds = {
        "Host": desired.hosts,
        "VirtualMachine": desired.vms,
        "Image": desired.images,
        "StoragePool": desired.pools,
    }
    unsure = {f"health:Host/{host.name}" for host in view.status.hosts if host.health in _NOT_SURE}
    if view.inventory.unread:
        # Out of sight is not mended: what was told of an object stands until it is seen again.
        unseen = [f"VirtualMachine/{vm.name}" for vm in view.status.vms if vm.health == "unknown"]
        unsure |= {f"{reason}:{vm}" for vm in unseen for reason in _REASONS}
    return Matters(
        now=(*_fleet(view), *_hosts(view), *_unmet(view)),
        unsure=frozenset(unsure),
        labels={
            f"{kind}/{name}": each.metadata.labels for kind, named in kinds.items() for name, each in named.items()
        },
    )


def failed_pass(message: str) -> Matter:
    """No pass comes to a plan."""
    title = "No pass comes to a plan: nothing is recovered or changed"
    return Matter(NO_PLAN, "failed", "critical", FLEET, title, message)


def _fleet(view: View) -> Iterator[Matter]:
    errors, deletion = view.desired.errors, view.plan.mass_deletion
    if errors:
        title = f"The specs have {len(errors)} mistake{'s' if len(errors) > 1 else ''}: nothing is removed meanwhile"
        yield Matter("specs-invalid", "invalid", "warning", FLEET, title, f"{errors[0].where}: {errors[0].message}")
    if deletion is not None:
        hint = f"reconciler accept-deletions {deletion.fingerprint}"
        yield Matter("mass-deletion", deletion.fingerprint, "warning", FLEET, f"Held: {deletion.sentence}", hint)


def _hosts(view: View) -> Iterator[Matter]:
    for host in view.status.hosts:
        severity = _HOSTS.get(host.health) if host.health != "degraded" else None  # slow is no news
        if severity is not None and not host.is_out_of_service:
            target = f"Host/{host.name}"
            yield Matter(f"health:{target}", host.health, severity, target, f"{target} is {host.health}", host.message)


def _unmet(view: View) -> Iterator[Matter]:
    for unmet in view.plan.unmet:
        severity = _REASONS.get(unmet.reason)
        if severity is not None:
            target = str(unmet.target)
            key, title = f"{unmet.reason}:{target}", f"{target}: {unmet.reason.replace('-', ' ')}"
            yield Matter(key, unmet.reason, severity, target, title, unmet.detail)
