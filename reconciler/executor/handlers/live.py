"""Changes of running guests."""

from __future__ import annotations

from typing import Final

from reconciler.errors import HostTimeout, TransientHostError
from reconciler.executor.backoff import growing_delays
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.preconditions import check_true_copy, find_domain, own_domain
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.domain import DiskConfig
from reconciler.model.live_edit import EjectSeed, LiveEdit, SetMemory, SetVcpus, Unplug, is_done
from reconciler.model.quantities import format_size
from reconciler.model.steps import EditLive

_GUEST_SECONDS: Final = 20.0
"""How long a guest may take to give up what it is asked for."""


def edit_live(step: EditLive, context: ActionContext, host: Hypervisor) -> None:
    """Killed before or after: the next plan sees what the guest has. Nothing is asked for that is there already."""
    domain = own_domain(context, host, step.domain, step.uuid)
    check_true_copy(context, domain.config)
    if domain.live is None:
        raise context.refuse("the guest does not run any more")
    if is_done(domain.live, step.edit):
        return
    try:
        context.patiently(lambda: host.edit_live(step.uuid, step.edit))
    except HostTimeout:
        if not _is_done(step, host):
            raise
        return
    _await_guest(step, context, host)


def _await_guest(step: EditLive, context: ActionContext, host: Hypervisor) -> None:
    """Raise TransientHostError if the guest has not followed in time: it may be busy booting, or refuse for good."""
    deadline = context.clock.monotonic() + _GUEST_SECONDS
    for delay in growing_delays(0.1, 2.0):
        if _is_done(step, host):
            return
        if context.clock.monotonic() + delay > deadline:
            break
        if context.clock.wait(context.stop, delay):
            raise HandedBack
    raise TransientHostError(
        f"the guest has not {_wish(step.edit)} within {_GUEST_SECONDS:g} s",
        host=host.name,
        target=str(context.action.target),
        hint="one that is booting is asked again; else look whether it has the driver and can spare it;"
        " a restart does it in any case",
    )


def _is_done(step: EditLive, host: Hypervisor) -> bool:
    domain = find_domain(host, step.uuid)
    return domain is not None and (domain.live is None or is_done(domain.live, step.edit))


def _wish(edit: LiveEdit) -> str:
    match edit:
        case SetMemory():
            return f"gone to {format_size(edit.memory)} of memory"
        case SetVcpus():
            return f"gone to {edit.vcpus} CPU{'s' if edit.vcpus > 1 else ''}"
        case Unplug():
            device = edit.device
            return f"let go of {f'disk {device.target}' if isinstance(device, DiskConfig) else f'card {device.mac}'}"
        case EjectSeed():
            return f"let go of its cloud-init seed, disk {edit.seed.target}"
        case _:
            return "come to what was set"
