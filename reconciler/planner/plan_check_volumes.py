"""What a plan may do to volumes: only to ours, only to what nothing uses, and to data only where that was asked for."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.identity import parse_disk_volume, version_manifest, version_volume_stamp
from reconciler.model.inventory import ObservedDomain
from reconciler.model.plan import Action
from reconciler.model.steps import CreateVolume, DeleteVolume, StopDomain, UndefineDomain
from reconciler.planner.plan_subject import Subject


def only_our_volumes_go(subject: Subject) -> Iterator[str]:
    """A volume that is deleted has our name, and by then no user."""
    deletions = [action for action in subject.plan.actions if isinstance(action.step, DeleteVolume)]
    users = _Users(subject) if deletions else None
    for action in deletions:
        assert isinstance(action.step, DeleteVolume)  # noqa: S101  selected above
        if not action.step.volume.startswith(f"{subject.fleet}."):
            yield f"{action.id} would delete {action.step.volume}, which is not ours"
        if users is not None:
            yield from users.of(action, action.step)


class _Users:
    """Who refers to which volume: domains by path, overlays by backing path."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.deleted = {
            (action.host, action.step.pool, action.step.volume)
            for action in subject.plan.actions
            if isinstance(action.step, DeleteVolume)
        }
        self.domains: dict[str, list[tuple[str, ObservedDomain]]] = {}
        for host in subject.inventory.hosts.values():
            for domain in host.domains.values():
                for path in _paths(domain):
                    self.domains.setdefault(path, []).append((host.name, domain))

    def of(self, action: Action, step: DeleteVolume) -> Iterator[str]:
        host = self.subject.inventory.hosts.get(action.host or "")
        pool = host.pools.get(step.pool) if host else None
        volumes = (pool.volumes or {}) if pool else {}
        volume = volumes.get(step.volume)
        if volume is None:
            return
        spec = self.subject.desired.pools.get(step.pool)
        shared = spec is not None and spec.spec.shared
        before = self.subject.comes_before(action)
        for where, domain in self.domains.get(volume.path, ()):
            if (shared or where == action.host) and not self._is_gone_by_then(domain, where, before):
                yield f"{action.id} would delete {step.volume}, which {domain.name} on {where} uses"
        for sibling in volumes.values():
            if sibling.backing_path == volume.path and (action.host, step.pool, sibling.name) not in self.deleted:
                yield f"{action.id} would delete {step.volume}, which {sibling.name} is an overlay of"

    def _is_gone_by_then(self, domain: ObservedDomain, host: str, before: set[str]) -> bool:
        steps = [(self.subject.by_id[name].step, self.subject.by_id[name].host) for name in before]
        stopped = any(isinstance(s, StopDomain) and s.uuid == domain.uuid and where == host for s, where in steps)
        undefined = any(isinstance(s, UndefineDomain) and s.uuid == domain.uuid and where == host for s, where in steps)
        return (undefined or not domain.persistent) and (stopped or not domain.active)


def _paths(domain: ObservedDomain) -> set[str]:
    configs = [config for config in (domain.config, domain.live) if config is not None]
    return {disk.path for config in configs for disk in (*config.disks, config.seed) if disk is not None}


def data_goes_only_where_asked(subject: Subject) -> Iterator[str]:
    """Data go only with a VM whose mark and last spec say so, or with a removal already begun."""
    ledger = subject.ledger
    for action in subject.plan.actions:
        if action.disruption != "data-loss" or not isinstance(action.step, DeleteVolume):
            continue
        if any((d.vm, d.volume) == (action.target.name, action.step.volume) for d in ledger.doomed):
            continue
        if action.why == "expired":
            yield from _why_not_expired(subject, action, action.step)
            continue
        record = ledger.placements.get(action.target.name) or ledger.removed.get(action.target.name)
        last_said = record.deletion_policy if record is not None else None
        domains = [
            host.domains[action.target.name]
            for host in subject.inventory.hosts.values()
            if action.target.name in host.domains and (last_said or host.name not in ledger.incidents)
        ]
        marks = [domain.config.mark for domain in domains if subject.is_ours(domain)]
        if last_said == "retain" or not any(mark is not None and mark.deletion_policy == "delete" for mark in marks):
            yield f"{action.id} loses data of {action.target}, whose deletionPolicy does not say so"


def _why_not_expired(subject: Subject, action: Action, step: DeleteVolume) -> Iterator[str]:
    """What has a tombstone goes once its time was counted, by specs that are beyond doubt and don't have it."""
    desired, counted = subject.desired, subject.ledger.counted
    place = (step.pool, step.volume)
    stones = [stone for stone in subject.ledger.tombstones if place in stone.volumes and stone.vm == action.target.name]
    if not any(stone.purged or stone.uncounted(counted) <= 0 for stone in stones):
        yield f"{action.id} loses data of {action.target} that are to be kept longer"
    if desired.removal_hold or desired.doubt or desired.errors or desired.unusable:
        yield f"{action.id} loses data of {action.target} although the specs are uncertain"
    _fleet, origin, part, *_ = step.volume.split(".")
    vm = desired.vm_made_as(origin)
    is_removed = any(stone.kind == "removed" for stone in stones)
    if is_removed and vm is not None and any(disk.name == part for disk in vm.spec.disks):
        yield f"{action.id} loses disk {part} of {action.target}, which is in the specs"


def _was_left_behind(subject: Subject, action: Action, step: DeleteVolume) -> bool:
    """Whether its VM was moved away from this host, and is seen to have the disk where it is now."""
    for left in subject.ledger.left_behind:
        if (left.pool, left.volume, left.host) != (step.pool, step.volume, action.host):
            continue
        placement = subject.ledger.placements.get(left.vm)
        host = subject.inventory.hosts.get(placement.host) if placement is not None else None
        domain = host.domains.get(left.vm) if host is not None else None
        if domain is None or host is None or host.name == action.host or not subject.is_ours(domain):
            continue
        pool = host.pools.get(step.pool)
        is_there = pool is not None and step.volume in (pool.volumes or {})
        has_it = any(disk.path.endswith(f"/{step.volume}") for disk in domain.config.disks)
        if is_there and has_it and left.vm not in subject.ledger.migrations:
            return True
    return False


def finished_disks_stay(subject: Subject) -> Iterator[str]:
    """A disk goes only with its VM, where it was begun and never finished, or where its VM has left it behind."""
    unfinished = {(intent.pool, intent.volume) for intent in subject.ledger.intents}
    for action in subject.plan.actions:
        step = action.step
        if isinstance(step, DeleteVolume) and action.disruption != "data-loss":
            is_disk = parse_disk_volume(subject.fleet, step.volume) is not None
            if is_disk and (step.pool, step.volume) not in unfinished and not _was_left_behind(subject, action, step):
                yield f"{action.id} would delete the disk {step.volume}, which nobody asked for"
        if isinstance(step, CreateVolume) and step.replace_partial and (step.pool, step.volume) not in unfinished:
            yield f"{action.id} would replace {step.volume}, which is not known to be partial"


def versions_stay_whole(subject: Subject) -> Iterator[str]:
    """No disk of a version whose manifest is beside it is deleted as a mere volume."""
    for action in subject.plan.actions:
        step = action.step
        part = version_volume_stamp(subject.fleet, step.volume) if isinstance(step, DeleteVolume) else None
        if part is None or not isinstance(step, DeleteVolume):
            continue
        host = subject.inventory.hosts.get(action.host or "")
        pool = host.pools.get(step.pool) if host else None
        manifest = version_manifest(subject.fleet, *part)
        if manifest in ((pool.volumes or {}) if pool else {}) and not step.volume.endswith(".copy"):
            yield f"{action.id} would delete {step.volume}, which is part of a version"
        capture = subject.ledger.captures.get(part[0])
        if capture is not None and capture.stamp == part[1]:
            yield f"{action.id} would delete {step.volume}, which is being made"
