"""Whether the specs of who leads may be older than those that the fleet was led by, where several controllers share it.

the same, by name or content ─┐
changed by who led before ────┼─▶ recorded, and carried out
a later commit, by Git ───────┤
a human says so ──────────────┘
anything else ────────────────▶ recorded as in doubt: the fleet is only kept running, within what the others restrain
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.ledger.led_specs import LedSpecs, doubt_of, told_of
from reconciler.ledger.records import SPECS_DOUBTED, LedgerEvent
from reconciler.ledger.store import FLEET_TARGET, Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.planner.restraints import Restraints, decoded, others_now, restrained, restraints_of
from reconciler.specfiles.generation import content_hash, descends
from reconciler.specfiles.loader import LoadedSpecs

_ASK_GIT_EVERY: Final = 30.0
"""Seconds: what it does not know now it may know once more was fetched."""


class SpecsJudge:
    """The one of a session that leads; `controller` is as in LedSpecs, empty for one that never led."""

    def __init__(self, ledger: Ledger, controller: str, clock: Clock) -> None:
        self._ledger = ledger
        self._controller = controller
        self._clock = clock
        self._content = ("", "")
        self._newer: set[tuple[str, str]] = set()
        """By Git's word, each with what it is newer than: commits don't change."""
        self._asked_git: tuple[tuple[str, str], float] = (("", ""), 0.0)
        """What it did not know, and when."""

    def judge(self, specs: LoadedSpecs) -> DesiredState:
        """The same, with what is in doubt about them; recorded before anything is done by them."""
        if not specs.files:
            return specs  # nothing is wanted, and nothing removed
        led = self._ledger.led_specs()
        if led is not None and self.is_in_doubt(led, specs):
            return self._doubted(led, specs)
        before = decoded(led.restraints) if led is not None else None
        restraints = restraints_of(specs, before)
        now = LedSpecs(specs.generation, self.content_of(specs), self._controller, restraints=restraints.encoded())
        if led != now:
            self._ledger.note_led_specs(now, self._other_devices(before, restraints))
        return specs

    def _other_devices(self, before: Restraints | None, now: Restraints) -> list[str]:
        """Hosts whose devices are others than those that were tested, and not for having been tested ahead of this."""
        tests = self._ledger.view().fence_tests
        fits = {host for host, test in tests.items() if host in now.hosts and now.hosts[host].devices == test.devices}
        return [host for host in tests if host not in fits and others_now(before, now, host)]

    def is_in_doubt(self, led: LedSpecs, specs: LoadedSpecs) -> bool:
        """Whether nothing says that these are the specs that the fleet was led by, or newer ones."""
        is_ours = bool(self._controller) and led.controller == self._controller
        if is_ours or led.generation == specs.generation:
            return False
        return self.content_of(specs) != led.content and not self._is_newer(led, specs)

    def content_of(self, specs: LoadedSpecs) -> str:
        """What is in the files."""
        if self._content[0] != specs.generation:
            contents = {path: file.text.content for path, file in specs.files.items()}
            self._content = (specs.generation, content_hash(contents))
        return self._content[1]

    def _is_newer(self, led: LedSpecs, specs: LoadedSpecs) -> bool:
        pair, now = (specs.generation, led.generation), self._clock.monotonic()
        if pair not in self._newer and (pair != self._asked_git[0] or now >= self._asked_git[1] + _ASK_GIT_EVERY):
            self._asked_git = (pair, now)
            if descends(Path(specs.directory), *pair):
                self._newer.add(pair)
        return pair in self._newer

    def _doubted(self, led: LedSpecs, specs: LoadedSpecs) -> DesiredState:
        doubt = replace(
            led, doubted=specs.generation, doubted_content=self.content_of(specs), doubted_by=self._controller
        )
        if doubt != led:
            self._ledger.note_led_specs(doubt)
            told = doubt_of(doubt)
            self._ledger.record_event(LedgerEvent(self._clock.now(), "", FLEET_TARGET, "", SPECS_DOUBTED, told))
        return _with_doubt(specs, led)


class SpecsOnlooker:
    """For who looks: the leader's doubt, if its specs are those here; where nobody leads, what one here would say."""

    def __init__(self, ledger: Ledger, judge: SpecsJudge, is_led: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._judge = judge
        self._is_led = is_led
        self._is_told = False

    def judge(self, specs: LoadedSpecs) -> DesiredState:
        """Records nothing."""
        led = self._ledger.led_specs()
        if led is None or not specs.files:
            return specs
        self._is_told = bool(led.doubted) and self._judge.content_of(specs) == led.doubted_content
        if not self._is_told and (not self._judge.is_in_doubt(led, specs) or self._is_led()):
            return specs
        return _with_doubt(specs, led)

    def problems(self) -> tuple[str, ...]:
        """Of a leader in doubt, where the specs here don't tell."""
        led = self._ledger.led_specs()
        return (told_of(led),) if led is not None and led.doubted and not self._is_told else ()


def _with_doubt(specs: LoadedSpecs, led: LedSpecs) -> DesiredState:
    doubt = (
        f"these specs ({specs.generation[:20]}) are not known to be newer than those that {led.name} led by"
        f" ({led.generation[:20]})"
    )
    careful, told = restrained(specs, decoded(led.restraints))
    return replace(careful, doubt=doubt, removal_hold=specs.removal_hold or doubt, restrained=told)
