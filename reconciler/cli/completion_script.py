"""`reconciler completion`: the script that teaches a shell our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from reconciler.cli.invocation import Invocation
from reconciler.errors import UsageError


def run(_invocation: Invocation, *, shell: str) -> int:
    """Print the script for `shell`."""
    completion = get_completion_class(shell)
    if completion is None:
        raise UsageError(f"there is no completion for {shell}", hint="use bash, zsh or fish")
    root = click.get_current_context().find_root().command
    click.echo(completion(root, {}, "reconciler", "_RECONCILER_COMPLETE").source())
    return 0
