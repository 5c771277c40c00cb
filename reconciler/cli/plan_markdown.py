"""A plan as a comment on a pull request: the verdict, a table, the details folded away."""

from __future__ import annotations

from reconciler.cli.plan_groups import SIGNS, by_object
from reconciler.cli.plan_lines import worth_telling
from reconciler.cli.render_plan import PlanPage, of_its_vms, render_plan, summary_line
from reconciler.cli.render_unmet import unmet_text
from reconciler.cli.step_words import chain
from reconciler.cli.tables import markdown_cell
from reconciler.cli.terminal import Terminal
from reconciler.cli.words import names

_PLAIN = Terminal()


def plan_markdown(page: PlanPage) -> str:
    """GitHub and GitLab flavoured Markdown."""
    plan = page.plan
    lines = [f"### {summary_line(plan, _PLAIN)}", ""]
    if plan.actions:
        lines += ["| | object | host | why | disruption | what |", "| --- | --- | --- | --- | --- | --- |"]
        lines += [
            _row(
                f"`{SIGNS[change.sign]}`",
                f"`{change.target}`",
                names(change.hosts) or "-",
                change.why,
                change.disruption if change.disruption in {"none", "live"} else f"**{change.disruption}**",
                "<br>".join(
                    [
                        markdown_cell(chain(change.actions, page.images)),
                        *(
                            markdown_cell(f"{field.field}: {field.old} → {field.new} ({field.disruption})")
                            for field in worth_telling(change.changes)
                        ),
                    ]
                ),
            )
            for change in by_object(plan)
        ]
        lines.append("")
    if plan.unmet:
        lines += ["| not met | | reason | |", "| --- | --- | --- | --- |"]
        lines += [
            _row(f"`{item.target}`", item.severity, item.reason, markdown_cell(unmet_text(item))) for item in plan.unmet
        ]
        lines.append("")
    lines += [
        f"> **`{host.name}`** is {markdown_cell(page.dead[host.name])}.\n"
        if host.name in page.dead
        else f"> **`{host.name}` could not be seen:** {markdown_cell(host.error)}: {of_its_vms(page, host.name)}.\n"
        for host in page.unread
    ]
    text = render_plan(page, _PLAIN, detail="verbose").rstrip()
    lines += ["<details><summary>Every action</summary>", "", "````text", text, "````", "", "</details>"]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
