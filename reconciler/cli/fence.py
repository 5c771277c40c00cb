"""`reconciler fence status` and `reconciler fence test`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.command_line import CommandLine, command_line
from reconciler.cli.fence_devices import HostDevices
from reconciler.cli.fence_machines import known_machines, others_of
from reconciler.cli.fence_secrets import locked_out
from reconciler.cli.fence_view import columns, device_rows, devices_data, test_data, test_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.ledger_doubts import warn_of_ledger
from reconciler.cli.outside import Outside
from reconciler.cli.tables import json_text, table
from reconciler.cli.terminal import stdout_terminal, warn
from reconciler.cli.words import count
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.errors import UsageError
from reconciler.fencing.levels import LevelAnswer, levels_of
from reconciler.fencing.secrets import Credentials
from reconciler.ledger.records import LedgerEvent
from reconciler.model.health import FenceTest
from reconciler.model.host import Host
from reconciler.model.resource import Kind

if TYPE_CHECKING:
    from reconciler.fencing.devices import FenceDevices

_AT_ONCE: Final = 16
_ATTEMPTS_SHOWN: Final = 20
_KIND: Final[Kind] = "Host"


def run_status(invocation: Invocation, *, host: str | None, json: bool) -> int:
    """Ask every device for the power, and tell what the ledger knows; 1 where a device or a test is wanting."""
    settings = invocation.settings()
    doors = invocation.doors()
    hosts = chosen_hosts(doors, settings, host)
    warn_of_ledger(settings)
    with doors.read_ledger(settings) as ledger:
        view = ledger.view()
        attempts = {item.name: ledger.attempts(item.name, _ATTEMPTS_SHOWN) for item in hosts}
    with ThreadPoolExecutor(_AT_ONCE) as pool, closing(open_devices(settings)) as devices:
        answers = answers_of(pool, devices, hosts)
    found = [HostDevices.of(item, answers[item.name], view, attempts[item.name]) for item in hosts]
    if json:
        click.echo(json_text([devices_data(item) for item in found]), nl=False)
    else:
        rows = [row for item in found for row in device_rows(item, command_line(invocation))]
        click.echo(table(rows, columns(), stdout_terminal()), nl=False)
    return 0 if all(item.well for item in found) else 1


def run_test(invocation: Invocation, *, host: str | None, everything: bool, json: bool) -> int:
    """Test devices without switching anything, and remember the outcome; 1 where a test failed."""
    if (host is None) != everything:
        raise UsageError("fence test takes one HOST, or --all", hint="reconciler fence test h1")
    settings = invocation.settings()
    doors = invocation.doors()
    fleet = all_hosts(doors, settings)
    hosts = _to_be_tested(fleet, host)
    machines = known_machines(doors, settings, asked=hosts, fleet=fleet)
    locked = locked_out(hosts, Credentials(specs=settings.specs_directory))
    results = [*locked]
    if not json:
        for result in locked:
            click.echo(test_line(result, stdout_terminal()))
    out = {result.host for result in locked}
    with ThreadPoolExecutor(_AT_ONCE) as pool, closing(open_devices(settings)) as devices:
        futures = [
            pool.submit(devices.test, item, identity=machines.get(item.name), others=others_of(item, fleet, machines))
            for item in hosts
            if item.name not in out
        ]
        for future in futures:
            result = future.result()
            _remember(doors, settings, result)
            results.append(result)
            if not json:
                click.echo(test_line(result, stdout_terminal()))
    _warn_of_exposed(hosts)
    if json:
        click.echo(json_text([test_data(result) for result in results]), nl=False)
    else:
        click.echo(_verdict(results, out, command_line(invocation)), err=True)
    return 0 if all(result.passed for result in results) else 1


def chosen_hosts(doors: Outside, settings: Settings, name: str | None) -> tuple[Host, ...]:
    """The host that was named, or all of the specs; raises UsageError for one that is not there."""
    return _named(all_hosts(doors, settings), name)


def all_hosts(doors: Outside, settings: Settings) -> tuple[Host, ...]:
    """All usable hosts of the specs, by name."""
    hosts = doors.load_specs(settings.specs_directory(), settings.fleet).hosts
    return tuple(hosts[name] for name in sorted(hosts))


def _named(hosts: tuple[Host, ...], name: str | None) -> tuple[Host, ...]:
    if name is None:
        return hosts
    wanted = host_name(name)
    chosen = tuple(host for host in hosts if host.name == wanted)
    if not chosen:
        listed = ", ".join(host.name for host in hosts) or "none"
        raise UsageError(f"there is no usable Host/{wanted} in the specs", hint=f"hosts: {listed}")
    return chosen


def _to_be_tested(fleet: tuple[Host, ...], name: str | None) -> list[Host]:
    """The host that was named, else all that have devices."""
    hosts = [item for item in _named(fleet, name) if item.spec.fencing or name is not None]
    if not hosts:
        raise UsageError("no host of the specs has fence devices", hint="write them into `fencing` of a Host's spec")
    return hosts


def host_name(text: str) -> str:
    """`h1`, also where `Host/h1` was written."""
    kind, slash, name = text.partition("/")
    return name if slash and kind.lower() == _KIND.lower() else text


def open_devices(settings: Settings) -> FenceDevices:
    """The devices of the fleet."""
    maker: type[FenceDevices] = import_module("reconciler.fencing.devices").FenceDevices
    return maker(settings.policy.ha, SystemClock(), credentials=Credentials(specs=settings.specs_directory))


def answers_of(
    pool: ThreadPoolExecutor, devices: FenceDevices, hosts: Iterable[Host], seconds: float | None = None
) -> dict[str, tuple[LevelAnswer, ...]]:
    """What the devices of each host say of its power, all asked at once; each is given `seconds`."""
    asked = {host.name: [pool.submit(devices.ask, level, seconds) for level in levels_of(host)] for host in hosts}
    return {name: tuple(future.result() for future in futures) for name, futures in asked.items()}


def _warn_of_exposed(hosts: Iterable[Host]) -> None:
    credentials = Credentials()
    for host in hosts:
        for file in dict.fromkeys(file for level in host.spec.fencing for file in credentials.exposed(level)):
            warn(f"{host.name}: {file} can be read by every account of this machine: chmod 600 {file}")


def _remember(doors: Outside, settings: Settings, result: FenceTest) -> None:
    event = "fence-test-passed" if result.passed else "fence-test-failed"
    told = LedgerEvent(
        at=result.at, pass_id="", target=f"Host/{result.host}", host="", event=event, message=result.message
    )
    with doors.write_ledger(settings) as ledger:
        ledger.record_fence_test(result)
        ledger.record_event(told)


def _verdict(results: Sequence[FenceTest], locked: Collection[str], commands: CommandLine) -> str:
    bad = sorted(result.host for result in results if not result.passed)
    if not bad:
        return f"the fence devices of {count(len(results), 'host')} answer; nothing was switched"
    again = commands.call("fence", "test", bad[0] if len(bad) == 1 else "--all")
    failed = ", ".join(host for host in bad if host not in locked)
    untested = ", ".join(host for host in bad if host in locked)
    told = [f"{failed} would not be fenced"] if failed else []
    if untested:
        told.append(f"{untested} not tested: what was known of it stands, as the controller may have the secrets")
    return f"{'; '.join(told)}; mend that, then: {again}"
