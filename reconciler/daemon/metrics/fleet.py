"""The fleet as the last pass saw it, as metrics: whoever scrapes them waits for no host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reconciler.daemon.metrics.families import Gauges
from reconciler.daemon.view import View
from reconciler.model.health import HostState
from reconciler.model.plan import DISRUPTIONS, Plan, UnmetReason
from reconciler.model.resource import KINDS, Kind
from reconciler.model.status import FleetStatus, HostStatus

HEALTHS: Final = (*get_args(HostState), "degraded", "out-of-service")
"""What a host may be taken for."""
NAMES: Final = (
    *("ledger_size_bytes", "fleet_paused", "paused_objects", "plan_actions", "in_flight_objects", "specs_info"),
    *("specs_problems", "specs_removal_held", "specs_doubted", "mass_deletion_held_objects", "host_health"),
    *("host_last_success_timestamp_seconds", "host_armed", "host_memory_bytes", "host_memory_promised_bytes"),
    *("specs_committed_timestamp_seconds", "git_last_answer_timestamp_seconds", "git_failing"),
    *("host_cpus", "host_vcpus_promised", "host_vms", "host_unmanaged_guests", "resource_info", "unmet_specs"),
    *("blocked_objects", "drifted_objects", "kept_bytes", "image_versions", "image_stored_bytes"),
    *("image_newest_version_timestamp_seconds", "image_drill_passed", "image_last_verified_restore_timestamp_seconds"),
)
_FLEET: Final = "fleet"


class FleetMetrics(Collector):
    """What `show` was last given; nothing at all before that, as nothing is known then."""

    def __init__(self) -> None:
        self._shown: tuple[View | None, int | None] = (None, None)

    def show(self, view: View | None, ledger_size: int | None) -> None:
        """Tell of this look from now on, and of a ledger that has so many bytes; None is not known."""
        self._shown = (view, ledger_size)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Names alone: registering asks for them, and nothing has been seen by then."""
        yield from Gauges(f"reconciler_{name}" for name in NAMES).families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauges = Gauges(f"reconciler_{name}" for name in NAMES)
        view, ledger_size = self._shown
        gauges.add("ledger_size_bytes", ledger_size)
        if view is not None:
            _specs(gauges, view)
            _plan(gauges, view.plan)
            _hosts(gauges, view)
            _objects(gauges, view)
            _images(gauges, view.status)
        yield from gauges.families()


def _specs(gauges: Gauges, view: View) -> None:
    desired, deletion = view.desired, view.plan.mass_deletion
    gauges.add("specs_info", 1, desired.generation)
    severities = Counter(problem.severity for problem in desired.problems)
    for severity in ("error", "warning"):
        gauges.add("specs_problems", severities[severity], severity)
    gauges.add("specs_removal_held", bool(desired.removal_hold))
    gauges.add("specs_doubted", bool(desired.doubt))
    _source(gauges, view.status)
    held = {each.vm for each in deletion.deletions} if deletion is not None else ()
    gauges.add("mass_deletion_held_objects", len(held))
    gauges.add("fleet_paused", view.status.is_held)
    gauges.add("paused_objects", len(view.ledger.paused - {_FLEET}))
    gauges.add("in_flight_objects", len(view.ledger.in_flight))


def _source(gauges: Gauges, status: FleetStatus) -> None:
    if status.revision is not None:
        gauges.add("specs_committed_timestamp_seconds", status.revision.committed_at)
    if status.source is not None:
        gauges.add("git_last_answer_timestamp_seconds", status.source.fetched_at or None)
        gauges.add("git_failing", bool(status.source.failure or status.source.refused))


def _plan(gauges: Gauges, plan: Plan) -> None:
    disruptions = Counter(action.disruption for action in plan.actions)
    for disruption in DISRUPTIONS:
        gauges.add("plan_actions", disruptions[disruption], disruption)
    reasons = Counter(unmet.reason for unmet in plan.unmet)
    for reason in get_args(UnmetReason):
        gauges.add("unmet_specs", reasons[reason], reason)
    gauges.add("blocked_objects", len({unmet.target for unmet in plan.unmet if unmet.severity == "blocked"}))
    drifted = Counter(kind for kind, _ in drifted_objects(plan))
    for kind in KINDS:
        gauges.add("drifted_objects", drifted[kind], kind)


def drifted_objects(plan: Plan) -> frozenset[tuple[Kind, str]]:
    """Objects that the plan finds changed behind our back."""
    return frozenset((action.target.kind, action.target.name) for action in plan.actions if action.why == "drift")


def _hosts(gauges: Gauges, view: View) -> None:
    for host in view.status.hosts:
        for health in HEALTHS:
            gauges.add("host_health", host.condition == health, host.name, health)
        gauges.add("host_last_success_timestamp_seconds", last_success(view, host), host.name)
        gauges.add("host_armed", host.armed, host.name)
        gauges.add("host_memory_bytes", host.memory_total, host.name)
        gauges.add("host_memory_promised_bytes", host.memory_promised, host.name)
        gauges.add("host_cpus", host.cpus, host.name)
        gauges.add("host_vcpus_promised", host.vcpus_promised, host.name)
        gauges.add("host_vms", host.vms, host.name)
        gauges.add("host_unmanaged_guests", host.unmanaged, host.name)


def last_success(view: View, host: HostStatus) -> float | None:
    """Wall time of the host's last answer, this controller's or an earlier one's; None where nobody knows of one."""
    observed, unread = view.inventory.hosts.get(host.name), view.inventory.unread.get(host.name)
    if observed is not None:
        return observed.observed_at
    recorded = view.ledger.health.get(host.name)
    seen = (unread.last_seen if unread is not None else None, recorded.last_seen if recorded is not None else None)
    return max((at for at in seen if at is not None), default=None)


def _objects(gauges: Gauges, view: View) -> None:
    status = view.status
    for host in status.hosts:
        sync = "in-sync" if host.name in view.inventory.hosts else "unknown"
        gauges.add("resource_info", 1, "Host", host.name, host.condition, sync)
    for kind, facilities in (("StoragePool", status.pools), ("Network", status.networks)):
        for facility in facilities:
            gauges.add("resource_info", 1, kind, facility.name, "", facility.sync)
    for image in status.images:
        gauges.add("resource_info", 1, "Image", image.name, "", image.sync)
    for vm in status.vms:
        gauges.add("resource_info", 1, "VirtualMachine", vm.name, vm.health, vm.sync)
    gauges.add("kept_bytes", sum(tombstone.size or 0 for tombstone in status.tombstones))


def _images(gauges: Gauges, status: FleetStatus) -> None:
    for image in status.images:
        if image.versions is not None:
            gauges.add("image_versions", image.versions, image.name)
            gauges.add("image_stored_bytes", image.stored, image.name)
            gauges.add("image_newest_version_timestamp_seconds", image.newest_at, image.name)
        drill = image.drill
        if drill is not None:
            gauges.add("image_drill_passed", drill.passed, image.name)
            if drill.passed_stamp:
                gauges.add("image_last_verified_restore_timestamp_seconds", drill.passed_at, image.name)
