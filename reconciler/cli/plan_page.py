"""The plan of a look, in whatever form was asked for."""

from __future__ import annotations

from reconciler.cli.command_line import CommandLine
from reconciler.cli.dead_hosts import dead_hosts
from reconciler.cli.plan_json import plan_json
from reconciler.cli.plan_lines import Detail
from reconciler.cli.plan_markdown import plan_markdown
from reconciler.cli.render_drain import is_empty
from reconciler.cli.render_plan import PlanPage, render_plan
from reconciler.cli.step_words import disk_images
from reconciler.cli.tables import json_text
from reconciler.cli.terminal import stdout_terminal
from reconciler.daemon.view import View


def page_of(view: View, commands: CommandLine) -> PlanPage:
    """What the plan's text is made from."""
    unread = tuple(view.inventory.unread[name] for name in sorted(view.inventory.unread))
    return PlanPage(
        plan=view.plan,
        at=view.at,
        images=disk_images(view.desired),
        unread=unread,
        commands=commands,
        is_held="fleet" in view.ledger.paused,
        dead=dead_hosts(view.ledger, view.inventory.unread),
        emptied=frozenset(name for name in view.inventory.unread if is_empty(view, name)),
    )


def plan_text(view: View, commands: CommandLine, *, json: bool, markdown: bool, detail: Detail) -> str:
    """One text, ending in a line end."""
    if json:
        return json_text(plan_json(view.plan, view.inventory.unread))
    if markdown:
        return plan_markdown(page_of(view, commands))
    return render_plan(page_of(view, commands), stdout_terminal(), detail=detail)
