"""`reconciler config show` and `config check`."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.invocation import Invocation
from reconciler.cli.tables import Column, json_text, table
from reconciler.cli.terminal import stdout_terminal
from reconciler.config import Origin, environment_variable


def run_check(invocation: Invocation, *, directory: Path | None) -> int:
    """Read it, and let mistakes be told."""
    invocation.settings(directory).specs_directory()
    return 0


def run(invocation: Invocation, *, directory: Path | None, origin: bool, json: bool) -> int:
    """Print every setting."""
    settings = invocation.settings(directory)
    if json:
        data = {item.key: {"value": item.value, "source": item.source} for item in settings.origins}
        click.echo(json_text(data), nl=False)
        return 0
    columns: list[Column[Origin]] = [
        Column("key", lambda item: item.key, lambda _: ("bold",)),
        Column("value", lambda item: item.value),
    ]
    if origin:
        columns += [
            Column("origin", lambda item: item.source, lambda item: ("dim",) if item.source == "default" else ()),
            Column("variable", lambda item: environment_variable(item.key), lambda _: ("dim",)),
        ]
    click.echo(table(settings.origins, columns, stdout_terminal()), nl=False)
    return 0
