"""Fence agents of the specs that the controller's configuration does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.desired_state import DesiredState, SourceRef, SpecProblem
from reconciler.model.resource import ObjectRef


def unlisted_agents(desired: DesiredState, allowed: tuple[str, ...]) -> Iterator[SpecProblem]:
    """A warning, as whoever validates specs may have another configuration than the controller."""
    for host in desired.hosts.values():
        target = ObjectRef("Host", host.name)
        for index, level in enumerate(host.spec.fencing):
            if level.agent not in allowed:
                yield SpecProblem(
                    where=desired.sources.get(target, SourceRef("", 1)),
                    code="S050",
                    target=str(target),
                    field=f"spec.fencing[{index}].agent",
                    message=f"{level.agent} is not in ha.fenceAgents of the configuration ({', '.join(allowed)}), so"
                    " it is never run",
                    severity="warning",
                )
