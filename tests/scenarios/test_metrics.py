"""What Prometheus finds while a fleet lives through a scenario: the real loop, scraped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.daemon.looking_on import LookingOn
from reconciler.daemon.metrics.catalogue import METRICS
from reconciler.simulator.play import play
from reconciler.simulator.scenario import load_scenario
from reconciler.simulator.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.daemon.onlookers import Onlooker
    from reconciler.daemon.session import Session
    from reconciler.simulator.stage import Stage

FOLDER = Path(__file__).parent
_SAMPLE = re.compile(r"(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? (\S+)")


class Scraped:
    """A scenario as Prometheus saw it: what it was told at the end, and at each moment `at` (seconds)."""

    def __init__(self, name: str, *at: float) -> None:
        self.pages: dict[float, str] = {}
        self._at = at
        play(load_scenario(FOLDER / name, VERBS), prepare=self._prepare)

    def _prepare(self, stage: Stage) -> None:
        around = LookingOn(stage.clock)

        def looking_on(session: Session) -> Onlooker:
            around.follow(session.ledger)
            return around.onlooker

        stage.looking_on = looking_on
        for moment in self._at:
            stage.clock.at(moment, self._scrape(around, moment))

    def _scrape(self, around: LookingOn, moment: float) -> Callable[[], None]:
        def scrape() -> None:
            self.pages[moment] = around.page().decode()

        return scrape

    def value(self, moment: float, sample: str) -> float | None:
        """Of `name{label="value"}`; None where there is none."""
        found = [line for line in self.pages[moment].splitlines() if line.startswith(f"{sample} ")]
        return float(found[0].rpartition(" ")[2]) if found else None


def test_a_lost_host_is_seen_and_so_is_how_long_its_vms_were_away() -> None:
    seen = Scraped("power-cut-recovered", 50.0, 119.0)

    def health(moment: float, word: str) -> float | None:
        return seen.value(moment, f'reconciler_host_health{{health="{word}",host="h1"}}')

    assert health(50.0, "online") == 1.0
    assert [health(119.0, word) for word in ("online", "fenced")] == [0.0, 1.0]
    last = 'reconciler_host_last_success_timestamp_seconds{host="%s"}'
    assert (seen.value(119.0, last % "h1") or 0) + 50 < (seen.value(119.0, last % "h2") or 0)
    assert seen.value(119.0, "reconciler_recovery_duration_seconds_count") == 1.0
    step = 'reconciler_recovery_timeline_seconds{host="h1",step="vm-running",vm="web-3"}'
    assert 0.0 < (seen.value(119.0, step) or 0.0) < 5.0
    assert seen.value(119.0, 'reconciler_fencing_duration_seconds_count{outcome="done"}') == 1.0
    info = 'reconciler_resource_info{health="%s",kind="VirtualMachine",name="%s",sync="%s"}'
    assert seen.value(50.0, info % ("running", "db", "in-sync")) == 1.0
    assert seen.value(119.0, info % ("running", "db", "in-sync")) is None
    assert seen.value(119.0, info % ("running", "web-3", "in-sync")) == 1.0
    assert seen.value(119.0, 'reconciler_unmet_specs{reason="host-lost"}') == 1.0


def test_everything_that_is_told_is_in_the_catalogue_with_these_labels() -> None:
    page = Scraped("power-cut-recovered", 119.0).pages[119.0]

    told = {
        (match[1], frozenset(re.findall(r'(\w+)="', match[2] or "")) - {"le"})
        for line in page.splitlines()
        if not line.startswith(("#", "process_")) and "_created" not in line and (match := _SAMPLE.fullmatch(line))
    }
    families = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE reconciler_")}

    assert {name for name, _ in told} <= METRICS.keys()
    assert {name: set(labels) for name, labels in told} == {name: set(METRICS[name].labels) for name, _ in told}
    assert {name for name in families if not name.endswith("_created")} == METRICS.keys()


def test_drift_is_counted_once_for_each_time_that_it_is_found() -> None:
    seen = Scraped("virsh-edit", 60.0)

    assert (seen.value(60.0, 'reconciler_drift_total{kind="VirtualMachine"}') or 0) >= 1.0
    assert seen.value(60.0, 'reconciler_drifted_objects{kind="VirtualMachine"}') == 0.0


def test_no_name_is_of_an_unusual_form() -> None:
    """Base units; counters end with `_total`, what is in seconds and bytes says so, instants say what they are."""
    odd = [
        metric.name
        for metric in METRICS.values()
        if not re.fullmatch(r"reconciler(_[a-z]+)+", metric.name)
        or (metric.type == "counter") != metric.name.endswith("_total")
        or (metric.type == "histogram" and not metric.name.endswith("_seconds"))
        or re.search(r"_(ms|milliseconds|minutes|kib|mib|percent|ratio)(_|$)", metric.name)
        or not metric.help.endswith(".")
    ]

    assert odd == []
