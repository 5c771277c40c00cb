"""Taking over what is there."""

from __future__ import annotations

from reconciler.executor.context import ActionContext
from reconciler.executor.preconditions import check_nowhere_else, check_ownership, find_domain
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.steps import AdoptDomain


def adopt_domain(step: AdoptDomain, context: ActionContext, host: Hypervisor) -> None:
    """The placement is recorded first; killed before the mark is written, the next plan adopts the domain again.

    One call of libvirt writes the mark: into the definition, and into the running domain beside it.
    """
    mark = step.config.mark
    if mark is None or mark.fleet != context.fleet_name:
        raise context.refuse("the planned configuration does not carry this fleet's mark")
    domain = find_domain(host, step.config.uuid)
    if domain is None or domain.name != step.config.name:
        raise context.refuse(f"domain {step.config.name} ({step.config.uuid}) is gone")
    if domain.config.mark is not None:
        check_ownership(context, domain)
    is_done = domain.config.mark == mark
    if not is_done and (domain.config.mark is not None or domain.fingerprint != step.expect_fingerprint):
        raise context.refuse("the domain was changed since the plan was made")
    check_nowhere_else(context, mark.vm, step.config.uuid)
    context.ledger.record_placement(
        mark.vm, host.name, mark.epoch, context.clock.now(), autostart=step.config.autostart
    )
    context.ledger.doom_volumes(mark.vm, ())
    context.ledger.finish_restore(None, {(mark.vm, disk): volume for disk, volume in step.volumes})
    if is_done:
        return

    def achieved() -> bool:
        found = find_domain(host, step.config.uuid)
        return found is not None and found.config.mark == mark

    context.settle(lambda: host.define_domain(step.config), achieved, "the mark was taken and not kept")
