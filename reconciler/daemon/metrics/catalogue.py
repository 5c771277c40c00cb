"""Every metric by name: a contract, as alert rules and dashboards are written against it.

Times are in seconds, sizes in bytes. What a label may be is bounded by the specs (hosts, objects) or by this program
(kinds, reasons, outcomes): never by what a guest or a stranger says.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

MetricType = Literal["gauge", "counter", "histogram"]


class Metric(Struct, frozen=True):
    """One metric as Prometheus finds it, `_total` included."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()


class Group(Struct, frozen=True):
    """Metrics that are told of together."""

    title: str
    metrics: tuple[Metric, ...]


def _gauge(name: str, help_text: str, *labels: str) -> Metric:
    return Metric(f"reconciler_{name}", "gauge", help_text, labels)


def _counter(name: str, help_text: str, *labels: str) -> Metric:
    return Metric(f"reconciler_{name}_total", "counter", help_text, labels)


def _histogram(name: str, help_text: str, *labels: str) -> Metric:
    return Metric(f"reconciler_{name}_seconds", "histogram", help_text, labels)


CATALOGUE: Final = (
    Group(
        "The controller",
        (
            _gauge("build_info", "1; which version runs, on which Python.", "version", "python"),
            _gauge("leader", "1 if this controller leads the fleet, or is the only one; 0 if it stands by."),
            _gauge("leader_term", "Term of its lead; 0 for the only controller, and for one that stands by."),
            _gauge("ledger_size_bytes", "Size of the ledger, its write-ahead log included."),
            _gauge("fleet_paused", "1 if the fleet as a whole is held by `reconciler pause`."),
            _gauge("paused_objects", "Objects that are held one by one."),
        ),
    ),
    Group(
        "Passes",
        (
            _histogram("pass_duration", "From the beginning of a pass to its plan, hosts read."),
            _counter("passes", "Passes by result: `planned`, or `failed` where none could decide.", "result"),
            _gauge("pass_last_success_timestamp_seconds", "When a pass last came to a plan, in seconds since 1970."),
            _gauge("plan_actions", "Actions of the last plan by the worst that they do to a guest.", "disruption"),
            _gauge("in_flight_objects", "Objects that actions of an earlier pass are still at."),
            _counter("actions", "Actions that ended, by kind and outcome.", "kind", "outcome"),
            _histogram("action_duration", "How long actions that were done took.", "kind"),
        ),
    ),
    Group(
        "Specs",
        (
            _gauge("specs_info", "1; the generation of specs that the last plan was made of.", "generation"),
            _gauge("specs_problems", "Mistakes in the specs.", "severity"),
            _gauge("specs_removal_held", "1 while nothing is removed because the specs are not certain."),
            _gauge("specs_doubted", "1 while the specs may be older than those that the fleet was led by."),
            _gauge("specs_committed_timestamp_seconds", "When the commit of the specs was made, by its own clock."),
            _gauge("git_last_answer_timestamp_seconds", "When the repository that is followed answered last."),
            _gauge("git_failing", "1 while it can't be asked, or its newest commit is not followed."),
            _gauge("mass_deletion_held_objects", "Objects whose removal waits for `reconciler accept-deletions`."),
        ),
    ),
    Group(
        "Hosts",
        (
            _gauge("host_health", "1 for the health that the host has, 0 for all others.", "host", "health"),
            _gauge(
                "host_last_success_timestamp_seconds",
                "When the host last answered with all that a pass needs, in seconds since 1970.",
                "host",
            ),
            _gauge("host_armed", "1 if its fence devices passed their test as they are; absent without any.", "host"),
            _gauge("host_memory_bytes", "Memory of the host.", "host"),
            _gauge("host_memory_promised_bytes", "Memory that its VMs may use.", "host"),
            _gauge("host_cpus", "CPUs of the host.", "host"),
            _gauge("host_vcpus_promised", "Virtual CPUs of its VMs.", "host"),
            _gauge("host_vms", "VMs of the fleet on it.", "host"),
            _gauge("host_unmanaged_guests", "Guests on it that are not the fleet's.", "host"),
            _counter(
                "rpcs",
                "Questions and orders to the host, and how they ended.",
                "host",
                "kind",
                "result",
            ),
            _counter("rpc_seconds", "Seconds that those took, in all.", "host", "kind"),
        ),
    ),
    Group(
        "Objects",
        (
            _gauge(
                "resource_info",
                "1 for each object of the specs: whether it runs (`health`), and is as in the specs (`sync`).",
                *("kind", "name", "health", "sync"),
            ),
            _gauge("unmet_specs", "Specs that are not met and that no action serves now.", "reason"),
            _gauge("blocked_objects", "Objects with a reason that does not pass by itself."),
            _gauge("drifted_objects", "Objects that somebody changed behind our back, in the last plan.", "kind"),
            _counter("drift", "Times that an object was found changed behind our back.", "kind"),
            _gauge("kept_bytes", "What is kept of removed VMs and replaced disks, as far as it is in sight."),
        ),
    ),
    Group(
        "Lost hosts",
        (
            _gauge(
                "recovery_timeline_seconds",
                "From the last sign of life of a lost host to each step of a VM's last recovery.",
                *("vm", "host", "step"),
            ),
            _histogram("recovery_duration", "From a lost host's last sign of life until a VM of it ran elsewhere."),
            _histogram(
                "fencing_duration", "How long attempts to prove a host dead took, by how they ended.", "outcome"
            ),
        ),
    ),
    Group(
        "Images",
        (
            _gauge("image_versions", "Versions of a captured image.", "image"),
            _gauge("image_stored_bytes", "Size of all of them.", "image"),
            _gauge(
                "image_newest_version_timestamp_seconds", "When its newest was taken, in seconds since 1970.", "image"
            ),
            _gauge("image_drill_passed", "1 if the last drill of the image passed, 0 if it failed.", "image"),
            _gauge(
                "image_last_verified_restore_timestamp_seconds",
                "When a drill of the image passed last, in seconds since 1970.",
                "image",
            ),
        ),
    ),
)
METRICS: Final = {metric.name: metric for group in CATALOGUE for metric in group.metrics}
