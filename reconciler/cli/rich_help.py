"""Help as people see it on a terminal."""

from __future__ import annotations

from typing import Any

import click
from rich_click import RichCommand, RichContext, RichGroup


def rich_help(command: click.Command, ctx: click.Context) -> str:
    """The help of `command`, laid out for a terminal."""
    words: dict[str, Any] = {
        "name": command.name,
        "params": command.params,
        "help": command.help,
        "epilog": command.epilog,
    }
    twin = RichGroup(commands=command.commands, **words) if isinstance(command, click.Group) else RichCommand(**words)
    twin.context_settings = command.context_settings
    with RichContext(twin, parent=ctx.parent, info_name=ctx.info_name, **command.context_settings) as rich:
        return str(twin.get_help(rich)).rstrip()
