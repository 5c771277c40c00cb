"""Definitions of domains."""

from __future__ import annotations

from reconciler.errors import ObjectConflict
from reconciler.executor.context import ActionContext
from reconciler.executor.preconditions import (
    check_nowhere_else,
    check_ownership,
    check_still_removed,
    check_true_copy,
    find_domain,
    own_domain,
)
from reconciler.hypervisor.interface import Hypervisor
from reconciler.ledger.counting import instant_of
from reconciler.model.domain import OwnershipMark
from reconciler.model.inventory import ObservedDomain
from reconciler.model.ledger import DoomedVolume
from reconciler.model.steps import DefineDomain, DeleteVolume, GrowDisk, RedefineDomain, SetAutostart, UndefineDomain
from reconciler.model.tombstone import Tombstone


def define_domain(step: DefineDomain, context: ActionContext, host: Hypervisor) -> None:
    """The placement is recorded first: killed before or after the definition, the VM belongs to this host only."""
    mark = _mark(step.config.mark, context)
    known = find_domain(host, step.config.uuid)
    if known is not None:
        check_ownership(context, known)
        if known.config.mark != mark:
            raise context.refuse(f"domain {known.name} is defined already, from another spec")
        context.ledger.record_placement(mark.vm, host.name, mark.epoch, context.clock.now())
        return
    named = host.domain_by_name(step.config.name)
    if named is not None:
        raise ObjectConflict(
            f"another domain has the name {named.name} (uuid {named.uuid})",
            host=host.name,
            target=str(context.action.target),
            hint=f"rename or remove that domain, or take {context.action.target} out of the specs",
        )
    check_nowhere_else(context, mark.vm, step.config.uuid)
    context.ledger.record_placement(
        mark.vm,
        host.name,
        mark.epoch,
        context.clock.now(),
        ran=False,
        came_from=step.came_from,
        autostart=step.config.autostart,
    )
    context.ledger.doom_volumes(mark.vm, ())  # the VM is wanted again, and with it its disks
    context.settle(
        lambda: host.define_domain(step.config),
        lambda: _marked(host, step.config.uuid, mark),
        "the domain was defined and is not there",
    )


def redefine_domain(step: RedefineDomain, context: ActionContext, host: Hypervisor) -> None:
    """One call of libvirt: killed before or after, the next plan sees the old or the new configuration."""
    mark = _mark(step.config.mark, context)
    domain = own_domain(context, host, step.config.name, step.config.uuid)
    if domain.fingerprint != step.expect_fingerprint:
        raise context.refuse("the domain was changed since the plan was made")
    check_true_copy(context, domain.config)
    if step.config.autostart:
        context.ledger.note_autostart(mark.vm, autostart=True)

    def achieved() -> bool:
        found = find_domain(host, step.config.uuid)
        if found is None or not found.persistent or found.config.mark != mark or _runs_unmarked(found):
            return False
        # A running domain that somebody undefined becomes persistent again with the very XML that it had.
        is_new = found.fingerprint != step.expect_fingerprint or not domain.persistent
        return is_new or _runs_unmarked(domain)

    context.settle(lambda: host.define_domain(step.config), achieved, "the new configuration was taken and not kept")


def _runs_unmarked(domain: ObservedDomain) -> bool:
    """Whether the running domain does not say of itself what its definition says."""
    mark = domain.config.mark
    return domain.live is not None and mark is not None and not mark.is_like(domain.live.mark)


def set_autostart(step: SetAutostart, context: ActionContext, host: Hypervisor) -> None:
    """Setting it twice changes nothing."""
    own_domain(context, host, step.domain, step.uuid)
    if step.autostart:
        context.ledger.note_autostart(context.action.target.name, autostart=True)

    def achieved() -> bool:
        found = find_domain(host, step.uuid)
        return found is not None and found.config.autostart == step.autostart

    context.settle(
        lambda: host.set_autostart(step.uuid, autostart=step.autostart), achieved, "autostart does not stay as set"
    )
    context.ledger.note_autostart(context.action.target.name, autostart=step.autostart)


def grow_disk(step: GrowDisk, context: ActionContext, host: Hypervisor) -> None:
    """Growing to the same capacity twice changes nothing, so a lost reply needs no look."""
    domain = own_domain(context, host, step.domain, step.uuid)
    if domain.live is None or all(disk.path != step.path for disk in domain.live.disks):
        raise context.refuse(f"domain {step.domain} does not run with {step.path} any more")
    context.patiently(lambda: host.grow_disk(step.uuid, step.path, step.capacity))


def undefine_domain(step: UndefineDomain, context: ActionContext, host: Hypervisor) -> None:
    """What is to be deleted with the domain is written down first: killed in between, no mark would tell any more.

    The placement is forgotten last: until then it names a host that has no copy, which is harmless.
    """
    check_still_removed(context)
    domain = find_domain(host, step.uuid)
    if domain is not None:
        check_ownership(context, domain)
        if domain.active:
            raise context.refuse(f"domain {step.domain} runs again")
        # Not where it is gone already, nor for an old copy: a deletion that was accepted of the true one stands.
        if not _is_old(context, host):
            context.ledger.doom_volumes(context.action.target.name, _doomed(context))
            _bury(step, context, host)
        context.settle(
            lambda: host.undefine_domain(step.uuid, keep_nvram=step.keep_nvram),
            lambda: find_domain(host, step.uuid) is None,
            "the domain is still defined",
        )
    # A stale copy may be what was removed here: the placement of the true one elsewhere stays.
    context.ledger.forget_placement(context.action.target.name, host.name)


def _bury(step: UndefineDomain, context: ActionContext, host: Hypervisor) -> None:
    """Without the domain nothing tells any more how long what was the VM's is to be kept."""
    keeps = step.keeps
    if keeps is None or not keeps.volumes:
        return
    now = instant_of(context.clock)
    context.ledger.bury(
        Tombstone(
            vm=context.action.target.name,
            kind="removed",
            since=now.wall,
            expires_at=now.wall + keeps.retention,
            host=host.name,
            volumes=keeps.volumes,
            uuid=step.uuid,
            macs=keeps.macs,
            nvram=keeps.nvram,
        ),
        now,
    )


def _is_old(context: ActionContext, host: Hypervisor) -> bool:
    """Whether the true copy is, or was when it was removed, another one."""
    vm = context.action.target.name
    placement = context.ledger.placement(vm)
    return placement.host != host.name if placement is not None else context.ledger.removed(vm) is not None


def _doomed(context: ActionContext) -> list[DoomedVolume]:
    """What goes with the domain; of a disk also what the VM left of it on hosts that it was moved away from."""
    vm = context.action.target.name
    known = [left for left in context.ledger.view().left_behind if left.vm == vm]
    found = []
    for follower in context.followers:
        if isinstance(follower.step, DeleteVolume):
            pool, volume = follower.step.pool, follower.step.volume
            found.append(DoomedVolume(vm, pool, volume, follower.host or ""))
            found += [left for left in known if (left.pool, left.volume) == (pool, volume)]
    return found


def _mark(mark: OwnershipMark | None, context: ActionContext) -> OwnershipMark:
    if mark is None or mark.fleet != context.fleet_name:
        raise context.refuse("the planned configuration does not carry this fleet's mark")
    return mark


def _marked(host: Hypervisor, uuid: str, mark: OwnershipMark) -> bool:
    found = find_domain(host, uuid)
    return found is not None and found.config.mark == mark
