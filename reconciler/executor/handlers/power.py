"""Domains on and off."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from reconciler.errors import HostError, HostRefused, HostTimeout, ObjectNotFound, TransientHostError
from reconciler.executor.backoff import growing_delays
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.preconditions import (
    check_ownership,
    check_runs_nowhere_else,
    check_true_copy,
    find_domain,
    own_domain,
)
from reconciler.hypervisor.interface import Hypervisor
from reconciler.ledger.records import RAN_TWICE, LedgerEvent
from reconciler.model.domain import ACTIVE_STATES, DomainState
from reconciler.model.ledger import Failure
from reconciler.model.outcome import action_inputs
from reconciler.model.steps import MigrateDomain, RenameDomain, StartDomain, StopDomain

_ASK_AGAIN: Final = 10.0  # a guest that is still booting loses the first request


def start_domain(step: StartDomain, context: ActionContext, host: Hypervisor) -> None:
    """Killed before or after: the domain is off or on, and the next plan sees which."""
    domain = own_domain(context, host, step.domain, step.uuid)
    check_true_copy(context, domain.config)
    if step.resume:
        if domain.state == "running":
            return
        if not domain.active:
            raise context.refuse("the domain is off, so there is nothing to resume")
        context.settle(
            lambda: host.resume_domain(step.uuid),
            lambda: host.domain_state(step.uuid) == "running",
            "the guest is paused again",
        )
        return
    if not domain.active:
        check_runs_nowhere_else(context, step.uuid)
        _note_under_way(context)
        again_at = context.clock.now() if context.action.why == "ended" else None
        context.ledger.note_start(context.action.target.name, again_at=again_at)
        context.settle(
            lambda: host.start_domain(step.uuid),
            lambda: host.domain_state(step.uuid) in ACTIVE_STATES,
            "the guest was started and is off again",
        )


def _note_under_way(context: ActionContext) -> None:
    """On record as failed, with no attempt, until it is known to have succeeded.

    Killed before the guest was started, a VM that is run again only after a failure would else pass for one that ended.
    """
    vm = context.desired.vms.get(context.action.target.name)
    key = context.action.id
    if vm is not None and vm.spec.run_strategy == "RerunOnFailure" and context.ledger.failure(key) is None:
        inputs = action_inputs(context.action)
        context.ledger.record_failure(Failure(key, 0, "cut off", permanent=False, not_before=0.0, inputs=inputs))


def stop_domain(step: StopDomain, context: ActionContext, host: Hypervisor) -> None:
    """Killed while waiting: the guest goes on shutting down, and the next plan asks again or finds it off.

    That a start is to follow is written down first: the plan to restart is not made again for a guest that is off.
    """
    domain = find_domain(host, step.uuid)
    if domain is None or not domain.active:
        return
    check_ownership(context, domain)
    is_on_its_way = context.ledger.migration(context.action.target.name) is not None
    if is_on_its_way and not domain.is_half:
        raise context.refuse("it is on its way, and not half lost any more")
    context.ledger.forget_restarts(context.action.target.name)
    then = (StartDomain, RenameDomain, MigrateDomain)
    is_followed = any(isinstance(follower.step, then) for follower in context.followers)
    # Shut down because its host is emptied, it did not end: it is started once the host takes VMs again.
    if is_followed or is_on_its_way or context.action.why == "drain":
        context.ledger.note_restart(context.action.target.name)
    if _shut_down(step, context, host):
        return
    _check_asked(context, host, step.uuid)
    if not step.force:
        raise TransientHostError(
            f"the guest did not shut down within {step.timeout:g} s",
            host=host.name,
            target=str(context.action.target),
            hint=f"look at its console, or force it off: virsh destroy {step.domain}",
        )
    if not domain.is_half:
        _note_second_guest(step, context, host)
    context.settle(
        lambda: host.destroy_domain(step.uuid),
        lambda: not _is_active(host, step.uuid),
        "the guest was forced off and runs again",
    )


def _note_second_guest(step: StopDomain, context: ActionContext, host: Hypervisor) -> None:
    """Of two guests that ran at once both may have written to the disks: people have to know, for as long as it takes.

    Where the host of the true one is silent, that may have been so.
    """
    vm = context.action.target
    placement = context.ledger.placement(vm.name)
    if context.action.why != "host-lost" or placement is None or placement.host == host.name:
        return
    with suppress(HostError):
        if not _is_active(context.host_named(placement.host), step.uuid):
            return
    message = f"{vm} ran on {host.name} and on {placement.host} at once, so check its disks"
    context.ledger.record_event(LedgerEvent(context.clock.now(), "", str(vm), host.name, RAN_TWICE, message))


def _shut_down(step: StopDomain, context: ActionContext, host: Hypervisor) -> bool:
    """Ask, and wait until the guest is off (True) or the timeout has passed (False)."""
    begun = context.clock.monotonic()
    asked: float | None = None
    for delay in growing_delays(0.1, 2.0):
        waited = context.clock.monotonic() - begun
        if waited >= step.timeout:
            return False
        if asked is None or waited - asked >= _ASK_AGAIN:
            _ask(host, step.uuid)
            asked = waited
        if not _is_active(host, step.uuid):
            return True
        _check_asked(context, host, step.uuid)
        if context.clock.wait(context.stop, min(delay, max(0.0, step.timeout - waited))):
            raise HandedBack
    raise AssertionError("the delays never end")


def _check_asked(context: ActionContext, host: Hypervisor, uuid: str) -> None:
    """Raise PreconditionFailed if the newest plan has something else in mind for the guest, and that runs on."""
    if not context.is_asked() and _state(host, uuid) == "running":
        raise context.refuse("it is not to be shut down any more; if its guest goes off after all, it is run again")


def _ask(host: Hypervisor, uuid: str) -> None:
    # Asked in vain, or of a guest that is off by now: the state, which is read next, says which.
    with suppress(HostTimeout, HostRefused, ObjectNotFound):
        host.request_shutdown(uuid)


def _is_active(host: Hypervisor, uuid: str) -> bool:
    return _state(host, uuid) in ACTIVE_STATES


def _state(host: Hypervisor, uuid: str) -> DomainState:
    try:
        return host.domain_state(uuid)
    except ObjectNotFound:  # a transient domain is gone once it is off
        return "shutoff"
