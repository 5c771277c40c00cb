"""`reconciler check`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
from msgspec.structs import replace

from reconciler.cli.command_line import CommandLine, command_line
from reconciler.cli.fence_checks import fence_checks
from reconciler.cli.invocation import Invocation
from reconciler.cli.preflight import Check, controller_checks, host_checks, latency_check, specs_check
from reconciler.cli.terminal import Terminal, stdout_terminal
from reconciler.cli.words import count
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.fencing.secrets import Credentials


def run(invocation: Invocation, *, directory: Path | None) -> int:
    """Print a line a check as soon as it is known, then a sentence."""
    settings = invocation.settings(directory)
    terminal = stdout_terminal()
    failed = warned = total = 0
    for check in _checks(invocation, settings, command_line(invocation, directory)):
        click.echo(check_line(check, terminal))
        total += 1
        failed += check.result == "bad"
        warned += check.result == "warn"
    if failed:
        click.echo(terminal.paint(f"✗ {failed} of {count(total, 'check')} failed", "bad", "bold"))
        return 1
    rest = f", {count(warned, 'warning')}" if warned else ""
    click.echo(terminal.paint(f"✔ {count(total, 'check')} passed{rest}", "good", "bold"))
    return 0


def check_line(check: Check, terminal: Terminal) -> str:
    """`✔ h1: libvirt 9.0.0`, and the remedy below what is not well."""
    mark = {"good": ("✔", "good"), "warn": ("!", "warn"), "bad": ("✗", "bad")}[check.result]
    line = f"{terminal.paint(mark[0], mark[1], 'bold')} {check.subject}: {check.text}"  # type: ignore[arg-type]
    return f"{line}\n    {terminal.paint(f'→ {check.remedy}', 'accent')}" if check.remedy else line


def _checks(invocation: Invocation, settings: Settings, commands: CommandLine) -> Iterator[Check]:
    doors = invocation.doors()
    if settings.specs is None:
        yield from controller_checks(settings, None)
        yield Check("warn", "specs", "no directory was named, so no host was asked", "reconciler check DIR")
        return
    desired = doors.load_specs(settings.specs, settings.fleet)
    yield from controller_checks(settings, desired)
    yield specs_check(desired, settings.specs, commands)
    if desired.hosts:
        reachable, is_known = _with_some_ledger(settings)
        with doors.open_session(reachable, None) as session:
            view = session.look()
            for name in sorted(desired.hosts):
                yield from host_checks(name, view)
                if name in view.inventory.hosts:
                    yield latency_check(name, session.fleet.host(name), SystemClock())
        if not is_known:
            yield Check("warn", "fence devices", "what was tested of them is in etcd, which does not answer")
            return
        credentials = Credentials(specs=settings.specs_directory)
        hosts = [desired.hosts[name] for name in sorted(desired.hosts)]
        yield from fence_checks(hosts, view.ledger, settings.policy.ha, credentials, commands)


def _with_some_ledger(settings: Settings) -> tuple[Settings, bool]:
    """Settings that the hosts can be asked with, whatever etcd does; and whether the ledger goes with them."""
    if settings.etcd is None:
        return settings, True
    if not import_module("reconciler.cli.shared").answers(settings):
        return replace(settings, etcd=None), False
    return settings, True
