"""A plan as text: one line an object, its changed fields under it, what waits and why, what could not be seen, counts.

The first character of a line says what it is: `+` create, `~` change, `-` destroy, `→` move, `!` not met and
not served now, `·` for information, `?` not seen; what belongs to the line above begins with spaces. The words before
the free text are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from reconciler.cli.plan_groups import SIGNS, ObjectChange, by_object, in_order
from reconciler.cli.step_words import DiskImages, chain, phrase
from reconciler.cli.terminal import Style, Terminal
from reconciler.cli.words import age, count, names, revision, wrapped
from reconciler.model.inventory import UnreadHost
from reconciler.model.plan import Disruption, FieldChange, Plan, Sign, Unmet
from reconciler.model.resource import ObjectRef

Detail = Literal["short", "normal", "verbose"]

INDENT: Final = "    "
_SIGN_STYLE: Final[dict[Sign, Style]] = {"create": "good", "change": "warn", "destroy": "bad", "move": "moved"}
_DISRUPTION_STYLE: Final[dict[Disruption, Style]] = {
    "none": "dim",
    "live": "dim",
    "migrate": "accent",
    "reboot": "warn",
    "rebuild": "bad",
    "destroy": "bad",
    "data-loss": "bad",
}
_SEVERITIES: Final = ("blocked", "waiting", "info")
_WIDEST_TARGET: Final = 48
_BOOKKEEPING: Final = "applied spec"
_NARROWEST_TEXT: Final = 36
_REASONS_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class PlanPage:
    """A plan and what is needed to explain it; `at` is the wall time of the look in seconds."""

    plan: Plan
    at: float
    images: DiskImages
    unread: tuple[UnreadHost, ...] = ()


def render_plan(page: PlanPage, terminal: Terminal, *, detail: Detail = "normal") -> str:
    """The whole text, ending in a line of counts; no line ends in spaces."""
    changes = by_object(page.plan)
    told = {(change.target, field) for change in changes for field in change.changes}
    blocks = [
        _change_lines(changes, page.images, terminal, detail),
        _unmet_lines([_less(item, told) for item in page.plan.unmet], terminal, detail),
        _unseen_lines(page, terminal, detail),
    ]
    if detail == "verbose":
        blocks.append(_action_lines(page, terminal))
    blocks.append([summary_line(page.plan, terminal)])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


# -- changes -----------------------------------------------------------------------------------------------------------


def _change_lines(changes: Sequence[ObjectChange], images: DiskImages, terminal: Terminal, detail: Detail) -> list[str]:
    rows = [(str(change.target), names(change.hosts) or "-", change.why, change.disruption) for change in changes]
    widths = _widths(rows)
    lines: list[str] = []
    for change, row in zip(changes, rows, strict=True):
        lines += _head(change, _cells(row, widths), images, terminal, detail)
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
        terminal.paint(cells[3], _DISRUPTION_STYLE[change.disruption]),
    ]
    if detail == "short":
        return ["".join(painted).rstrip() if not terminal.colour else "".join(painted)]
    return _with_text(painted, 2 + sum(map(len, cells)), chain(change.actions, images), terminal)


def _with_text(painted: list[str], width: int, text: str, terminal: Terminal) -> list[str]:
    """The line with its free text: wrapped in its column, or on lines of its own where that would be too narrow."""
    head = "".join(painted)
    if width + len(text) <= terminal.width:
        return [(head + text).rstrip()]
    if terminal.width - width < _NARROWEST_TEXT:
        return [head.rstrip(), *wrapped(text, terminal.width, INDENT)]
    first, *rest = wrapped(text, terminal.width, " " * width)
    return [head + first[width:], *rest]


def worth_telling(changes: Sequence[FieldChange], detail: Detail = "normal") -> Sequence[FieldChange]:
    """The changes less our own bookkeeping, unless that is all there is: a change without a difference puzzles."""
    told = [change for change in changes if change.field != _BOOKKEEPING]
    return changes if detail == "verbose" or not told else told


def field_lines(changes: Sequence[FieldChange], terminal: Terminal, indent: str = INDENT) -> list[str]:
    """`memory: 2GiB → 4GiB  (reboot)`, disruptions below one another."""
    pairs = [f"{change.field}: {change.old or '(none)'} → {change.new or '(none)'}" for change in changes]
    width = min(max(map(len, pairs), default=0), 60)
    return [
        f"{indent}{pair:<{width}}  " + terminal.paint(f"({change.disruption})", _DISRUPTION_STYLE[change.disruption])
        for pair, change in zip(pairs, changes, strict=True)
    ]


def _widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [min(max(map(len, column)), _WIDEST_TARGET) for column in zip(*rows, strict=True)]


def _cells(row: tuple[str, ...], widths: Sequence[int]) -> list[str]:
    return [f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=True)]


# -- what is not met ---------------------------------------------------------------------------------------------------


def _unmet_lines(unmet: Sequence[Unmet], terminal: Terminal, detail: Detail) -> list[str]:
    ordered = sorted(unmet, key=lambda item: (_SEVERITIES.index(item.severity), in_order(item.target), item.reason))
    rows = [(str(item.target), item.host or "-", _reason(item)) for item in ordered]
    widths = _widths(rows)
    lines: list[str] = []
    for item, row in zip(ordered, rows, strict=True):
        cells = _cells(row, widths)
        painted = [unmet_sign(item, terminal), " ", terminal.paint(cells[0], "bold"), *cells[1:]]
        lines += _with_text(painted, 2 + sum(map(len, cells)), unmet_text(item, detail), terminal)
        if detail != "short":
            lines += unmet_details(item, terminal, detail)
    return lines


def _less(item: Unmet, told: set[tuple[ObjectRef, FieldChange]]) -> Unmet:
    """Without the fields that the object's change has told already: what is staged also waits for its restart."""
    return replace(item, changes=tuple(field for field in item.changes if (item.target, field) not in told))


def unmet_sign(item: Unmet, terminal: Terminal) -> str:
    """`!`, red where somebody has to act; `·` for what is only worth knowing."""
    if item.severity == "info":
        return terminal.paint("·", "dim")
    return terminal.paint("!", "bad" if item.severity == "blocked" else "warn", "bold")


def _reason(item: Unmet) -> str:
    word = item.reason.replace("-", " ")
    return word if item.severity == "info" else f"{item.severity}: {word}"


def unmet_text(item: Unmet, detail: Detail = "normal") -> str:
    """The reason in one line, hosts with the same reason together."""
    if not item.per_host:
        return item.detail
    reasons: dict[str, list[str]] = {}
    for host, reason in item.per_host:
        reasons.setdefault(reason, []).append(host)
    most = len(reasons) if detail == "verbose" else _REASONS_SHOWN
    parts = [
        f"{names(hosts, most=len(hosts) if detail == 'verbose' else 3)} {reason}"
        for reason, hosts in list(reasons.items())[:most]
    ]
    if len(reasons) > most:
        parts.append(f"and {count(len(reasons) - most, 'more reason')} (--verbose)")
    return " · ".join(parts)


def unmet_details(item: Unmet, terminal: Terminal, detail: Detail = "normal", indent: str = INDENT) -> list[str]:
    """What waits, field by field, and the next step."""
    lines = field_lines(item.changes, terminal, indent)
    if item.per_host and item.detail and detail == "verbose":
        lines += wrapped(item.detail, terminal.width, indent)
    if item.hint:
        lines += hint_lines(item.hint, terminal, indent)
    return lines


def hint_lines(hint: str, terminal: Terminal, indent: str = INDENT) -> list[str]:
    """`→ what to do next`."""
    first, *rest = wrapped(hint, terminal.width - 2, indent)
    lines = [f"{indent}→ {first[len(indent) :]}", *(f"{indent}  {line[len(indent) :]}" for line in rest)]
    return [terminal.paint(line, "accent") for line in lines]


def _unseen_lines(page: PlanPage, terminal: Terminal, detail: Detail) -> list[str]:
    lines: list[str] = []
    for host in sorted(page.unread, key=lambda item: item.name):
        seen = f" (last seen {age(page.at - host.last_seen)} ago)" if host.last_seen is not None else ""
        text = f"could not be seen{seen}: {host.error}: its VMs are unknown, not absent"
        head = f"Host/{host.name}  "
        painted = [terminal.paint("?", "warn", "bold"), " ", terminal.paint(head, "bold")]
        lines += _with_text(painted, 2 + len(head), text, terminal)
        if host.hint and detail != "short":
            lines += hint_lines(host.hint, terminal)
    return lines


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
    widths = _widths(rows)
    for action, row in zip(plan.actions, rows, strict=True):
        cells = [f"{row[0]:>{widths[0]}}  ", *_cells(row[1:], widths[1:])]
        after = ",".join(str(number[name]) for name in action.after if name in number)
        text = action.detail or phrase(action, page.images)
        painted = [INDENT[:2], *cells, text, terminal.paint(f"  after {after}", "dim") if after else ""]
        lines.append("".join(painted).rstrip())
    return lines


def summary_line(plan: Plan, terminal: Terminal) -> str:
    """`Plan 7f3c9: 1 change, 1 waiting, 0 destroy · worst: reboot · 41 unchanged`."""
    parts = [", ".join(_counts(plan))]
    if plan.actions:
        parts.append(f"worst: {terminal.paint(plan.worst, _DISRUPTION_STYLE[plan.worst])}")
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
