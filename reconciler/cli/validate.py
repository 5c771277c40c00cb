"""`reconciler validate`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

from reconciler.cli.fence_agents import unlisted_agents
from reconciler.cli.invocation import Invocation
from reconciler.cli.problem_formats import FORMATS
from reconciler.cli.spec_errors import render_problems
from reconciler.cli.terminal import stderr_terminal, stdout_terminal
from reconciler.cli.words import count, revision
from reconciler.model.desired_state import DesiredState, SourceRef, SpecProblem
from reconciler.model.resource import ObjectRef


def run(invocation: Invocation, *, directory: Path | None, output_format: str, strict: bool) -> int:
    """Load the specs and print what is wrong with them; 1 where anything is, or for `strict`, might be."""
    settings = invocation.settings(directory)
    desired = invocation.doors().load_specs(
        settings.specs_directory(), settings.fleet, plain_secrets=settings.policy.plain_secrets
    )
    problems = (
        *desired.problems,
        *unlisted_agents(desired, settings.policy.ha.fence_agents),
        *_too_few_hosts(desired, settings.policy.host_failures_to_tolerate),
    )
    if output_format == "text":
        is_quiet = settings.verbosity < 0 and not strict
        shown = tuple(problem for problem in problems if problem.severity == "error" or not is_quiet)
        click.echo(render_problems(shown, colour=stdout_terminal().colour), nl=False)
    else:
        click.echo(FORMATS[output_format](problems), nl=False)
    invalid = any(strict or problem.severity == "error" for problem in problems)
    if not invalid and settings.verbosity >= 0:
        _tell(desired)
    return 1 if invalid else 0


def _too_few_hosts(desired: DesiredState, failures: int) -> Iterator[SpecProblem]:
    """VMs that the failures which the policy asks the fleet to bear could leave without any host."""
    if not failures:
        return
    for bound in import_module("reconciler.planner.failures").bound_vms(desired, failures):
        target = ObjectRef("VirtualMachine", bound.vm)
        can = f"only {', '.join(bound.hosts)} can" if bound.hosts else "no host of the specs can"
        yield SpecProblem(
            where=desired.sources.get(target, SourceRef("", 1)),
            code="S047",
            target=str(target),
            field="spec.placement",
            message=f"{can} run it, and {failures} host failure{'s' if failures > 1 else ''} must be borne"
            " (hostFailuresToTolerate); allow it more hosts",
            severity="warning",
        )


def _tell(desired: DesiredState) -> None:
    terminal = stderr_terminal()
    things = (
        (len(desired.hosts), "host"),
        (len(desired.pools), "pool"),
        (len(desired.networks), "network"),
        (len(desired.images), "image"),
        (len(desired.vms), "VM"),
    )
    counts = ", ".join(count(number, noun) for number, noun in things if number) or "no objects"
    sentence = f"✔ valid: {counts} · specs {revision(desired.generation)}"
    click.echo(terminal.paint(sentence, "good"), err=True)
