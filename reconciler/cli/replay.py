"""`reconciler simulate --replay`: a pass of the past is planned again, from the input that it had."""

from __future__ import annotations

from collections.abc import Iterator

import click

from reconciler import __version__
from reconciler.cli.command_line import command_line
from reconciler.cli.dead_hosts import dead_hosts
from reconciler.cli.invocation import Invocation
from reconciler.cli.render_plan import PlanPage, render_plan
from reconciler.cli.step_words import disk_images
from reconciler.cli.terminal import stdout_terminal
from reconciler.cli.words import moment, revision
from reconciler.daemon.pass_codec import PassInput, plan_digest
from reconciler.daemon.pass_inputs import PassArchive
from reconciler.model.plan import Plan
from reconciler.planner.soundness import sound_plan
from reconciler.planner.world import make_world

SAME = 0
DIFFERENT = 1


def replay(invocation: Invocation, pass_id_or_file: str) -> int:
    """Plan that pass again and print the plan; 0 where it is the same one byte for byte, 1 where it is not.

    No host is asked and nothing is written. Raises UsageError for a pass that is not kept or can't be read.
    """
    kept = PassArchive(invocation.settings().state_dir).load(pass_id_or_file)
    plan = sound_plan(make_world(kept.desired, kept.inventory, kept.ledger, kept.policy, kept.at))
    unread = tuple(kept.inventory.unread[name] for name in sorted(kept.inventory.unread))
    page = PlanPage(
        plan=plan,
        at=kept.at,
        images=disk_images(kept.desired),
        unread=unread,
        commands=command_line(invocation),
        dead=dead_hosts(kept.ledger, kept.inventory.unread),
    )
    click.echo(render_plan(page, stdout_terminal(), detail="verbose"), nl=False)
    click.echo(
        f"pass {kept.pass_id} of {moment(kept.at)} · specs {revision(kept.desired.generation)}"
        f" · reconciler {kept.program}",
        err=True,
    )
    if plan_digest(plan) == kept.digest:
        click.echo(f"planned again: the same plan, {plan.fingerprint}", err=True)
        return SAME
    click.echo("\n".join(_differences(kept, plan)), err=True)
    return DIFFERENT


def _differences(kept: PassInput, plan: Plan) -> Iterator[str]:
    """What another decision consists of, in ids and reasons: more of the former plan is not kept."""
    yield f"planned again: another plan, {plan.fingerprint} where it was {kept.fingerprint}"
    if kept.program != __version__:
        yield f"  it was made by reconciler {kept.program}, this is {__version__}"
    actions = tuple(action.id for action in plan.actions)
    unmet = tuple((str(item.target), item.reason) for item in plan.unmet)
    sides = (
        ("only then", [item for item in kept.actions if item not in set(actions)]),
        ("only now", [item for item in actions if item not in set(kept.actions)]),
        ("waited only then", [": ".join(item) for item in kept.unmet if item not in set(unmet)]),
        ("waits only now", [": ".join(item) for item in unmet if item not in set(kept.unmet)]),
    )
    for label, items in sides:
        yield from (f"  {label}: {item}" for item in items)
    if not any(items for _label, items in sides):
        yield "  the same actions and reasons, but in another order or with other content"
