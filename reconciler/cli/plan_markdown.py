"""A plan as a comment on a pull request: the verdict, a table, the details folded away."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from reconciler.cli.plan_groups import SIGNS, by_object
from reconciler.cli.plan_lines import worth_telling
from reconciler.cli.render_plan import PlanPage, approval_document, of_its_vms, render_plan, summary_line
from reconciler.cli.render_unmet import unmet_text
from reconciler.cli.step_words import chain
from reconciler.cli.tables import markdown_cell
from reconciler.cli.terminal import Terminal
from reconciler.cli.words import count, names

_PLAIN = Terminal()
_ROOM_OF_A_TABLE: Final = 15_000
_ROOM: Final = 60_000
"""Characters; a comment on GitHub has 65,536 at the most, one on GitLab more."""
_BACKTICKS: Final = re.compile("`+")


def plan_markdown(page: PlanPage) -> str:
    """GitHub and GitLab flavoured Markdown that fits into one comment; what has to be left out is counted."""
    plan = page.plan
    lines = [f"### {summary_line(plan, _PLAIN)}", ""]
    if plan.actions:
        lines += ["| | object | host | why | disruption | what |", "| --- | --- | --- | --- | --- | --- |"]
        lines += _fitting(
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
        )
        lines.append("")
    if plan.unmet:
        lines += ["| not met | | reason | |", "| --- | --- | --- | --- |"]
        lines += _fitting(
            _row(f"`{item.target}`", item.severity, item.reason, markdown_cell(unmet_text(item))) for item in plan.unmet
        )
        lines.append("")
    lines += _fitting(
        f"> **`{host.name}`** is {markdown_cell(page.dead[host.name])}.\n"
        if host.name in page.dead
        else f"> **`{host.name}` could not be seen:** {markdown_cell(host.error)}: {of_its_vms(page, host.name)}.\n"
        for host in page.unread
    )
    if plan.wanted_approvals:
        lines += ["To approve, commit:", "", *_fenced(_fitting(approval_document(plan)), "yaml"), ""]
    text = render_plan(page, _PLAIN, detail="verbose").rstrip().splitlines()
    lines += _folded(_fitting(text, _ROOM - sum(len(line) + 1 for line in lines)))
    return "\n".join(lines) + "\n"


def _folded(text: list[str]) -> list[str]:
    """As it is printed."""
    return ["<details><summary>Every action</summary>", "", *_fenced(text, "text"), "", "</details>"]


def _fenced(text: list[str], language: str) -> list[str]:
    """In a fence that nothing in it can end."""
    longest = max((len(run) for line in text for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(4, longest + 1)
    return [f"{fence}{language}", *text, fence]


def _fitting(lines: Iterable[str], room: int = _ROOM_OF_A_TABLE) -> list[str]:
    """The first of `lines` that have room, in characters, and how many more there are."""
    every = list(lines)
    fit = sum(1 for size in accumulate(len(line) + 1 for line in every) if size <= room)
    left = len(every) - fit
    return every if not left else [*every[:fit], "", f"and {count(left, 'line')} more: `reconciler plan --verbose`"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
