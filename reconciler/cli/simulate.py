"""`reconciler simulate`: what would follow, played in simulated time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
import structlog
from msgspec.structs import replace

from reconciler.cli.invocation import Invocation
from reconciler.cli.terminal import Terminal, stdout_terminal
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.simulator.timeline import Entry


def run(
    invocation: Invocation,
    *,
    directory: Path | None,
    down: Sequence[str],
    event: Sequence[str],
    replay: str | None,
    words: bool,
) -> int:
    """Play a scenario, or the specs; 0 where every promise was kept, 1 where one was broken."""
    if replay is not None:
        from reconciler.cli.replay import replay as replay_pass  # noqa: PLC0415  only this needs it

        return replay_pass(invocation, replay)
    if words:
        return _print_words()
    settings = invocation.settings(directory)
    folder = settings.specs_directory()
    from reconciler.simulator.play import play  # noqa: PLC0415  brings the whole daemon along
    from reconciler.simulator.scenario import EVENTS_FILE, FLEET_FILE, load_scenario  # noqa: PLC0415
    from reconciler.simulator.verbs import VERBS  # noqa: PLC0415
    from reconciler.simulator.what_if import what_if  # noqa: PLC0415

    if (folder / EVENTS_FILE).exists() or (folder / FLEET_FILE).exists():
        if down or event:
            raise UsageError(f"{folder} is a scenario", hint=f"write what happens into its {EVENTS_FILE}")
        scenario, settled = load_scenario(folder, VERBS), 0.0
    else:
        made = what_if(folder, settings.policy, dict(VERBS), down, event)
        scenario, settled = made.scenario, made.settled
    printer = _Printer(stdout_terminal(), settled)
    with _daemon_logs_nothing(invocation.verbosity), printer:
        played = play(scenario, printer.tell)
        click.echo(played.verdict)
    click.echo(f"\n{played.end_state}", nl=False)
    return 1 if played.violations else 0


class _Printer:
    """Keeps entries, in seconds since the fleet was up, and prints them at its end, whatever that was."""

    def __init__(self, terminal: Terminal, settled: float) -> None:
        self._terminal = terminal
        self._settled = settled
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines:
            click.echo(line)

    def tell(self, entry: Entry) -> None:
        if entry.at < self._settled:
            return
        line = replace(entry, at=entry.at - self._settled).line()
        if entry.event == "VIOLATION":
            line = self._terminal.paint(line, "bad")
        elif entry.event == "event":
            line = self._terminal.paint(line, "bold")
        self._lines.append(line)


def _print_words() -> int:
    from reconciler.simulator.verbs import VERBS  # noqa: PLC0415  see above

    width = max(len(verb.usage) for verb in VERBS.values())
    for verb in VERBS.values():
        click.echo(f"{verb.usage:<{width}}  {verb.summary}")
    return 0


@contextmanager
def _daemon_logs_nothing(verbosity: int) -> Iterator[None]:
    """What the simulated daemon logs would look as if it happened; the timeline tells it."""
    before = structlog.get_config()
    if verbosity <= 0:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
