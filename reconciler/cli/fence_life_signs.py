"""Signs that a host lives after all: looked for before a human's word is taken that it is dead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

import click

from reconciler.cli.command_line import CommandLine
from reconciler.cli.fence import answers_of, open_devices
from reconciler.cli.outside import Outside
from reconciler.cli.words import count
from reconciler.config import Settings
from reconciler.errors import HostError, HostTimeout, HostUnreachable, PreconditionFailed
from reconciler.fencing.levels import LevelAnswer
from reconciler.model.desired_state import DesiredState
from reconciler.model.host import Host
from reconciler.model.ledger import LedgerView
from reconciler.model.resource import ObjectRef
from reconciler.planner.world import is_held

_LIFE_SIGN: Final = 2.0
"""Seconds that the host is given to show that it lives: whoever confirms waits for it, and so do its VMs."""
_DEVICE_ANSWER: Final = 4.0
"""Seconds that its fence devices are given, all at once: one that is dead answers nobody."""


def refuse_answering(doors: Outside, settings: Settings, host: Host, commands: CommandLine) -> None:
    """Only silence is what a dead host has to say: whoever refuses us is alive. Raises PreconditionFailed."""
    with doors.open_session(settings, None) as session:
        session.fleet.update({host.name: host.spec.uri})
        try:
            session.fleet.host(host.name).ping(_LIFE_SIGN)
        except (HostUnreachable, HostTimeout):
            return
        except HostError as error:
            raise _alive(host.name, f"it answers, though only to refuse: {error.message}", commands) from error
    raise _alive(host.name, "it answers right now", commands)


def refuse_held(desired: DesiredState, view: LedgerView, host: str, commands: CommandLine) -> None:
    """Whoever holds a host is at work on it: silence may be their doing. Raises PreconditionFailed."""
    if is_held(desired, view, ObjectRef("Host", host)):
        raise PreconditionFailed(
            f"Host/{host} is held, so somebody may be at work on it, and its VMs may run",
            hint="ask whoever holds it; if it is surely off all the same: "
            + commands.call("fence", "confirm", host, "--reason", "TEXT", "--although-held"),
        )


def power_is_on(settings: Settings, host: Host) -> tuple[LevelAnswer, ...]:
    """Ask all fence devices of the host, say so, and return the answers of those by which it has power."""
    if not host.spec.fencing:
        return ()
    seconds = min(_DEVICE_ANSWER, settings.policy.ha.fence_timeout)
    devices = count(len(host.spec.fencing), "fence device")
    click.echo(f"asking {devices} of {host.name} for its power, for {seconds:g} s at the most …", err=True)
    with ThreadPoolExecutor() as pool, closing(open_devices(settings)) as opened:
        answers = answers_of(pool, opened, (host,), seconds)[host.name]
    for answer in answers:
        click.echo(f"  {_told(answer)}", err=True)
    return tuple(answer for answer in answers if answer.power == "on")


def refuse_powered(host: str, powered: tuple[LevelAnswer, ...], commands: CommandLine) -> None:
    """A host with power may run its VMs, whatever is heard of it. Raises PreconditionFailed."""
    if powered:
        raise _alive(
            host,
            f"{powered[0].level.text} says that its power is on",
            commands,
            "; if the device is surely wrong: "
            + commands.call("fence", "confirm", host, "--reason", "TEXT", "--although-on"),
        )


def _told(answer: LevelAnswer) -> str:
    if answer.power == "unknown":
        return f"{answer.level.text} does not tell its power: {answer.message}"
    return f"{answer.level.text} says that its power is {answer.power}"


def _alive(host: str, what: str, commands: CommandLine, otherwise: str = "") -> PreconditionFailed:
    return PreconditionFailed(
        f"Host/{host} is not dead: {what}",
        hint=f"switch it off first, or leave it to the daemon: {commands.call('why', f'host/{host}')}{otherwise}",
    )
