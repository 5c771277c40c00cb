"""What a plan may do to a domain that it takes over or renames: write a mark, or a name, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from reconciler.model.steps import AdoptDomain, RenameDomain, StopDomain
from reconciler.planner.plan_subject import Subject


def adoptions_change_nothing(subject: Subject) -> Iterator[str]:
    """Only the domain that the spec names is taken over, nobody's so far, and it stays as it is."""
    for action in subject.plan.actions:
        step = action.step
        if not isinstance(step, AdoptDomain):
            continue
        vm = subject.desired.vms.get(action.target.name)
        if vm is None or vm.metadata.adopt != step.config.uuid:
            yield f"{action.id} takes over {step.config.uuid}, which its spec does not name"
        domain = subject.domain(action.host, step.config.uuid)
        if domain is None:
            yield f"{action.id} takes over a domain that was not seen on {action.host}"
            continue
        if domain.config.mark is not None:
            yield f"{action.id} takes over {domain.name}, which is managed already"
        now, then = domain.config, step.config
        harmless = replace(
            now, mark=then.mark, title=then.title, description=then.description, autostart=then.autostart
        )
        if harmless != then:
            yield f"{action.id} would change {domain.name}, which it takes over"


def renames_change_the_name_alone(subject: Subject) -> Iterator[str]:
    """Only what the specs name otherwise, once it is off, and to a name that is free."""
    for action in subject.plan.actions:
        step = action.step
        if not isinstance(step, RenameDomain):
            continue
        mark, old = step.config.mark, action.target.name
        domain = subject.domain(action.host, step.config.uuid)
        if mark is None or subject.desired.to_rename.get(old) != mark.vm or step.config.name != mark.vm:
            yield f"{action.id} gives {old} a name that its spec does not have"
        if domain is None or domain.config.mark is None or domain.config.mark.vm != old:
            yield f"{action.id} renames {step.domain}, which is not {action.target}"
            continue
        if replace(domain.config, name=step.config.name, mark=mark) != step.config:
            yield f"{action.id} would change {domain.name}, which it renames"
        before = (subject.by_id[each].step for each in subject.comes_before(action))
        is_off = not domain.active or any(isinstance(each, StopDomain) and each.uuid == domain.uuid for each in before)
        if domain.name != step.config.name and (not is_off or step.config.name in subject.known_at):
            yield f"{action.id} renames {domain.name}, which runs, or to a name that is taken"
