"""A plan as text: one line an object, its changed fields under it, what waits and why, what could not be seen, counts.

The first character of a line says what it is: `+` create, `~` change, `-` destroy, `→` move, `!` not met and
not served now, `·` for information, `?` not seen; what belongs to the line above begins with spaces. The words before
the free text are columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.cli.command_line import BARE, CommandLine
from reconciler.cli.dead_hosts import POWER_IT_ON
from reconciler.cli.plan_groups import SIGNS, ObjectChange, by_object
from reconciler.cli.plan_lines import (
    DISRUPTION_STYLE,
    INDENT,
    Detail,
    column_widths,
    field_lines,
    hint_lines,
    padded,
    with_text,
    worth_telling,
)
from reconciler.cli.render_unmet import unmet_lines
from reconciler.cli.step_words import DiskImages, chain, phrase
from reconciler.cli.terminal import Style, Terminal
from reconciler.cli.words import age, count, names, revision
from reconciler.model.inventory import UnreadHost
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import FieldChange, Plan, Sign, Unmet, WantedApproval
from reconciler.model.resource import ObjectRef
from reconciler.planner.drain_status import NONE_THERE

_SIGN_STYLE: Final[dict[Sign, Style]] = {"create": "good", "change": "warn", "destroy": "bad", "move": "moved"}


class PlanPage(Struct, frozen=True):
    """A plan and what is needed to explain it; `at` is the wall time of the look in seconds."""

    plan: Plan
    at: float
    images: DiskImages
    unread: tuple[UnreadHost, ...] = ()
    commands: CommandLine = BARE
    dead: Mapping[str, str] = {}
    """By host that is proven dead: what became of its VMs."""
    emptied: frozenset[str] = frozenset()
    """Hosts in maintenance that no VM is placed on."""
    is_held: bool = False
    """Whether the fleet as a whole is paused."""


def render_plan(page: PlanPage, terminal: Terminal, *, detail: Detail = "normal") -> str:
    """The whole text, ending in a line of counts; no line ends in spaces."""
    changes = by_object(page.plan)
    told = {(change.target, field) for change in changes for field in change.changes}
    blocks = [
        _change_lines(changes, page.images, terminal, detail),
        unmet_lines([_less(item, told) for item in page.plan.unmet], terminal, detail, page.commands),
        _unseen_lines(page, terminal, detail),
    ]
    if detail == "verbose":
        blocks.append(_action_lines(page, terminal))
    if page.plan.wanted_approvals and detail != "short":
        blocks.append(_approval_lines(page.plan, terminal))
    if page.is_held:
        blocks.append(_held_lines(page, terminal))
    blocks.append([summary_line(page.plan, terminal)])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


# -- changes -----------------------------------------------------------------------------------------------------------


def _change_lines(changes: Sequence[ObjectChange], images: DiskImages, terminal: Terminal, detail: Detail) -> list[str]:
    rows = [(str(change.target), names(change.hosts) or "-", change.why, change.disruption) for change in changes]
    widths = column_widths(rows)
    lines: list[str] = []
    for change, row in zip(changes, rows, strict=True):
        lines += _head(change, padded(row, widths), images, terminal, detail)
        if detail != "short" and (change.sign != "create" or detail == "verbose"):
            lines += field_lines(worth_telling(change.changes, detail), terminal)
    return lines


def _head(change: ObjectChange, cells: list[str], images: DiskImages, terminal: Terminal, detail: Detail) -> list[str]:
    sign_style = _SIGN_STYLE[change.sign]
    painted = [
        terminal.paint(SIGNS[change.sign], sign_style, "bold"),
        " ",
        terminal.paint(cells[0], "bold"),
        *cells[1:3],
        terminal.paint(cells[3], DISRUPTION_STYLE[change.disruption]),
    ]
    if detail == "short":
        return ["".join(painted).rstrip() if not terminal.colour else "".join(painted)]
    return with_text(painted, 2 + sum(map(len, cells)), chain(change.actions, images), terminal)


def _less(item: Unmet, told: set[tuple[ObjectRef, FieldChange]]) -> Unmet:
    """Without the fields that the object's change has told already: what is staged also waits for its restart."""
    return replace(item, changes=tuple(field for field in item.changes if (item.target, field) not in told))


def _unseen_lines(page: PlanPage, terminal: Terminal, detail: Detail) -> list[str]:
    lines: list[str] = []
    for host in sorted(page.unread, key=lambda item: item.name):
        seen = f" (last seen {age(page.at - host.last_seen)} ago)" if host.last_seen is not None else ""
        unknown = f"could not be seen{seen}: {host.error}: {of_its_vms(page, host.name)}"
        text = page.dead.get(host.name, unknown)
        hint = POWER_IT_ON if host.name in page.dead else host.hint
        head = f"Host/{host.name}  "
        painted = [terminal.paint("?", "warn", "bold"), " ", terminal.paint(head, "bold")]
        lines += with_text(painted, 2 + len(head), text, terminal)
        if hint and detail != "short" and host.name not in page.emptied:
            lines += hint_lines(hint, terminal, page.commands)
    return lines


def of_its_vms(page: PlanPage, host: str) -> str:
    """What is known of the VMs on a host that could not be seen."""
    return NONE_THERE if host in page.emptied else "its VMs are unknown, not absent"


def _approval_lines(plan: Plan, terminal: Terminal) -> list[str]:
    """What to commit, ready to be copied."""
    head = terminal.paint("What waits for approval goes on once the specs have this, whatever its name:", "bold")
    return [head, *(f"{INDENT}{line}" for line in approval_document(plan))]


def approval_document(plan: Plan) -> list[str]:
    """Lines of YAML: an Approval of all that waits for one."""
    return [
        "apiVersion: reconciler/v1",
        "kind: Approval",
        f"metadata: {{name: approval-{plan.wanted_approvals[0].fingerprint[:6]}}}",
        "spec:",
        "  fingerprints:",
        *(f'    - "{each.fingerprint}"  # {_told(each)}' for each in plan.wanted_approvals),
    ]


def _told(wanted: WantedApproval) -> str:
    return f"{wanted.target}: {wanted.what} ({wanted.disruption})"


def _held_lines(page: PlanPage, terminal: Terminal) -> list[str]:
    mark = terminal.paint("!", "warn", "bold")
    told = f"{mark} the fleet is paused: nothing is changed, and nobody is fenced"
    return [told, *hint_lines(NextCommand("resume"), terminal, page.commands)]


# -- every action, and the end -----------------------------------------------------------------------------------------


def _action_lines(page: PlanPage, terminal: Terminal) -> list[str]:
    plan = page.plan
    if not plan.actions:
        return []
    number = {action.id: index for index, action in enumerate(plan.actions, 1)}
    lines = [terminal.paint("In this order, each as soon as those it comes after are done:", "bold")]
    rows = [
        (str(number[action.id]), action.id, action.kind, str(action.target), action.host or "controller")
        for action in plan.actions
    ]
    widths = column_widths(rows)
    for action, row in zip(plan.actions, rows, strict=True):
        cells = [f"{row[0]:>{widths[0]}}  ", *padded(row[1:], widths[1:])]
        after = ",".join(str(number[name]) for name in action.after if name in number)
        text = action.detail or phrase(action, page.images)
        painted = [INDENT[:2], *cells, text, terminal.paint(f"  after {after}", "dim") if after else ""]
        lines.append("".join(painted).rstrip())
    return lines


def summary_line(plan: Plan, terminal: Terminal) -> str:
    """`Plan 7f3c9: 1 change, 1 waiting, 0 destroy · worst: reboot · 41 unchanged`."""
    parts = [", ".join(_counts(plan))]
    if plan.actions:
        parts.append(f"worst: {terminal.paint(plan.worst, DISRUPTION_STYLE[plan.worst])}")
    parts.append(f"{plan.summary.unchanged} unchanged")
    if plan.unseen:
        parts.append(terminal.paint(f"{count(len(plan.unseen), 'host')} not seen", "warn"))
    if plan.generation:
        parts.append(f"specs {revision(plan.generation)}")
    return f"{terminal.paint(f'Plan {plan.fingerprint[:7]}', 'bold')}: {' · '.join(parts)}"


def _counts(plan: Plan) -> list[str]:
    summary = plan.summary
    if not plan.actions and not plan.unmet:
        return ["no change" if not plan.unseen else "no change on the hosts that could be seen"]
    counts = (
        (summary.create, "create"),
        (summary.change, "change"),
        (summary.move, "move"),
        (summary.blocked, "blocked"),
        (summary.waiting, "waiting"),
        (summary.destroy, "destroy"),
    )
    # That nothing is destroyed is worth saying; that nothing is moved is not.
    return [f"{number} {word}" for number, word in counts if number or word == "destroy"]
