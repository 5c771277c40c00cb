"""A drill boots overlays of a version, sees what its guest does, and leaves nothing, however it ends."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused
from reconciler.hypervisor.simulated_world import SimulatedCrashError
from reconciler.model import identity, steps
from reconciler.model.domain import DiskConfig, NicConfig
from reconciler.model.drill import DrillDisk
from reconciler.model.outcome import Outcome
from tests.support.domains import domain_config
from tests.unit.executor.bench import FLEET, GIB, POOL, TARGET, Bench

STAMP = "20261121t020000z"
FULL = f"{FLEET}.gold.20261120t020000z.root.qcow2"
TOP = f"{FLEET}.gold.{STAMP}.root.qcow2"
OVERLAY = identity.drill_volume(FLEET, "gold", STAMP, "root")
NAME = identity.drill_name(FLEET, "gold")
UUID = identity.drill_uuid(FLEET, "gold")
STEP = steps.DrillImage(
    image="gold",
    stamp=STAMP,
    pool=POOL,
    config=domain_config(
        NAME,
        uuid=UUID,
        disks=(DiskConfig("vda", f"{TARGET}/{OVERLAY}", "qcow2"),),
        nics=(NicConfig("52:00:00:00:00:01", NAME),),
        mark=None,
    ),
    network=steps.NetworkConfig(
        NAME, identity.drill_uuid(FLEET, "gold", "Network"), "isolated", None, None, dhcp=False
    ),
    pool_host="h1",
    disks=(DrillDisk(OVERLAY, 10 * GIB, (TOP, FULL)),),
    timeout=30.0,
)
END = steps.EndDrill("gold", NAME, UUID, NAME, STEP.network.uuid, ((POOL, OVERLAY),))


@pytest.fixture
def versioned(bench: Bench) -> Bench:
    return with_versions(bench)


def with_versions(bench: Bench) -> Bench:
    bench.with_pool_and_network()
    full = bench.h1.create_volume(POOL, FULL, format="qcow2", capacity=10 * GIB)
    bench.h1.create_volume(POOL, TOP, format="qcow2", capacity=10 * GIB, backing=full)
    return bench


def drill(bench: Bench, step: steps.DrillImage = STEP) -> Outcome:
    return bench.run_one(step, "Image/gold")


def check_nothing_is_left(bench: Bench) -> None:
    seen = bench.h1.read(pools_with_volumes=[POOL])
    assert seen.domains == {}
    assert NAME not in seen.networks
    assert bench.volumes() == (FULL, TOP)


@pytest.mark.parametrize("console", ["", "login:"])
def test_a_guest_that_does_what_it_should_has_passed(versioned: Bench, console: str) -> None:
    outcome = drill(versioned, replace(STEP, console=console))

    result = versioned.ledger.view().drills["gold"]
    assert outcome.status == "done"
    assert (result.passed, result.stamp, result.passed_stamp) == (True, STAMP, STAMP)
    check_nothing_is_left(versioned)


@pytest.mark.parametrize(
    ("console", "told"),
    [("", "its guest agent did not answer within 30s"), ("login:", "nothing on its console matched within 30s")],
)
def test_one_that_does_not_in_its_time_has_failed(versioned: Bench, console: str, told: str) -> None:
    versioned.fleet.people("h1").deafen(NAME)

    drill(versioned, replace(STEP, console=console))

    result = versioned.ledger.view().drills["gold"]
    assert (result.passed, result.detail, result.passed_stamp) == (False, told, "")
    assert result.seconds >= 30
    check_nothing_is_left(versioned)


def test_a_version_that_passed_before_stays_the_last_verified_one(versioned: Bench) -> None:
    drill(versioned)
    first = versioned.ledger.view().drills["gold"]
    versioned.fleet.people("h1").deafen(NAME)

    drill(versioned)

    last = versioned.ledger.view().drills["gold"]
    assert not last.passed
    assert (last.passed_stamp, last.passed_at) == (STAMP, first.at)


def test_a_version_that_can_not_be_started_has_failed(versioned: Bench) -> None:
    versioned.fleet.fail_next("h1", "start_domain", HostRefused("unsupported machine type", host="h1"))

    drill(versioned)

    assert versioned.ledger.view().drills["gold"].detail == "it could not be started: unsupported machine type"
    check_nothing_is_left(versioned)


def test_disks_that_stand_on_something_else_than_recorded_are_not_booted(versioned: Bench) -> None:
    versioned.h1.delete_volume(POOL, TOP)
    versioned.h1.create_volume(POOL, TOP, format="qcow2", capacity=10 * GIB)

    outcome = drill(versioned)

    assert outcome.status == "refused"
    assert "stands on something else" in outcome.message
    assert versioned.ledger.view().drills == {}


def test_a_host_that_is_lost_meanwhile_proves_nothing(versioned: Bench) -> None:
    def die(*where: object) -> None:
        if getattr(where[0], "method", "") == "start_domain":
            versioned.fleet.on_mutation(None)
            versioned.fleet.power_off("h1")

    versioned.fleet.on_mutation(die)

    outcome = drill(versioned)

    assert outcome.status == "failed"
    assert outcome.transient
    assert versioned.ledger.view().drills == {}


def test_somebody_else_s_domain_of_that_name_is_left_alone(versioned: Bench) -> None:
    versioned.h1.define_domain(replace(STEP.config, uuid=identity.vm_uuid("x", "y"), disks=()))

    assert drill(versioned).status == "failed"
    assert bench_domains(versioned) == [NAME]


def bench_domains(bench: Bench) -> list[str]:
    return sorted(bench.h1.read().domains)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["end", "again"])
def test_killed_at_any_call_what_is_left_is_removed_and_the_version_untouched(tmp_path: Path, what: str) -> None:
    for at in itertools.count(1):
        bench = with_versions(Bench(tmp_path / str(at)))
        if not _killed(bench, at):
            break
        if what == "end":
            assert bench.run_one(END, "Image/gold").status == "done"
        else:
            assert drill(bench).status == "done"
            assert bench.ledger.view().drills["gold"].passed
        check_nothing_is_left(bench)
        assert bench.fleet.world.violations == []
        bench.ledger.close()
    assert at > 10


def _killed(bench: Bench, at: int) -> bool:
    """Whether the controller was killed by the n-th instant of a drill."""
    seen = itertools.count(1)
    killed = False

    def kill(*_where: object) -> None:
        nonlocal killed
        if killed or next(seen) == at:
            killed = True
            raise SimulatedCrashError

    bench.fleet.on_mutation(kill)
    try:
        drill(bench)
    except SimulatedCrashError:
        pass  # nothing of a killed process runs on
    finally:
        bench.fleet.on_mutation(None)
    return killed
