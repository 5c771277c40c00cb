"""`reconciler status`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import click
from msgspec import Struct

from reconciler.cli import status_data
from reconciler.cli.command_line import BARE, CommandLine, command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.outside import Session
from reconciler.cli.render_mobility import mobility_columns
from reconciler.cli.render_status import (
    facility_columns,
    host_columns,
    image_columns,
    render_status,
    sorted_facilities,
    sorted_hosts,
    sorted_images,
    sorted_vms,
    vm_columns,
)
from reconciler.cli.render_tombstones import tombstone_columns
from reconciler.cli.tables import Column, TableFormat, chosen, csv_text, json_text, markdown_table, table, yaml_text
from reconciler.cli.terminal import Terminal, stdout_terminal
from reconciler.errors import UsageError
from reconciler.model.status import FleetStatus

Section = Literal["hosts", "vms", "pools", "networks", "images", "tombstones", "mobility"]
T = TypeVar("T")

NOT_HEALTHY = 2
WATCH_EVERY = 2.0
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"


class _List(Struct, Generic[T], frozen=True):
    """One section of the status, ready for any format."""

    rows: Sequence[T]
    columns: tuple[Column[T], ...]
    data: Callable[[T], dict[str, Any]]

    def text(self, format: TableFormat, keys: Sequence[str], terminal: Terminal) -> str:
        columns = chosen(self.columns, keys)
        if format == "table":
            return table(self.rows, columns, terminal)
        if format == "csv":
            return csv_text(self.rows, columns)
        if format == "markdown":
            return markdown_table(self.rows, columns)
        data = [self._picked(row, columns, keys) for row in self.rows]
        return json_text(data) if format == "json" else yaml_text(data)

    def _picked(self, row: T, columns: tuple[Column[T], ...], keys: Sequence[str]) -> dict[str, Any]:
        return {column.key: column.text(row) for column in columns} if keys else self.data(row)


def run(
    invocation: Invocation,
    *,
    directory: Path | None,
    json: bool,
    watch: bool,
    format: TableFormat,
    columns: str | None,
    only: Section | None,
    migratability: bool,
) -> int:
    """Look and print; 2 where something is not as it should be."""
    settings = invocation.settings(directory)
    settings.specs_directory()
    only = _with_mobility(only, watch=watch) if migratability else only
    chosen_format: TableFormat = "json" if json else format
    keys = [key.strip() for key in columns.split(",")] if columns else []
    terminal = stdout_terminal()
    page = partial(
        status_text,
        format=chosen_format,
        keys=keys,
        only=only,
        terminal=terminal,
        commands=command_line(invocation, directory),
    )
    if watch and chosen_format != "table":
        raise UsageError("--watch shows the table", hint="leave --json and --format out")
    with invocation.doors().open_session(settings, None) as session:
        if watch:
            return _watch(session, page, terminal)
        status = session.look(mobility=only == "mobility").status
    click.echo(page(status), nl=False)
    return 0 if status.healthy else NOT_HEALTHY


def _with_mobility(only: Section | None, *, watch: bool) -> Section:
    if only is not None or watch:
        raise UsageError("--migratability is a list of its own", hint="leave --only and --watch out")
    return "mobility"


def status_text(
    status: FleetStatus,
    format: TableFormat,
    keys: Sequence[str],
    only: Section | None,
    terminal: Terminal,
    commands: CommandLine = BARE,
) -> str:
    """The status as asked for."""
    if only is None and not keys and format != "csv":
        return _whole(status, format, terminal, commands)
    return _section(status, only or "vms", bars=format == "table").text(format, keys, terminal)


def _section(status: FleetStatus, section: Section, *, bars: bool) -> _List[Any]:
    facilities = status.pools if section == "pools" else status.networks
    facility = facility_columns(section.removesuffix("s"))
    lists: dict[Section, _List[Any]] = {
        "hosts": _List(sorted_hosts(status), host_columns(status.at, bars=bars), status_data.host_data),
        "vms": _List(sorted_vms(status), vm_columns(status.at), status_data.vm_data),
        "pools": _List(sorted_facilities(facilities), facility, status_data.facility_data),
        "networks": _List(sorted_facilities(facilities), facility, status_data.facility_data),
        "images": _List(sorted_images(status), image_columns(status), status_data.image_data),
        "tombstones": _List(status.tombstones, tombstone_columns(), status_data.tombstone_data),
        "mobility": _List(status.mobility, mobility_columns(), status_data.mobility_data),
    }
    return lists[section]


def _whole(status: FleetStatus, format: TableFormat, terminal: Terminal, commands: CommandLine) -> str:
    if format == "json":
        return json_text(status_data.status_data(status))
    if format == "yaml":
        return yaml_text(status_data.status_data(status))
    if format == "markdown":
        sections = [
            f"#### {title}\n\n{text}"
            for title, text in (
                ("Hosts", markdown_table(sorted_hosts(status), host_columns(status.at))),
                ("VMs", markdown_table(sorted_vms(status), vm_columns(status.at))),
                ("Pools", markdown_table(sorted_facilities(status.pools), facility_columns("pool"))),
                ("Networks", markdown_table(sorted_facilities(status.networks), facility_columns("network"))),
                ("Images", markdown_table(sorted_images(status), image_columns(status))),
                ("Kept", markdown_table(status.tombstones, tombstone_columns()) if status.tombstones else ""),
            )
            if text
        ]
        return "\n".join(sections)
    return render_status(status, terminal, commands)


def _watch(session: Session, text: Callable[[FleetStatus], str], terminal: Terminal) -> int:
    """Look again and again until Ctrl-C; on a terminal the page is redrawn in place, elsewhere written anew."""
    never = threading.Event()
    if terminal.interactive:
        sys.stdout.write(_ENTER)
    status: FleetStatus | None = None
    try:
        while True:
            status = session.look().status
            page = text(status)
            if terminal.interactive:
                # Home, each line cleared to its end, then everything below: no flicker.
                sys.stdout.write("\x1b[H" + page.replace("\n", "\x1b[K\n") + "\x1b[J")
            else:
                sys.stdout.write(f"{page}\n")
            sys.stdout.flush()
            never.wait(WATCH_EVERY)
    except KeyboardInterrupt:
        return 0 if status is None or status.healthy else NOT_HEALTHY
    finally:
        if terminal.interactive:
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()
