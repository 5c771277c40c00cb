"""The state of the fleet as plain data: the JSON of `status --json`."""

from __future__ import annotations

from typing import Any

from reconciler.cli.plan_json import unmet_json
from reconciler.cli.source_lines import revision_data, source_data
from reconciler.model.drill import DrillResult
from reconciler.model.ledger import Migration
from reconciler.model.status import (
    Drain,
    FacilityStatus,
    FleetStatus,
    HostStatus,
    ImageStatus,
    TombstoneStatus,
    VmMobility,
    VmStatus,
)
from reconciler.model.version import instant_of


def status_data(status: FleetStatus) -> dict[str, Any]:
    """Everything, sizes in bytes, times in seconds since the epoch."""
    return {
        "version": 1,
        "fleet": status.fleet,
        "generation": status.generation,
        "revision": None if status.revision is None else revision_data(status.revision),
        "source": None if status.source is None else source_data(status.source),
        "at": status.at,
        "healthy": status.healthy,
        "controller": status.controller,
        "held": status.is_held,
        "problems": list(status.problems),
        "hosts": [host_data(host) for host in status.hosts],
        "vms": [vm_data(vm) for vm in status.vms],
        "pools": [facility_data(pool) for pool in status.pools],
        "networks": [facility_data(network) for network in status.networks],
        "images": [image_data(image) for image in status.images],
        "tombstones": [tombstone_data(stone) for stone in status.tombstones],
    }


def host_data(host: HostStatus) -> dict[str, Any]:
    """One host."""
    return {
        "name": host.name,
        "health": host.health,
        "state": host.state,
        "outOfService": host.is_out_of_service,
        "message": host.message,
        "observedAt": host.observed_at,
        "memoryTotal": host.memory_total,
        "memoryPromised": host.memory_promised,
        "cpus": host.cpus,
        "vcpusPromised": host.vcpus_promised,
        "vcpusAllowed": host.vcpus_allowed,
        "vms": host.vms,
        "unmanaged": host.unmanaged,
        "since": host.since,
        "rule": host.rule,
        "incident": host.incident,
        "proven": host.is_proven,
        "held": host.is_held,
        "armed": host.armed,
        "drain": None if host.drain is None else drain_data(host.drain),
    }


def drain_data(drain: Drain) -> dict[str, Any]:
    """How far a host in maintenance is emptied."""
    return {
        "off": drain.off,
        "safeToPowerOff": drain.is_safe,
        "left": drain.left,
        "stuck": drain.stuck,
        "unmanaged": drain.strangers,
    }


def vm_data(vm: VmStatus) -> dict[str, Any]:
    """One VM."""
    return {
        "name": vm.name,
        "host": vm.host,
        "health": vm.health,
        "state": vm.state,
        "sync": vm.sync,
        "restartPending": vm.restart_pending,
        "revision": vm.revision,
        "since": vm.since,
        "message": vm.message,
        "held": vm.is_held,
        "unmet": [unmet_json(item) for item in vm.unmet],
        "migration": None if vm.migration is None else migration_data(vm.migration),
    }


def migration_data(move: Migration) -> dict[str, Any]:
    """How far a VM is on its way: bytes, and seconds of standing still that are expected."""
    told = move.progress
    return {
        "source": move.source,
        "target": move.target,
        "since": move.since,
        "sent": told.done if told else None,
        "total": told.total if told else None,
        "remaining": told.remaining if told else None,
        "downtime": told.downtime if told else None,
    }


def mobility_data(vm: VmMobility) -> dict[str, Any]:
    """Where one VM could go, and why not elsewhere."""
    return {
        "name": vm.vm,
        "host": vm.host,
        "targets": list(vm.targets),
        "localDisks": list(vm.local_disks),
        "hosts": [
            {"name": verdict.host, "movable": not verdict.obstacle, "reason": verdict.obstacle}
            for verdict in vm.verdicts
        ],
    }


def facility_data(facility: FacilityStatus) -> dict[str, Any]:
    """One pool or network."""
    return {
        "name": facility.name,
        "sync": facility.sync,
        "hosts": list(facility.hosts),
        "message": facility.message,
    }


def tombstone_data(stone: TombstoneStatus) -> dict[str, Any]:
    """What is kept of one VM."""
    return {
        "vm": stone.vm,
        "kind": stone.kind,
        "since": stone.since,
        "expiresIn": stone.left,
        "host": stone.host,
        "pools": list(stone.pools),
        "disks": list(stone.disks),
        "size": stone.size,
        "message": stone.message,
    }


def image_data(image: ImageStatus) -> dict[str, Any]:
    """One image."""
    return {
        "name": image.name,
        "sync": image.sync,
        "digest": image.digest,
        "virtualSize": image.virtual_size,
        "pools": list(image.pools),
        "message": image.message,
        "drill": None if image.drill is None else _drill_data(image.drill),
        "versions": image.versions,
        "newest": image.newest or None,
        "newestAt": image.newest_at,
        "stored": image.stored if image.versions is not None else None,
    }


def _drill_data(drill: DrillResult) -> dict[str, Any]:
    """How the last drill ended, and what was last seen to work. Instants in seconds since 1970, or null."""
    return {
        "version": instant_of(drill.stamp),
        "at": drill.at,
        "passed": drill.passed,
        "detail": drill.detail,
        "seconds": drill.seconds,
        "lastVerifiedVersion": instant_of(drill.passed_stamp) or None,
        "lastVerifiedAt": drill.passed_at or None,
    }
