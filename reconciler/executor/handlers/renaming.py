"""A VM that has another name in the specs gets it on its host too."""

from __future__ import annotations

from reconciler.errors import ObjectConflict
from reconciler.executor.context import ActionContext
from reconciler.executor.preconditions import check_nowhere_else, check_ownership, check_true_copy, find_domain
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.inventory import ObservedDomain
from reconciler.model.steps import RenameDomain


def rename_domain(step: RenameDomain, context: ActionContext, host: Hypervisor) -> None:
    """Killed after any of the three, the next plan goes on: the UUID and the mark tell which VM it is."""
    mark, old = step.config.mark, context.action.target.name
    if mark is None or mark.fleet != context.fleet_name:
        raise context.refuse("the planned configuration does not carry this fleet's mark")
    domain = find_domain(host, step.config.uuid)
    if domain is None:
        raise context.refuse(f"domain {step.domain} is gone")
    check_ownership(context, domain)
    if domain.config.mark != mark:
        if domain.config.mark is None or domain.config.mark.vm != old:
            raise context.refuse(f"domain {domain.name} is another VM by now")
        check_true_copy(context, domain.config)
        if domain.name != step.config.name:
            _rename(step, context, host, domain)
        context.settle(
            lambda: host.define_domain(step.config),
            lambda: _is_marked(step, host),
            "the mark was taken and not kept",
        )
    context.ledger.rename_vm(old, mark.vm, host.name)


def _rename(step: RenameDomain, context: ActionContext, host: Hypervisor, domain: ObservedDomain) -> None:
    new = step.config.name
    if domain.active:
        raise context.refuse(f"domain {domain.name} runs again")
    if domain.name != step.domain or domain.fingerprint != step.expect_fingerprint:
        raise context.refuse("the domain was changed since the plan was made")
    named = host.domain_by_name(new)
    if named is not None:
        raise ObjectConflict(
            f"another domain has the name {new} (uuid {named.uuid})",
            host=host.name,
            target=str(context.action.target),
            hint=f"rename or remove that domain, or give VirtualMachine/{new} another name in the specs",
        )
    check_nowhere_else(context, step.domain, step.config.uuid)

    def achieved() -> bool:
        found = find_domain(host, step.config.uuid)
        return found is not None and found.name == new

    context.settle(lambda: host.rename_domain(step.config.uuid, new), achieved, "the domain has its old name still")


def _is_marked(step: RenameDomain, host: Hypervisor) -> bool:
    found = find_domain(host, step.config.uuid)
    return found is not None and found.config.mark == step.config.mark
