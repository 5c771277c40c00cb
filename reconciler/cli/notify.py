"""`reconciler notify`."""

from __future__ import annotations

import click

from reconciler.cli.invocation import Invocation
from reconciler.daemon.notifications.sending import send
from reconciler.errors import NotificationFailed, UsageError


def run_test(invocation: Invocation, *, receivers: tuple[str, ...]) -> int:
    """Send a message to each receiver; return 0 if all were told."""
    known = {receiver.name: receiver for receiver in invocation.settings().notifications}
    if not known:
        raise UsageError("the configuration names no receivers", hint="add some: notifications: [{name: …, url: …}]")
    for name in receivers:
        if name not in known:
            raise UsageError(f"{name} is no receiver", hint=f"those of the configuration: {', '.join(sorted(known))}")
    failed = 0
    for name in receivers or tuple(known):
        try:
            send(known[name], "a test", "If you can read this, notifications of the fleet arrive.", "info")
            click.echo(f"{name}: sent")
        except NotificationFailed as error:
            failed += 1
            click.echo(f"error: {error}", err=True)
    return 1 if failed else 0
