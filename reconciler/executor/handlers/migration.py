"""A VM from one host to another: begun once, followed to its end, and settled by what both hosts say."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from reconciler.errors import HostError, ObjectConflict, PermanentHostError, PreconditionFailed, TransientHostError
from reconciler.executor.context import ActionContext
from reconciler.executor.handlers.migration_disks import check_disks, drop_disks, make_disks
from reconciler.executor.handlers.migration_end import end_of
from reconciler.executor.handlers.migration_watch import Watch
from reconciler.executor.handlers.migration_words import WhyStayed, how_it_went, why_stayed
from reconciler.executor.preconditions import check_ownership, find_domain
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.ledger import Migration
from reconciler.model.steps import MigrateDomain
from reconciler.planner import cold_moves


def migrate_domain(step: MigrateDomain, context: ActionContext) -> str:
    """Killed at any point: the migration is on record, goes on without us, and is found by the next plan.

    Returns what it took, for people. Raises TransientHostError where the VM stayed, or where that can't be told yet.
    """
    move = _on_record(step, context)
    call, failure = None, None
    if move is None:
        _check_may_go(step, context)
        make_disks(step, context)
        _leave_it_off(step, context)
        move = Migration(context.action.target.name, context.clock.now(), step, context.action.why)
        context.ledger.begin_migration(move)
        try:
            call = context.host_named(step.source).begin_migration(step)
        except HostError as error:
            failure = error  # asked in vain, or not: that there is a job, or none, tells
    watch = Watch(move, context, call)
    watch.follow()
    return _settle(move, context, watch, failure or watch.error)


def _on_record(step: MigrateDomain, context: ActionContext) -> Migration | None:
    """The migration to follow; None where one is to begin."""
    move = context.ledger.migration(context.action.target.name)
    if step.begun:
        if move is None or replace(move.step, begun=True) != step:
            raise context.refuse("that migration is over")
        return move
    if move is not None:
        raise context.refuse(f"it is on its way from {move.source} to {move.target} already")
    return None


def _check_may_go(step: MigrateDomain, context: ActionContext) -> None:
    source, target = context.host_named(step.source), context.host_named(step.target)
    domain = find_domain(source, step.uuid)
    if domain is None:
        raise _moved(step, f"it is not on {step.source} any more")
    check_ownership(context, domain)
    mark, placement = domain.config.mark, context.ledger.placement(context.action.target.name)
    if domain.state != ("shutoff" if step.cold else "running") or not domain.persistent:
        wanted = "is not off" if step.cold else "does not run"
        raise _moved(step, f"it {wanted} on {step.source} as it should")
    if (
        placement is None
        or placement.host != step.source
        or max(placement.epoch, mark.epoch if mark else 0) >= step.epoch
    ):
        raise _moved(step, "it was placed anew")
    if source.migration_job(step.uuid) is not None:
        raise _moved(step, "somebody else is moving it")
    _check_room_for_name(step, target)
    check_disks(step, context)


def _leave_it_off(step: MigrateDomain, context: ActionContext) -> None:
    """What a source that loses its power at the switch-over has left of it is not run when that is back."""
    source = context.host_named(step.source)
    domain = find_domain(source, step.uuid)
    if domain is not None and domain.config.autostart:
        context.settle(
            lambda: source.set_autostart(step.uuid, autostart=False),
            lambda: (found := find_domain(source, step.uuid)) is not None and not found.config.autostart,
            "autostart does not stay as set",
        )
        context.ledger.note_autostart(context.action.target.name, autostart=False)


def _check_room_for_name(step: MigrateDomain, target: Hypervisor) -> None:
    there = find_domain(target, step.uuid) or target.domain_by_name(step.domain)
    if there is not None:
        raise ObjectConflict(
            f"domain {there.name} (uuid {there.uuid}) is there already",
            host=step.target,
            target=f"VirtualMachine/{step.domain}",
            hint="plan again; if it is not this fleet's, rename or remove it",
        )


def _moved(step: MigrateDomain, why: str) -> PreconditionFailed:
    return PreconditionFailed(f"VirtualMachine/{step.domain} is not moved to {step.target}: {why}", hint="plan again")


# -- the end -----------------------------------------------------------------------------------------------------------
def _settle(move: Migration, context: ActionContext, watch: Watch, failure: HostError | None) -> str:
    """Have the ledger say where the VM is, once both hosts do; what either can't say stays on record."""
    step = move.step
    is_over = watch.is_answered or cold_moves.is_over(move, context.clock.now())
    where, is_target_unseen = end_of(step, context, is_over=is_over)
    if where == "arrived":
        went, is_to_run_again = _how_it_went(move, context, watch), _is_to_run_again(step, context)
        context.ledger.note_arrived(move, context.clock.now())
        if is_to_run_again:
            context.ledger.note_restart(move.vm)
        return went
    if where == "stayed":
        outran_at = context.clock.now() if watch.verdict and step.rules.fallback == "cold" else None
        context.ledger.note_stayed(move, is_target_unseen=is_target_unseen, outran_at=outran_at)
        if not is_target_unseen:
            drop_disks(step, context)
        why = WhyStayed(watch.verdict, watch.hint) if watch.verdict else why_stayed(step, failure)
        is_refused = isinstance(failure, PermanentHostError) and not watch.verdict
        error = PermanentHostError if is_refused else TransientHostError
        raise error(
            f"it stays on {step.source}: {why.reason}",
            host=step.target,
            target=str(context.action.target),
            hint=why.hint,
        )
    if where == "gone":
        context.ledger.note_stayed(move)
        raise TransientHostError(
            f"it is neither on {step.source} nor on {step.target} any more: somebody moved it on, or undefined it",
            host=step.target,
            target=str(context.action.target),
        )
    if where == "broken":
        raise TransientHostError(
            f"its post-copy was cut: some of its memory is on {step.source}, some on {step.target}",
            host=step.target,
            target=str(context.action.target),
            hint="it goes on once they reach one another; to give up what it had not written to its disks:"
            f" virsh destroy {step.domain}, on both; then it is started again",
        )
    if where == "twice":
        raise TransientHostError(
            f"it runs on {step.source} and on {step.target}: libvirt had it run on at its source too",
            host=step.target,
            target=str(context.action.target),
            hint=f"see which of them is to stay; on the other host: virsh destroy {step.domain}, then virsh undefine"
            f" --keep-nvram {step.domain}",
        )
    raise TransientHostError(
        f"whether it is on {step.source} or on {step.target} is not certain yet"
        + (f" ({failure.message})" if failure else ""),
        host=step.target,
        target=str(context.action.target),
        hint=f"look at both: virsh list --all on {step.source} and on {step.target}",
    )


def _is_to_run_again(step: MigrateDomain, context: ActionContext) -> bool:
    """Whether we ended what was left of a guest that was cut in two: then it has not ended by itself."""
    placement = context.ledger.placement(context.action.target.name)
    if step.cold or placement is None or placement.ran:
        return False
    with suppress(HostError):
        found = find_domain(context.host_named(step.target), step.uuid)
        return found is not None and not found.active
    return False


def _how_it_went(move: Migration, context: ActionContext, watch: Watch) -> str:
    """Empty where its guest did not come through: what was left of it was ended."""
    job, step, is_seen = None, move.step, False
    with suppress(HostError):
        target = context.host_named(move.target)
        job = None if step.cold else target.finished_migration(step.uuid)
        found = find_domain(target, step.uuid)
        is_seen = found is not None and found.active
    if job is None and not is_seen:
        return ""
    return how_it_went(step, job, context.clock.now() - move.since, is_switched=watch.is_switched)
