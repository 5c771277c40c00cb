"""What is kept of removed VMs is remembered until it is gone or in use again, and never for less than its time."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.ledger.asking import AcceptDeletions, KeepTombstones, PurgeTombstones, obey
from reconciler.ledger.store import Ledger
from reconciler.model.counted_time import CountedTime, Instant
from reconciler.model.mass_deletion import Deletion
from reconciler.model.tombstone import Tombstone

DAY = 86400.0
WEB = Tombstone(
    vm="web",
    kind="removed",
    since=1000.0,
    expires_at=1000.0 + 7 * DAY,
    host="h1",
    volumes=(("vms", "f.web.data.qcow2"), ("vms", "f.web.root.qcow2")),
    uuid="u",
    macs=("52:00:00:00:00:01",),
    nvram=True,
)


def _at(seconds: float, *, set_forward: float = 0.0, boot: str = "a") -> Instant:
    return Instant(1000.0 + seconds + set_forward, 50.0 + seconds, boot)


def test_a_tombstone_comes_back_as_it_was_written(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.bury(WEB, _at(0.0))

        assert ledger.view().tombstones == (WEB,)


def test_a_removal_that_is_repeated_prolongs_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.bury(WEB, _at(0.0))

        ledger.bury(replace(WEB, since=2000.0, expires_at=2000.0 + 7 * DAY), _at(1000.0))

        assert ledger.view().tombstones == (WEB,)


def test_a_tombstone_is_forgotten_with_the_last_of_its_volumes(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.bury(WEB, _at(0.0))

        ledger.finish_volume("vms", "f.web.data.qcow2", "h1")
        assert [stone.volumes for stone in ledger.view().tombstones] == [(("vms", "f.web.root.qcow2"),)]

        ledger.unbury([("vms", "f.web.root.qcow2", None)])
        assert ledger.view().tombstones == ()


def test_volumes_of_that_name_on_another_host_are_others(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.bury(WEB, _at(0.0))

        ledger.finish_volume("vms", "f.web.data.qcow2", "h2")

        assert ledger.view().tombstones == (WEB,)


def test_what_is_to_be_kept_longer_is_not_purged(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.bury(WEB, _at(0.0))

        assert ledger.purge_tombstones("web") == 1
        assert ledger.view().tombstones[0].left(1000.0, 0.0) == 0.0

        assert ledger.keep_tombstones("web", 1000.0 + 30 * DAY) == 1
        assert ledger.view().tombstones[0].left(1000.0, 0.0) == 30 * DAY
        assert ledger.keep_tombstones("db", 0.0) == 0


def test_time_is_counted_across_processes_and_not_across_a_restart_of_the_machine(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.count_time(_at(0.0))
    with Ledger(tmp_path) as ledger:
        assert ledger.count_time(_at(500.0)) == 500.0
        assert ledger.count_time(_at(900.0, boot="b")) == 500.0
        assert ledger.count_time(_at(1000.0, boot="b")) == 600.0
        assert ledger.view().counted == 600.0


def test_a_clock_that_is_set_forward_by_a_year_makes_no_tombstone_expire(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.bury(WEB, _at(0.0))

        counted = ledger.count_time(_at(60.0, set_forward=365 * DAY))

        assert ledger.view().tombstones[0].left(1060.0 + 365 * DAY, counted) == 7 * DAY - 60.0


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, DAY),  # that really pass
            st.floats(-3 * DAY, 3 * DAY),  # by which somebody sets the clock
            st.booleans(),  # whether the machine starts again meanwhile
        ),
        max_size=30,
    )
)
def test_never_more_time_is_counted_than_has_passed(steps: list[tuple[float, float, bool]]) -> None:
    passed, wall, boot, started = 0.0, 5000.0, 0, 0.0
    counted = CountedTime(0.0, Instant(wall, 0.0, "0"))
    for seconds, shift, restarts in steps:
        passed += seconds
        wall += seconds + shift
        if restarts:
            boot += 1
            started = passed
        counted = counted.at(Instant(wall, passed - started, str(boot)))

        assert counted.seconds <= passed + 1e-6


def test_deletions_are_accepted_one_by_one_and_forgotten_once_they_are_done(tmp_path: Path) -> None:
    web, data = Deletion("web", "removed"), Deletion("db", "removed with its disks")
    with Ledger(tmp_path) as ledger:
        ledger.accept_deletions([web, data])
        ledger.accept_deletions([web])

        ledger.forget_accepted_deletions([data])

        assert ledger.view().accepted_deletions == {web}


def test_a_leader_does_what_commands_beside_it_ask_for(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.bury(WEB, _at(0.0))

        obey(PurgeTombstones("web"), ledger)
        assert ledger.view().tombstones[0].purged

        obey(KeepTombstones("web", 1000.0 + 30 * DAY), ledger)
        assert ledger.view().tombstones[0].left(1000.0, 0.0) == 30 * DAY

        obey(AcceptDeletions((Deletion("web", "removed"),)), ledger)
        assert ledger.view().accepted_deletions == {Deletion("web", "removed")}
