"""How a convergence ended: one sentence, what did not work, and the exit code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from reconciler.cli.command_line import BARE, CommandLine
from reconciler.cli.plan_lines import hint_lines
from reconciler.cli.render_unmet import unmet_sign, unmet_text
from reconciler.cli.terminal import Style, Terminal
from reconciler.cli.words import count, names
from reconciler.daemon.view import View
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Unmet

CONVERGED: Final = 0
FAILED: Final = 1
WAITING: Final = 3

_MOVE: Final = re.compile(r"migrate-domain:(?P<object>[^:@]+)")
"""The id of an action that moves a VM."""


class Verdict(Struct, frozen=True):
    """The end of an `apply`."""

    code: int
    sentence: str
    style: Style
    failures: tuple[str, ...] = ()
    waiting: tuple[Unmet, ...] = ()
    unseen: tuple[str, ...] = ()

    def text(self, terminal: Terminal, commands: CommandLine = BARE) -> str:
        """For a person: what failed and what waits, then the sentence."""
        lines = [f"{terminal.paint('✗', 'bad', 'bold')} {failure}" for failure in self.failures]
        for item in self.waiting:
            reason = item.reason.replace("-", " ")
            lines.append(f"{unmet_sign(item, terminal)} {item.target} {item.severity}: {reason}: {unmet_text(item)}")
            lines += hint_lines(item.hint, terminal, commands, indent="  ") if item.hint else []
        if self.unseen:
            lines.append(
                f"{terminal.paint('?', 'warn')} could not see {names(self.unseen)}: its VMs are unknown, not absent"
            )
        mark = "✔" if self.code == CONVERGED else "✗" if self.code == FAILED else "!"
        return "\n".join([*lines, terminal.paint(f"{mark} {self.sentence}", self.style, "bold")])


def verdict_of(
    view: View, outcomes: Sequence[Outcome], *, settled: bool, stopped: bool = False, exact: bool = False
) -> Verdict:
    """0 where all is as specified, 1 where something failed, 3 where something waits, is wrong, or was handed back.

    `stopped`: it was asked to stop. `exact`: one saved plan was to be done, and nothing that follows from it.
    """
    plan = view.plan
    done = sum(outcome.status == "done" for outcome in outcomes)
    failures = _failures(view, outcomes)
    waiting = tuple(item for item in plan.unmet if item.severity != "info")

    def ended(code: int, sentence: str, style: Style) -> Verdict:
        return Verdict(code, sentence, style, failures, waiting, missed)

    did = count(done, "action done", "actions done")
    not_missed = {host.name for host in view.status.hosts if host.is_out_of_service}
    missed = tuple(name for name in plan.unseen if name not in not_missed)
    if failures:
        return ended(FAILED, f"not converged: {did}, {len(failures)} failed", "bad")
    if stopped and plan.actions:
        return ended(WAITING, f"handed back: {did}, {len(plan.actions)} left for the next apply", "warn")
    if exact and plan.actions:
        return ended(WAITING, f"as planned: {did}, {len(plan.actions)} more to do for the next plan", "warn")
    if plan.actions or not settled:
        return ended(FAILED, f"not converged: {did}, {len(plan.actions)} still to do", "bad")
    errors = len(view.desired.errors)
    if waiting or missed or errors:
        counts = ((severity, sum(item.severity == severity for item in waiting)) for severity in ("blocked", "waiting"))
        held = [f"{number} {severity}" for severity, number in counts if number]
        held += ["hosts not seen"] if missed else []
        held += [f"{count(errors, 'error')} in the specs"] if errors else []
        return ended(WAITING, f"as far as it goes: {did}, {', '.join(held)}", "warn")
    return Verdict(CONVERGED, f"converged: {did}, planning again is empty", "good")


def _failures(view: View, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """What failed: the last try of an action that is still wanted, now or once it was waited for."""
    last = {outcome.action_id: outcome for outcome in outcomes}
    wanted = {action.id: action for action in view.plan.actions}
    told = [
        f"{wanted[name].target}: {outcome.message}"
        for name, outcome in last.items()
        if outcome.status == "failed" and name in wanted
    ]
    # A move that failed waits for its next try, and is in no plan until then.
    told += [
        f"{found['object']}: {outcome.message}"
        for name, outcome in last.items()
        if outcome.status == "failed" and name in view.plan.held and (found := _MOVE.match(name))
    ]
    told += [f"{item.target}: {item.detail}" for item in view.plan.unmet if item.reason in {"failed", "backoff"}]
    return tuple(dict.fromkeys(told))
