"""A VM that goes from one host to another: begun once, watched, and settled by what both hosts say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused
from reconciler.hypervisor.simulated_invariants import violations
from reconciler.hypervisor.simulated_world import SimulatedCrashError
from reconciler.model import identity
from reconciler.model.health import FenceProof, Incident
from reconciler.model.ledger import Migration
from reconciler.model.migration import DiskCopy, Fallback, MigrationRules
from reconciler.model.outcome import Outcome
from reconciler.model.steps import MigrateDomain
from tests.unit.executor.bench import BASE, FLEET, GIB, MIB, POOL, TARGET, Bench, disk_volume

UUID: Final = identity.vm_uuid(FLEET, "web")
RULES: Final = MigrationRules(deadline=120.0, stall_after=30.0)
STEP: Final = MigrateDomain("web", UUID, "h1", "h2", 2, "qemu+ssh://h2.example/system", RULES, trusts_sharing=True)
DISK: Final = DiskCopy("vda", POOL, disk_volume("web"), "qcow2", 10 * GIB, f"{TARGET}/{disk_volume('web')}", BASE)


def moved(bench: Bench, step: MigrateDomain = STEP, **more: Any) -> Outcome:
    return bench.run_one(step, host="h2", **more)


def slowly(bench: Bench, rate: float = 12 * MIB) -> None:
    """1 GiB takes a minute and a half."""
    bench.fleet.world.migration_rate = rate


def meanwhile(bench: Bench, seconds: float, happening: Callable[[], None]) -> None:
    """Have something happen once the migration has lasted for so long."""
    wait, begun, left = bench.clock.wait, bench.clock.monotonic(), [happening]

    def waited(event: Any, timeout: float) -> bool:
        if left and bench.clock.monotonic() - begun >= seconds:
            left.pop()()
        return wait(event, timeout)

    bench.clock.wait = waited  # type: ignore[method-assign]


def test_a_vm_that_has_moved_runs_on_the_target_alone_with_its_new_epoch(bench: Bench) -> None:
    bench.with_vm(running=True)

    outcome = moved(bench)

    arrived = bench.h2.domain(UUID)
    placement = bench.ledger.placement("web")
    assert outcome.status == "done", outcome
    assert "stood still for 200 ms" in outcome.message
    assert (arrived.state, arrived.persistent, arrived.config.mark.epoch) == ("running", True, 2)  # type: ignore[union-attr]
    assert bench.h1.domain_by_name("web") is None
    assert placement is not None
    assert (placement.host, placement.epoch, bench.ledger.migration("web")) == ("h2", 2, None)
    assert violations(bench.fleet.world) == ()


def test_what_is_on_record_is_not_issued_again(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.ledger.begin_migration(Migration("web", 0.0, STEP, "drain"))

    outcome = moved(bench)

    assert outcome.status == "refused"
    assert "on its way from h1 to h2 already" in outcome.message
    assert bench.fleet.world.leaving == {}


def test_a_migration_that_another_controller_began_is_followed_to_its_end(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    bench.fleet.on_mutation(
        lambda call, phase: _killed() if (call.method, phase) == ("begin_migration", "after") else None
    )
    with pytest.raises(SimulatedCrashError):
        moved(bench)
    bench.fleet.on_mutation(None)

    outcome = moved(bench, replace(STEP, begun=True))

    assert outcome.status == "done", outcome
    assert [call.method for call in bench.fleet.calls].count("begin_migration") == 1
    assert bench.h2.domain(UUID).state == "running"


def _killed() -> None:
    raise SimulatedCrashError


def test_asked_to_stop_it_is_handed_back_and_goes_on_by_itself(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    meanwhile(bench, 10, bench.stop.set)

    outcome = moved(bench)

    assert outcome.status == "handed-back"
    assert bench.ledger.migration("web") is not None
    assert UUID in bench.fleet.world.leaving


def test_how_far_it_is_is_told_and_on_record(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    bench.progress.clear()
    noted: list[Migration | None] = []
    meanwhile(bench, 30, lambda: noted.append(bench.ledger.migration("web")))

    moved(bench)

    done = [done for _, done, _ in bench.progress]
    assert noted[0] is not None
    assert noted[0].progress is not None
    assert 0 < noted[0].progress.remaining < GIB
    assert done == sorted(done)
    assert len(set(done)) > 10


def test_what_has_to_be_sent_once_more_takes_nothing_back_of_what_is_told(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    bench.progress.clear()

    def write_again() -> None:
        bench.fleet.world.leaving[UUID].sent -= 200 * MIB

    meanwhile(bench, 30, write_again)

    moved(bench)

    done = [done for _, done, _ in bench.progress]
    assert done == sorted(done)


def test_a_vm_whose_target_dies_on_the_way_runs_on_where_it_was(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    meanwhile(bench, 10, lambda: bench.fleet.power_off("h2"))

    outcome = moved(bench)

    # What the target had of it is not known before it is back, or proven dead.
    assert (outcome.status, outcome.transient) == ("failed", True)
    assert "not certain yet" in outcome.message
    assert bench.h1.domain(UUID).state == "running"
    assert bench.ledger.migration("web") is not None


def test_once_the_target_is_proven_dead_the_vm_is_where_it_was_beyond_the_epoch_it_had_there(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.ledger.begin_migration(Migration("web", 0.0, STEP, "drain"))
    bench.fleet.power_off("h2")
    prove_dead(bench, "h2")

    outcome = moved(bench, replace(STEP, begun=True), dead=("h2",))

    placement = bench.ledger.placement("web")
    assert "it stays on h1" in outcome.message
    assert bench.ledger.migration("web") is None
    assert placement is not None
    assert (placement.host, placement.epoch, placement.marked_epoch) == ("h1", 3, 1)


def prove_dead(bench: Bench, host: str) -> None:
    bench.ledger.open_incident(Incident(f"i-{host}", host, 0.0, None))
    bench.ledger.record_proof(FenceProof(host, f"i-{host}", "fenced", 1.0, "off", "fence_ipmilan"))


def test_a_target_that_is_back_without_it_settles_where_it_is(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.ledger.begin_migration(Migration("web", 0.0, STEP, "drain"))

    outcome = moved(bench, replace(STEP, begun=True))

    placement = bench.ledger.placement("web")
    assert "it stays on h1" in outcome.message
    assert placement is not None
    assert (placement.host, placement.epoch, bench.ledger.migration("web")) == ("h1", 1, None)


def test_a_vm_whose_source_goes_silent_is_settled_by_nobody(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    meanwhile(bench, 10, lambda: bench.fleet.power_off("h1"))

    outcome = moved(bench)

    assert "not certain yet" in outcome.message
    assert bench.ledger.migration("web") is not None


def test_a_guest_that_never_comes_to_rest_is_left_where_it_is_at_the_deadline(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    bench.fleet.world.restless.add("web")

    outcome = moved(bench)

    assert "was not there within 2m" in outcome.message
    assert bench.h1.domain(UUID).state == "running"
    assert bench.h2.domain_by_name("web") is None
    assert bench.ledger.migration("web") is None


def test_a_guest_that_never_comes_to_rest_stands_still_for_its_move_where_the_policy_says_so(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    bench.fleet.world.restless.add("web")

    outcome = moved(bench, replace(STEP, rules=replace(RULES, fallback="pause")))

    assert outcome.status == "done", outcome
    assert bench.h2.domain(UUID).state == "running"


COLD: Final = replace(STEP, rules=replace(RULES, fallback="cold"), cold=True)


@pytest.mark.parametrize("fallback", ["cold", "abort"])
def test_that_a_guest_never_came_to_rest_is_remembered_where_the_policy_has_it_shut_down_then(
    bench: Bench, fallback: Fallback
) -> None:
    slowly(bench.with_vm(running=True))
    bench.fleet.world.restless.add("web")

    outcome = moved(bench, replace(STEP, rules=replace(RULES, fallback=fallback)))

    placement = bench.ledger.placement("web")
    assert "was not there within 2m" in outcome.message
    assert placement is not None
    assert (placement.outran_at is not None) == (fallback == "cold")


def test_a_vm_that_is_off_for_its_move_goes_and_is_off_there_until_it_is_started(bench: Bench) -> None:
    bench.with_vm()

    outcome = moved(bench, COLD)

    placement = bench.ledger.placement("web")
    assert outcome.status == "done", outcome
    assert bench.h1.domain_by_name("web") is None
    assert bench.h2.domain(UUID).state == "shutoff"
    assert placement is not None
    assert (placement.host, placement.epoch, placement.ran) == ("h2", 2, False)


def test_the_definition_of_a_vm_that_runs_again_is_not_moved(bench: Bench) -> None:
    bench.with_vm(running=True)

    outcome = moved(bench, COLD)

    assert "it is not off on h1" in outcome.message
    assert "begin_migration" not in [call.method for call in bench.fleet.calls]


def test_of_a_vm_that_is_started_in_the_very_moment_of_its_cold_move_only_the_running_half_is_left(
    bench: Bench,
) -> None:
    bench.with_vm()
    people = bench.fleet.people("h1")
    bench.fleet.on_mutation(
        lambda call, phase: people.start("web") if (call.method, phase) == ("begin_migration", "before") else None
    )

    outcome = moved(bench, COLD)

    assert "it stays on h1" in outcome.message
    assert bench.h1.domain(UUID).state == "running"
    assert bench.h2.domain_by_name("web") is None
    assert bench.ledger.migration("web") is None


def test_a_cold_move_whose_reply_is_lost_is_settled_by_what_both_hosts_say(bench: Bench) -> None:
    bench.with_vm()
    bench.fleet.lose_reply("h1", "begin_migration")

    outcome = moved(bench, COLD)

    assert outcome.status == "done", outcome
    assert [bench.h1.domain_by_name("web"), bench.h2.domain(UUID).state] == [None, "shutoff"]


def test_a_migration_of_which_nothing_is_sent_is_given_up(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    bench.fleet.world.stalled.add("web")

    outcome = moved(bench)

    assert "nothing was sent for 30s" in outcome.message
    assert bench.h1.domain(UUID).state == "running"


def test_a_guest_that_stood_still_for_a_move_in_vain_runs_on(bench: Bench) -> None:
    slowly(bench.with_vm(running=True), MIB)
    outcome = moved(bench, replace(STEP, rules=replace(RULES, fallback="pause")))

    assert "was not there within 4m, though its guest stood still for the last 2m" in outcome.message
    assert "migration.bandwidth" in outcome.hint
    assert bench.h1.domain(UUID).state == "running"


def test_what_libvirt_refuses_is_told_in_its_words_and_leaves_nothing_on_record(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.fail_next("h1", "begin_migration", HostRefused("unsafe migration", host="h1"))

    outcome = moved(bench)

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert "unsafe migration" in outcome.message
    assert bench.ledger.migration("web") is None


def test_a_lost_answer_is_no_second_migration(bench: Bench) -> None:
    slowly(bench.with_vm(running=True))
    bench.fleet.lose_reply("h1", "begin_migration")

    outcome = moved(bench)

    assert outcome.status == "done", outcome
    assert [call.method for call in bench.fleet.calls].count("begin_migration") == 1


@pytest.mark.parametrize("what", ["off", "elsewhere", "newer", "taken"])
def test_a_vm_that_is_not_as_planned_is_not_moved(bench: Bench, what: str) -> None:
    bench.with_vm(running=True)
    {
        "off": lambda: bench.fleet.people("h1").destroy("web"),
        "elsewhere": lambda: bench.ledger.record_placement("web", "h2", 5, 0.0),
        "newer": lambda: bench.ledger.record_placement("web", "h1", 2, 0.0),
        "taken": lambda: bench.h2.define_domain(bench.h1.domain(UUID).config),
    }[what]()

    outcome = moved(bench)

    assert outcome.status in ("refused", "failed")
    assert bench.ledger.migration("web") is None
    assert "begin_migration" not in [call.method for call in bench.fleet.calls]


# -- local disks -------------------------------------------------------------------------------------------------------
@pytest.fixture
def local(tmp_path: Any) -> Any:
    """A VM on a local disk of h1; h2 has the base."""
    bench = Bench(tmp_path / "state", shared=False).with_vm(running=True)
    for name in bench.fleet.people("h1").files(TARGET):
        if "base-" in name:
            size = bench.fleet.people("h1").file(f"{TARGET}/{name}").capacity
            bench.fleet.people("h2").write_file(f"{TARGET}/{name}", format="qcow2", size=size)
    bench.h2.pool(POOL, refresh=True)
    yield bench
    bench.ledger.close()


WITH_DISK: Final = replace(STEP, disks=(DISK,), trusts_sharing=False)


def test_a_local_disk_is_there_before_anything_is_sent_and_whole_only_after_it_has_arrived(local: Bench) -> None:
    slowly(local, GIB)
    at_work: list[bool] = []
    meanwhile(local, 5, lambda: at_work.append(local.ledger.has_volume_intent(POOL, DISK.volume, "h2")))

    outcome = moved(local, WITH_DISK)

    assert outcome.status == "done", outcome
    assert at_work == [True]
    assert not local.ledger.has_volume_intent(POOL, DISK.volume, "h2")
    assert {(left.volume, left.host) for left in local.ledger.view().left_behind} == {(DISK.volume, "h1")}
    assert DISK.volume in local.fleet.people("h1").files(TARGET)


def test_a_local_disk_of_a_vm_that_stayed_leaves_nothing_on_the_target(local: Bench) -> None:
    slowly(local, GIB)
    local.fleet.world.stalled.add("web")

    moved(local, WITH_DISK)

    assert DISK.volume not in local.fleet.people("h2").files(TARGET)
    assert not local.ledger.has_volume_intent(POOL, DISK.volume, "h2")
    assert DISK.volume in local.fleet.people("h1").files(TARGET)


def test_without_its_base_on_the_target_a_linked_disk_does_not_go(local: Bench) -> None:
    local.fleet.people("h2").remove_file(f"{TARGET}/{BASE}.complete")

    outcome = moved(local, WITH_DISK)

    assert outcome.status == "refused"
    assert "is not complete on h2" in outcome.message


def test_a_disk_of_its_name_on_the_target_that_nobody_began_is_never_replaced(local: Bench) -> None:
    local.fleet.people("h2").write_file(f"{TARGET}/{DISK.volume}")
    local.h2.pool(POOL, refresh=True)

    outcome = moved(local, WITH_DISK)

    assert outcome.status == "refused"
    assert DISK.volume in local.fleet.people("h2").files(TARGET)
