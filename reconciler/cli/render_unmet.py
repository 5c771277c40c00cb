"""Specs that are not met and that no action serves now, each with its reason and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reconciler.cli.command_line import CommandLine
from reconciler.cli.plan_groups import in_order
from reconciler.cli.plan_lines import INDENT, Detail, column_widths, field_lines, hint_lines, padded, with_text
from reconciler.cli.terminal import Terminal
from reconciler.cli.words import count, names, wrapped
from reconciler.model.plan import Unmet

_SEVERITIES: Final = ("blocked", "waiting", "info")
_REASONS_SHOWN: Final = 6


def unmet_lines(unmet: Sequence[Unmet], terminal: Terminal, detail: Detail, commands: CommandLine) -> list[str]:
    """All of them: those that somebody must act on first, then by kind and name."""
    ordered = sorted(unmet, key=lambda item: (_SEVERITIES.index(item.severity), in_order(item.target), item.reason))
    groups = [(item,) for item in ordered] if detail == "verbose" else _alike(ordered)
    rows = [(_targets(group), _hosts(group), _reason(group[0])) for group in groups]
    widths = column_widths(rows)
    lines: list[str] = []
    for (item, *_), row in zip(groups, rows, strict=True):
        cells = padded(row, widths)
        painted = [unmet_sign(item, terminal), " ", terminal.paint(cells[0], "bold"), *cells[1:]]
        lines += with_text(painted, 2 + sum(map(len, cells)), unmet_text(item, detail), terminal)
        if detail != "short":
            lines += unmet_details(item, terminal, commands, detail)
    return lines


def _alike(ordered: Sequence[Unmet]) -> list[tuple[Unmet, ...]]:
    """What is only worth knowing, and is the same of many objects, together: a new image has news of every VM."""
    groups: dict[tuple[object, ...], tuple[Unmet, ...]] = {}
    for item in ordered:
        same = (item.target.kind, item.reason, item.detail, item.hint, item.changes)
        key = same if item.severity == "info" else (item.target, item.host, *same)
        groups[key] = (*groups.get(key, ()), item)
    return list(groups.values())


def _targets(group: Sequence[Unmet]) -> str:
    named = names(dict.fromkeys(item.target.name for item in group))
    return f"{group[0].target.kind}/{named}"


def _hosts(group: Sequence[Unmet]) -> str:
    return names(dict.fromkeys(item.host or "-" for item in group))


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
    hosts_told = " · ".join(parts)
    return hosts_told if item.reason == "no-host-fits" else f"{item.detail}: {hosts_told}"


def unmet_details(
    item: Unmet, terminal: Terminal, commands: CommandLine, detail: Detail = "normal", indent: str = INDENT
) -> list[str]:
    """What waits, field by field, and the next step."""
    is_refused = item.reason == "immutable" and item.severity == "blocked"
    lines = field_lines(item.changes, terminal, indent, is_refused=is_refused)
    if item.per_host and item.detail and detail == "verbose":
        lines += wrapped(item.detail, terminal.width, indent)
    if item.hint:
        lines += hint_lines(item.hint, terminal, commands, indent)
    return lines
