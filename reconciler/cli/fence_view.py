"""Fence devices, tests and incidents as people and programs read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from reconciler.cli.command_line import CommandLine
from reconciler.cli.fence_devices import HostDevices
from reconciler.cli.tables import Column
from reconciler.cli.terminal import Style, Terminal
from reconciler.cli.words import moment, printable
from reconciler.fencing.levels import LevelAnswer
from reconciler.model.fencing_devices import device_text
from reconciler.model.health import FenceTest, Power


class DeviceRow(Struct, frozen=True):
    """One line of the list: one level of one host."""

    host: str
    state: str
    level: str
    agent: str
    device: str
    power: Power | None
    armed: bool | None
    note: str


def columns() -> tuple[Column[DeviceRow], ...]:
    """The columns of the list."""
    return (
        Column("host", lambda row: row.host, lambda _: ("bold",)),
        Column("state", lambda row: row.state),
        Column("level", lambda row: row.level),
        Column("agent", lambda row: row.agent),
        Column("device", lambda row: row.device),
        Column("power", lambda row: row.power or "", _power_style),
        Column("armed", lambda row: {True: "yes", False: "no", None: ""}[row.armed], _armed_style),
        Column("note", lambda row: row.note),
    )


def device_rows(item: HostDevices, commands: CommandLine) -> Iterator[DeviceRow]:
    """A line a level; what concerns the host as a whole is noted on its first one."""
    about_host = _about_host(item, commands)
    if not item.answers:
        yield DeviceRow(item.host, item.state, "", "", "", None, None, about_host or "no fence devices: never fenced")
    for index, answer in enumerate(item.answers):
        first = index == 0
        yield DeviceRow(
            host=item.host if first else "",
            state=item.state if first else "",
            level=str(answer.level.number),
            agent=answer.level.agent,
            device=device_text(answer.level.spec),
            power=answer.power,
            armed=item.armed if first else None,
            note="; ".join(
                part for part in (about_host if first else "", answer.message, _failed(item, answer)) if part
            ),
        )


def _about_host(item: HostDevices, commands: CommandLine) -> str:
    notes = ["held: not fenced whatever happens"] if item.held else []
    if item.proof is not None:
        notes.append(f"proven dead {moment(item.proof.at)} by {item.proof.by}: {item.proof.evidence}")
    elif item.incident is not None and any(answer.power == "on" for answer in item.answers):
        notes.append(f"lost since {moment(item.incident.opened)}, but it is on: it may well run its VMs")
    elif item.incident is not None:
        command = commands.call("fence", "confirm", item.host, "--reason", "TEXT")
        notes.append(f"lost since {moment(item.incident.opened)}, not proven dead; once it surely is: {command}")
    if item.answers and not item.armed:
        notes.append(f"{item.why_not_armed()}; next: {commands.call('fence', 'test', item.host)}")
    return "; ".join(notes)


def _failed(item: HostDevices, answer: LevelAnswer) -> str:
    failure = item.last_failure(answer.level)
    return f"switching off failed {moment(failure.began)}: {failure.message}" if failure is not None else ""


def _power_style(row: DeviceRow) -> tuple[Style, ...]:
    return {"on": ("good",), "off": ("dim",), "unknown": ("bad",), None: ()}[row.power]  # type: ignore[return-value]


def _armed_style(row: DeviceRow) -> tuple[Style, ...]:
    return ("warn",) if row.armed is False else ()


def devices_data(item: HostDevices) -> dict[str, Any]:
    """One host as JSON."""
    return {
        "host": item.host,
        "state": item.state or None,
        "armed": item.armed,
        "held": item.held,
        "notArmed": None if item.armed or not item.answers else item.why_not_armed(),
        "levels": [
            {
                "level": answer.level.number,
                "agent": answer.level.agent,
                "device": device_text(answer.level.spec),
                "power": answer.power,
                "message": answer.message,
                "hint": answer.hint,
                "lastFailure": msgspec.to_builtins(item.last_failure(answer.level)),
            }
            for answer in item.answers
        ],
        "test": test_data(item.test) if item.test else None,
        "incident": msgspec.to_builtins(item.incident),
        "proof": msgspec.to_builtins(item.proof),
        "attempts": msgspec.to_builtins(item.attempts),
    }


def test_data(result: FenceTest) -> dict[str, Any]:
    """One test as JSON."""
    return {"host": result.host, "at": result.at, "passed": result.passed, "message": result.message}


def test_line(result: FenceTest, terminal: Terminal) -> str:
    """`✔ h1: level 1 (fence_ipmilan, 10.1.0.11): power is on; …`."""
    mark = terminal.paint("✔", "good", "bold") if result.passed else terminal.paint("✗", "bad", "bold")
    return f"{mark} {result.host}: {printable(result.message)}"
