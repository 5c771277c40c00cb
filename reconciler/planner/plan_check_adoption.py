"""What a plan may do to a domain that it takes over: write a mark, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from reconciler.model.steps import AdoptDomain
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
