"""What a plan may do about VMs that move: nothing that could end with two of them, or with none.

Written apart from the planner's own rules, out of the raw inputs, so that a mistake there is caught here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec.structs import replace

from reconciler.model.inventory import ObservedDomain
from reconciler.model.ledger import Migration
from reconciler.model.plan import Action
from reconciler.model.restores import SwitchDisks
from reconciler.model.steps import (
    AdoptDomain,
    DefineDomain,
    DeleteVolume,
    EditLive,
    MigrateDomain,
    RedefineDomain,
    RenameDomain,
    SetAutostart,
    StartDomain,
    StopDomain,
    UndefineDomain,
)
from reconciler.planner.plan_subject import Subject

_OF_DOMAINS = (
    AdoptDomain,
    DefineDomain,
    EditLive,
    MigrateDomain,
    RedefineDomain,
    RenameDomain,
    SetAutostart,
    StartDomain,
    StopDomain,
    UndefineDomain,
)


def moves_leave_one_copy(subject: Subject) -> Iterator[str]:
    """A move begins where the one copy runs, and ends where there is none; one that is on record is only followed."""
    moves = [action for action in subject.plan.actions if isinstance(action.step, MigrateDomain)]
    moving = Counter(action.target for action in moves)
    first = {action.target: subject.comes_before(action) for action in moves}
    for action in subject.plan.actions:
        step = action.step
        if not isinstance(step, MigrateDomain):
            if isinstance(step, _OF_DOMAINS) and action.id not in first.get(action.target, {action.id}):
                yield f"{action.id} changes {action.target}, which the same plan moves, and not before that"
            continue
        if moving[action.target] > 1:
            yield f"{action.target} is moved {moving[action.target]} times in one plan"
        known = subject.ledger.migrations.get(action.target.name)
        if step.begun:
            if known is None or replace(known.step, begun=True) != step:
                yield f"{action.id} follows a migration that is not on record"
        elif known is not None:
            yield f"{action.id} would move {step.domain}, whose migration to {known.target} is on record"
        else:
            yield from (f"{action.id} would move {step.domain}, but {why}" for why in _why_not(subject, action, step))


def _why_not(subject: Subject, action: Action, step: MigrateDomain) -> Iterator[str]:
    domain, placement = subject.domain(step.source, step.uuid), subject.ledger.placements.get(step.domain)
    mark = domain.config.mark if domain is not None else None
    host = subject.desired.hosts.get(step.target)
    if domain is None or mark is None or not subject.is_ours(domain) or not _may_set_out(subject, action, step, domain):
        yield f"it {'is not off' if step.cold else 'does not run'} on {step.source} as ours"
    if step.cold and (step.disks or (domain is not None and domain.config.firmware != "bios")):
        yield f"part of it would stay on {step.source}: that only goes along while it runs"
    if {*subject.known_at.get(step.uuid, ()), *subject.known_at.get(step.domain, ())} != {step.source}:
        yield "there is another domain of its name or UUID"
    if placement is None or placement.host != step.source:
        yield f"it was not placed on {step.source}"
    if step.epoch <= max(mark.epoch if mark else 0, placement.epoch if placement else 0):
        yield f"epoch {step.epoch} does not exceed that which it has"
    if step.target == step.source or action.host != step.target or step.target not in subject.inventory.hosts:
        yield f"{step.target} is not another host that was read"
    if host is None or host.spec.state != "active":
        yield f"{step.target} takes no VMs"
    yield from (f"its disk {path} would stay behind" for path in _left_without(subject, step))
    for disk in step.disks:
        pool = subject.inventory.hosts[step.target].pools.get(disk.pool) if host is not None else None
        is_there = pool is not None and disk.volume in (pool.volumes or {})
        begun = {(intent.pool, intent.volume, intent.host) for intent in subject.ledger.intents}
        if is_there and (disk.pool, disk.volume, step.target) not in begun:
            yield f"{disk.volume} is on {step.target} already"


def seeds_stay_where_vms_go(subject: Subject) -> Iterator[str]:
    """No seed is deleted where the same plan moves its VM to."""
    deleted = {
        (action.host, action.step.volume): action.id
        for action in subject.plan.actions
        if isinstance(action.step, DeleteVolume)
    }
    for action in subject.plan.actions if deleted else ():
        step = action.step
        domain = subject.domain(step.source, step.uuid) if isinstance(step, MigrateDomain) else None
        seed = domain.config.seed if domain is not None else None
        found = deleted.get((action.host, seed.path.rpartition("/")[2])) if seed is not None else None
        if found is not None:
            yield f"{found} would delete the seed of {action.target.name}, which {action.id} moves there"


def _may_set_out(subject: Subject, action: Action, step: MigrateDomain, domain: ObservedDomain) -> bool:
    """Whether it will be by then as its move expects: running, or off."""
    if not step.cold:
        return domain.state == "running"
    first = subject.comes_before(action)
    is_stopped = any(
        isinstance(other.step, StopDomain) and other.step.uuid == step.uuid and other.host == step.source
        for other in subject.plan.actions
        if other.id in first
    )
    return is_stopped or domain.state == "shutoff"


def _left_without(subject: Subject, step: MigrateDomain) -> Iterator[str]:
    """Disks that the guest writes to, and that neither are copied nor in a pool that the specs call shared."""
    domain, observed = subject.domain(step.source, step.uuid), subject.inventory.hosts.get(step.source)
    if domain is None or observed is None:
        return
    copied = {disk.device for disk in step.disks}
    shared = {
        pool.target.rstrip("/")
        for name, pool in observed.pools.items()
        if name in subject.desired.pools and subject.desired.pools[name].spec.shared
    }
    for disk in (domain.live or domain.config).disks:
        if not disk.read_only and disk.target not in copied and disk.path.rpartition("/")[0] not in shared:
            yield disk.path


def what_is_on_its_way_is_let_alone(subject: Subject) -> Iterator[str]:
    """Nothing but following is done to a VM that may be at either of two hosts, unless it is surely at neither."""
    for action in subject.plan.actions:
        step, move = action.step, subject.ledger.migrations.get(action.target.name)
        if move is None or action.target.kind != "VirtualMachine" or not isinstance(step, _OF_DOMAINS):
            continue
        if isinstance(step, MigrateDomain) or gives_up_half(subject, action):
            continue
        if not _is_lost(subject, move):
            yield f"{action.id} acts on {move.vm}, which is on its way from {move.source} to {move.target}"
        elif isinstance(step, DefineDomain) and (step.config.mark is None or step.config.mark.epoch <= move.epoch):
            yield f"{action.id}: its epoch does not exceed that of the copy that was on its way to {move.target}"


def what_is_copied_stays(subject: Subject) -> Iterator[str]:
    """A VM whose disks are being copied for a version sets out nowhere, and gets no other disks."""
    copied = {known.vm: known for known in subject.ledger.captures.values() if known.phase != "sealing"}
    for action in subject.plan.actions if copied else ():
        step, capture = action.step, copied.get(action.target.name)
        if capture is None or action.target.kind != "VirtualMachine":
            continue
        if isinstance(step, SwitchDisks) or (isinstance(step, MigrateDomain) and not step.begun):
            yield f"{action.id} acts on {capture.vm}, whose disks are being copied for Image/{capture.image}"


def gives_up_half(subject: Subject, action: Action) -> bool:
    """Whether it ends half of a guest that is on record as moving, and whose other half was on a host proven dead."""
    step, move = action.step, subject.ledger.migrations.get(action.target.name)
    if move is None or not isinstance(step, StopDomain) or subject.ledger.quiet:
        return False
    half = subject.domain(action.host, step.uuid)
    other = {move.source: move.target, move.target: move.source}.get(action.host or "")
    return half is not None and half.is_half and other is not None and subject.is_proven_dead(other)


def _is_lost(subject: Subject, move: Migration) -> bool:
    """Whether its source is proven dead, and its target too, or does not have it."""
    if subject.ledger.quiet or not subject.is_proven_dead(move.source):
        return False
    if move.target in subject.inventory.hosts:
        return subject.domain(move.target, move.step.uuid) is None
    return subject.is_proven_dead(move.target)
