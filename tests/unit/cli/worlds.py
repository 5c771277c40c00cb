"""Hand-made looks at a fleet, and doors that open onto them instead of onto hosts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from reconciler.cli.outside import Outside, Session
from reconciler.config import Settings
from reconciler.daemon.view import Converged, ConvergeObserver, View
from reconciler.hypervisor.interface import Fleet
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState, SourceRef
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView, Placement
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Plan
from reconciler.model.status import FacilityStatus, FleetStatus, HostStatus, ImageStatus, VmStatus
from reconciler.specfiles.loader import load
from tests.unit.cli.plans import GENERATION, GIB, NOW, UNREAD, plan, ref
from tests.unit.cli.reasons import EVERY_REASON

OLDER: Final = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"


def vm(name: str, **changes: Any) -> VmStatus:
    healthy = VmStatus(
        name=name,
        host="h1",
        health="running",
        state="running",
        sync="in-sync",
        restart_pending=False,
        revision=GENERATION,
        since=NOW - 3 * 86_400,
        message="",
    )
    return replace(healthy, **changes)


def host(name: str, **changes: Any) -> HostStatus:
    healthy = HostStatus(
        name=name,
        health="online",
        state="active",
        message="",
        observed_at=NOW,
        memory_total=16 * GIB,
        memory_promised=6 * GIB,
        cpus=8,
        vcpus_promised=12,
        vcpus_allowed=32,
        vms=2,
        unmanaged=0,
    )
    return replace(healthy, **changes)


IMAGE: Final = ImageStatus("debian-12", "in-sync", f"sha256:{'ab' * 32}", 2 * GIB, ("vms",), "")

HEALTHY: Final = FleetStatus(
    fleet="default",
    generation=GENERATION,
    at=NOW,
    hosts=(host("h1"), host("h2")),
    vms=(vm("web-1"), vm("web-2", host="h2")),
    images=(IMAGE,),
    problems=(),
    controller="`reconciler run` (pid 4711, since 2026-11-20 08:00:00)",
    pools=(FacilityStatus("vms", "in-sync", ("h1", "h2"), ""),),
    networks=(FacilityStatus("lan", "in-sync", ("h1", "h2"), ""),),
)

TROUBLED: Final = FleetStatus(
    fleet="default",
    generation=GENERATION,
    at=NOW,
    hosts=(
        host("h1", unmanaged=1),
        host("h2", state="cordoned", memory_promised=15 * GIB),
        host(
            "h4",
            health="unreachable",
            message="no connection to 10.0.0.14:16509",
            observed_at=NOW - 240,
            memory_promised=2 * GIB,
        ),
        host(
            "h5",
            health="unknown",
            message="never read",
            observed_at=None,
            memory_total=None,
            memory_promised=None,
            cpus=None,
            vcpus_promised=None,
            vcpus_allowed=None,
            vms=None,
            unmanaged=None,
        ),
    ),
    vms=(
        vm("web-1"),
        vm("web-2", sync="restart-pending", restart_pending=True, revision=OLDER, message="memory: 2GiB → 4GiB"),
        vm("batch", health="stopped", state="shutoff", since=NOW - 40_000),
        vm("db-1", host="h4", health="unknown", sync="unknown", message="h4 could not be read"),
        vm(
            "db-2",
            host=None,
            health="missing",
            state="",
            sync="blocked",
            revision="",
            since=None,
            message="no host fits",
        ),
        vm("web-3", health="crashed", state="crashed", sync="out-of-sync", since=NOW - 90, message="will be started"),
    ),
    images=(IMAGE, ImageStatus("alpine", "out-of-sync", None, None, (), "not fetched yet")),
    problems=("h4 could not be read: no connection to 10.0.0.14:16509",),
    pools=(
        FacilityStatus("backup", "in-sync", ("h1",), ""),
        FacilityStatus(
            "vms",
            "blocked",
            ("h1", "h2", "h4", "h5"),
            "failed on h1, h2: start: cannot open directory '/srv/vms' (2 tries, next in 579 s); h4, h5 not seen",
        ),
    ),
    networks=(FacilityStatus("lan", "out-of-sync", ("h1", "h2"), "start on h1"),),
)


UNARMED: Final = replace(
    HEALTHY,
    hosts=(
        host("h1", armed=True),
        host("h2", armed=False, message="the fence devices of h2 were never tested, so they are not used"),
        host("h3", armed=True, is_held=True, message="held"),
        host("h4"),
    ),
    vms=(vm("web-1"), vm("web-2", is_held=True, message="held")),
)


@dataclass(slots=True)
class FakeSession:
    """Gives the looks one after the other, the last one for ever; `outcomes` is what a convergence tells."""

    looks: list[View]
    outcomes: tuple[Outcome, ...] = ()
    expected: list[str | None] = field(default_factory=list)

    def forget_failures(self) -> None:
        """From now on no look has any."""
        self.looks = [replace(each, ledger=replace(each.ledger, failures={})) for each in self.looks]

    @property
    def fleet(self) -> Fleet:
        raise AssertionError("no host is behind this")

    def look(self, *, meanwhile: Callable[[], None] | None = None, mobility: bool = False) -> View:
        if meanwhile is not None:
            meanwhile()
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return found if mobility else replace(found, status=replace(found.status, mobility=()))

    def until_retry(self, view: View) -> float | None:
        passing = any(unmet.reason == "in-progress" for unmet in view.plan.unmet)
        return 1.0 if passing else None

    def converge(
        self, *, observer: ConvergeObserver, stop: threading.Event, expect: str | None = None, first: View | None = None
    ) -> Converged:
        del first
        before = self.looks[0]
        self.expected.append(expect)
        observer.planned(before.plan)
        by_id = {outcome.action_id: outcome for outcome in self.outcomes}
        for action in before.plan.actions:
            observer.action_started(action)
            observer.action_ended(action, by_id.get(action.id, Outcome(action.id, "done", seconds=0.2)))
        after = self.look() if len(self.looks) == 1 else self.looks[1]
        return Converged(after, self.outcomes, settled=after.plan.empty and not stop.is_set())


def look(
    made: Plan | None = None,
    status: FleetStatus = HEALTHY,
    *,
    sources: Mapping[str, str] | None = None,
    placements: Mapping[str, Placement] | None = None,
    paused: frozenset[str] = frozenset(),
    **desired: Any,
) -> View:
    chosen = made if made is not None else plan()
    named = {ref(name): SourceRef(*_place(place)) for name, place in (sources or {}).items()}
    return View(
        desired=DesiredState(generation=GENERATION, sources=named, **desired),
        inventory=Inventory(unread={"h4": UNREAD} if chosen.unseen else {}),
        ledger=LedgerView(placements=placements or {}, paused=paused),
        plan=chosen,
        status=status,
        at=NOW,
    )


def _place(text: str) -> tuple[str, int, int]:
    file, line, column = text.split(":")
    return file, int(line), int(column)


def doors(session: Session, daemon: Callable[[Settings], object] = lambda _: None) -> Outside:
    """Every door leads to `session`; ledgers and specs are real ones."""

    @contextmanager
    def open_session(settings: Settings, writer: str | None) -> Iterator[Session]:
        settings.specs_directory()
        del writer
        yield session

    def run_daemon(settings: Settings, _: Callable[[], Settings]) -> None:
        daemon(settings)

    return Outside(
        open_session=open_session,
        run_daemon=run_daemon,
        load_specs=lambda directory, fleet, **rules: load(directory, fleet=fleet, **rules),
        read_ledger=lambda settings: Ledger(settings.state_dir, readonly=True),
        write_ledger=lambda settings: Ledger(settings.state_dir),
    )


def remember(state_dir: Path, *events: LedgerEvent) -> None:
    with Ledger(state_dir) as ledger:
        for event in events:
            ledger.record_event(event)


RESTART: Final = next(item for item in EVERY_REASON if item.reason == "restart-pending")
NO_HOST: Final = next(item for item in EVERY_REASON if item.reason == "no-host-fits")
