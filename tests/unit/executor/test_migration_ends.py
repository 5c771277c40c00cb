"""Where a migration that was cut off, or that people took a hand in, is taken to have ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from reconciler.errors import HostTimeout
from reconciler.hypervisor.simulated_world import MutatingCall, Phase, SimulatedCrashError
from reconciler.ledger.rebuild import adopt_marks
from reconciler.model import identity, steps
from reconciler.model.health import FenceProof, Incident, Machine
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import Migration
from reconciler.model.migration import DiskCopy, MigrationRules
from reconciler.model.outcome import Outcome
from reconciler.model.steps import MigrateDomain
from tests.unit.executor.bench import BASE, FLEET, GIB, MIB, POOL, TARGET, Bench, action, config, disk_volume

UUID: Final = identity.vm_uuid(FLEET, "web")
RULES: Final = MigrationRules(deadline=120.0, stall_after=30.0)
STEP: Final = MigrateDomain("web", UUID, "h1", "h2", 2, "qemu+ssh://h2.example/system", RULES, trusts_sharing=True)
DISK: Final = DiskCopy("vda", POOL, disk_volume("web"), "qcow2", 10 * GIB, f"{TARGET}/{disk_volume('web')}", BASE)
WITH_DISK: Final = replace(STEP, disks=(DISK,), trusts_sharing=False)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Bench]:
    """A VM on a local disk of h1; h2 has the base."""
    made = Bench(tmp_path / "state", shared=False).with_vm(running=True)
    for name in (BASE, f"{BASE}.complete"):
        original = made.fleet.people("h1").file(f"{TARGET}/{name}")
        made.fleet.people("h2").write_file(f"{TARGET}/{name}", format=original.format, size=original.capacity)
    made.h2.pool(POOL, refresh=True)
    yield made
    made.ledger.close()


def followed(bench: Bench, step: MigrateDomain = STEP, *, dead: tuple[str, ...] = ()) -> Outcome:
    """What the next controller makes of it."""
    return bench.run_one(replace(step, begun=True), host="h1", dead=dead)


def begun(bench: Bench, step: MigrateDomain = STEP) -> None:
    """The controller is killed once libvirt has begun."""

    def kill(call: MutatingCall, phase: Phase) -> None:
        if (call.method, phase) == ("begin_migration", "after"):
            raise SimulatedCrashError

    bench.fleet.on_mutation(kill)
    with pytest.raises(SimulatedCrashError):
        bench.run_one(step, host="h2")
    bench.fleet.on_mutation(None)


def arrived(bench: Bench, step: MigrateDomain = STEP) -> None:
    """It came to its target, and no controller has seen that."""
    bench.fleet.world.migration_rate = 10 * GIB
    begun(bench, step)
    bench.clock.wait(bench.stop, 60)
    assert bench.h1.domain_by_name("web") is None
    assert bench.h2.domain(UUID).state == "running"


def prove_dead(bench: Bench, host: str) -> None:
    bench.fleet.power_off(host)
    bench.ledger.open_incident(Incident(f"i-{host}", host, 0.0, None))
    bench.ledger.record_proof(FenceProof(host, f"i-{host}", "fenced", 1.0, "off", "fence_ipmilan"))


@pytest.mark.parametrize("is_proven", [True, False])
def test_what_has_left_its_source_is_placed_at_its_target_though_that_is_silent_by_now(
    bench: Bench, *, is_proven: bool
) -> None:
    arrived(bench.with_vm(running=True))
    bench.fleet.power_off("h2")
    if is_proven:
        prove_dead(bench, "h2")

    outcome = followed(bench, dead=("h2",) if is_proven else ())

    placement = bench.ledger.placement("web")
    assert outcome.status == "done", outcome
    assert placement is not None
    assert (placement.host, placement.epoch, bench.ledger.migration("web")) == ("h2", 2, None)


def test_what_has_taken_disks_along_is_not_taken_to_be_whole_before_it_is_seen(local: Bench) -> None:
    arrived(local, WITH_DISK)
    prove_dead(local, "h2")

    outcome = followed(local, WITH_DISK, dead=("h2",))

    assert "not certain yet" in outcome.message
    assert local.ledger.has_volume_intent(POOL, DISK.volume, "h2")


def test_a_source_that_lost_its_power_at_the_switch_over_holds_nothing_up_when_it_is_back(bench: Bench) -> None:
    left = bench.with_vm(running=True).fleet.people("h1").entry("web").config
    arrived(bench)
    bench.fleet.people("h1").define(left)

    outcome = followed(bench)

    placement = bench.ledger.placement("web")
    assert outcome.status == "done", outcome
    assert placement is not None
    assert (placement.host, placement.epoch) == ("h2", 2)


def test_what_runs_at_its_target_has_arrived_whatever_its_silent_source_may_have_kept_of_it(local: Bench) -> None:
    arrived(local, WITH_DISK)
    local.fleet.power_off("h1")

    outcome = followed(local, WITH_DISK)

    placement = local.ledger.placement("web")
    assert outcome.status == "done", outcome
    assert placement is not None
    assert (placement.host, placement.epoch, local.ledger.migration("web")) == ("h2", 2, None)


def test_what_is_off_at_its_target_is_not_taken_to_have_arrived_while_its_source_is_silent(bench: Bench) -> None:
    arrived(bench.with_vm(running=True))
    bench.fleet.people("h2").destroy("web")
    bench.fleet.power_off("h1")

    outcome = followed(bench)

    assert "not certain yet" in outcome.message
    assert bench.ledger.migration("web") is not None


def run_on_at_its_source(bench: Bench) -> None:
    """It arrived, libvirt at the source has not heard of that, and has its own half run on."""
    left = bench.fleet.people("h1").entry("web").config
    arrived(bench)
    bench.fleet.people("h1").define(left)
    entry = bench.fleet.people("h1").entry("web")  # a lock would keep people from starting it
    entry.state, entry.live = "running", entry.config


def test_what_runs_on_both_hosts_is_told_as_that_and_stays_on_record(bench: Bench) -> None:
    run_on_at_its_source(bench.with_vm(running=True))

    outcome = followed(bench)

    assert "it runs on h1 and on h2" in outcome.message
    assert "virsh destroy web, then virsh undefine --keep-nvram web" in outcome.hint
    assert bench.ledger.migration("web") is not None


@pytest.mark.parametrize(("ended", "home", "epoch"), [("h2", "h1", 1), ("h1", "h2", 2)])
def test_of_what_ran_on_both_hosts_people_say_which_stays_by_ending_the_other(
    bench: Bench, ended: str, home: str, epoch: int
) -> None:
    run_on_at_its_source(bench.with_vm(running=True))
    bench.fleet.people(ended).destroy("web")

    followed(bench)

    placement = bench.ledger.placement("web")
    assert placement is not None
    assert (placement.host, placement.epoch, bench.ledger.migration("web")) == (home, epoch, None)
    assert bench.fleet.host(home).domain(UUID).state == "running"


def test_what_is_off_at_its_source_is_not_taken_for_whole_where_its_disks_went_to_a_target_that_died(
    local: Bench,
) -> None:
    left = local.fleet.people("h1").entry("web").config
    arrived(local, WITH_DISK)
    local.fleet.people("h1").define(left)
    prove_dead(local, "h2")

    outcome = followed(local, WITH_DISK, dead=("h2",))

    assert "not certain yet" in outcome.message
    assert local.ledger.migration("web") is not None


def test_what_is_on_neither_host_any_more_is_on_record_no_longer(bench: Bench) -> None:
    arrived(bench.with_vm(running=True))
    bench.fleet.people("h2").destroy("web")
    bench.fleet.people("h2").undefine("web")

    outcome = followed(bench)

    assert "neither on h1 nor on h2" in outcome.message
    assert bench.ledger.migration("web") is None


@pytest.mark.parametrize("is_target_silent", [True, False])
def test_another_machine_under_the_name_of_its_source_does_not_say_that_it_has_left(
    bench: Bench, *, is_target_silent: bool
) -> None:
    bench.with_vm(running=True)
    bench.ledger.record_machines(Machine("h1", bench.h1.read().facts.uuid, "qemu+tls://h1.example/system"))
    bench.ledger.begin_migration(Migration("web", 0.0, STEP, "drain"))
    bench.fleet.replace_machine("h1")
    if is_target_silent:
        bench.fleet.power_off("h2")

    outcome = followed(bench)

    assert "not certain yet" in outcome.message
    assert bench.ledger.migration("web") is not None


def test_local_disks_of_what_is_on_neither_host_both_stay_as_nobody_knows_which_are_the_newest(local: Bench) -> None:
    arrived(local, WITH_DISK)
    local.fleet.people("h2").destroy("web")
    local.fleet.people("h2").undefine("web")

    outcome = followed(local, WITH_DISK)

    assert "not certain yet" in outcome.message
    assert local.ledger.migration("web") is not None
    for host in ("h1", "h2"):
        assert DISK.volume in local.fleet.people(host).files(TARGET)


def test_a_source_does_not_run_by_itself_what_it_has_sent_away(bench: Bench) -> None:
    bench.with_vm(running=True).fleet.people("h1").edit("web", autostart=True)
    bench.ledger.note_autostart("web", autostart=True)

    begun(bench)

    placement = bench.ledger.placement("web")
    assert not bench.h1.domain(UUID).config.autostart
    assert placement is not None
    assert not placement.autostart


def test_a_migration_that_could_not_be_aborted_at_once_is_aborted_later(bench: Bench) -> None:
    bench.with_vm(running=True).fleet.world.migration_rate = MIB
    bench.fleet.fail_next("h1", "abort_migration", HostTimeout("no answer within 10 s", host="h1"))

    outcome = bench.run_one(STEP, host="h2")

    assert "was not there within 2m" in outcome.message
    assert bench.h1.domain(UUID).state == "running"


def test_a_disk_that_a_guest_is_still_sent_to_stays_though_it_was_thought_to_be_in_vain(local: Bench) -> None:
    local.fleet.world.migration_rate = MIB
    local.fleet.fail_next("h1", "begin_migration", HostTimeout("no answer within 10 s", host="h1"))
    local.fleet.people("h2").define(replace(config("other"), disks=local.fleet.people("h1").entry("web").config.disks))

    local.run_one(WITH_DISK, host="h2")

    assert DISK.volume in local.fleet.people("h2").files(TARGET)


COLD: Final = replace(STEP, cold=True)


def asked_for_while_it_was_off(bench: Bench, *, ago: float = 0.0) -> None:
    """It is on record that it moves to h2, and nobody has heard what has come of that."""
    bench.with_vm().ledger.begin_migration(Migration("web", bench.clock.now() - ago, COLD, "drain"))


@pytest.mark.parametrize("came_there", [False, True])
def test_what_was_off_and_has_not_left_stays_with_an_epoch_beyond_what_may_be_at_its_silent_target(
    bench: Bench, *, came_there: bool
) -> None:
    asked_for_while_it_was_off(bench, ago=200)
    if came_there:
        bench.fleet.people("h2").define(config("web", epoch=2))
    bench.fleet.power_off("h2")

    outcome = followed(bench, COLD)

    placement = bench.ledger.placement("web")
    assert "it stays on h1" in outcome.message
    assert placement is not None
    assert (placement.host, placement.epoch, placement.marked_epoch) == ("h1", 3, 1)
    assert bench.ledger.migration("web") is None


def test_another_machine_under_the_name_of_its_target_does_not_keep_what_was_off_on_its_way(bench: Bench) -> None:
    asked_for_while_it_was_off(bench, ago=200)
    bench.ledger.record_machines(Machine("h2", bench.h2.read().facts.uuid, "qemu+tls://h2.example/system"))
    bench.ledger.record_placement("other", "h2", 1, 0.0)
    bench.fleet.replace_machine("h2")

    followed(bench, COLD)

    placement = bench.ledger.placement("web")
    assert placement is not None
    assert (placement.host, placement.epoch, bench.ledger.migration("web")) == ("h1", 3, None)


def test_a_call_whose_answer_is_lost_may_yet_move_what_is_off_to_a_silent_target(bench: Bench) -> None:
    asked_for_while_it_was_off(bench, ago=20)
    bench.fleet.power_off("h2")

    outcome = followed(bench, COLD)

    assert "not certain yet" in outcome.message
    assert bench.ledger.migration("web") is not None


def test_what_is_off_and_was_refused_by_its_source_as_the_target_fell_silent_stays_at_once(bench: Bench) -> None:
    bench.with_vm()

    def cut(call: MutatingCall, phase: Phase) -> None:
        if (call.method, phase) == ("begin_migration", "before"):
            bench.fleet.power_off("h2")

    bench.fleet.on_mutation(cut)
    outcome = bench.run_one(COLD, host="h2")

    placement = bench.ledger.placement("web")
    assert "it stays on h1" in outcome.message
    assert placement is not None
    assert (placement.host, placement.epoch, bench.ledger.migration("web")) == ("h1", 3, None)


def test_a_copy_that_is_not_older_than_the_one_on_its_way_does_not_say_that_it_has_not_left(bench: Bench) -> None:
    asked_for_while_it_was_off(bench, ago=200)
    bench.fleet.people("h1").edit("web", mark=replace(config("web").mark, epoch=2))  # type: ignore[type-var]
    bench.fleet.power_off("h2")

    outcome = followed(bench, COLD)

    assert "not certain yet" in outcome.message


def test_a_vm_on_its_way_to_a_silent_host_is_not_defined_elsewhere(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.ledger.begin_migration(Migration("web", 0.0, replace(STEP, target="h3"), "drain"))
    h3 = bench.fleet.add_host("h3")
    bench.desired = replace(
        bench.desired, hosts={**bench.desired.hosts, "h3": bench.desired.hosts["h2"].model_copy(deep=True)}
    )
    assert h3.name == "h3"
    bench.fleet.power_off("h3")
    bench.ledger.open_incident(Incident("i-h3", "h3", 0.0, None))
    prove_dead(bench, "h1")

    outcome = bench.run_one(steps.DefineDomain(config("web", epoch=3), came_from="h1"), host="h2", dead=("h1",))

    assert outcome.status == "failed", outcome
    assert bench.h2.domain_by_name("web") is None
    assert bench.ledger.migration("web") is not None


def test_a_vm_that_is_back_where_it_was_moved_from_has_its_disks_there_again(local: Bench) -> None:
    arrived(local, WITH_DISK)
    assert followed(local, WITH_DISK).status == "done"

    local.ledger.record_placement("web", "h1", 3, 0.0)

    assert local.ledger.view().left_behind == frozenset()


def test_disks_of_a_vm_that_people_brought_where_a_plan_had_begun_them_are_finished(local: Bench) -> None:
    local.ledger.begin_volume(POOL, DISK.volume, "h2")
    moved = local.fleet.people("h1").entry("web").config
    local.fleet.people("h1").destroy("web")
    local.fleet.people("h1").undefine("web")
    local.fleet.people("h2").write_file(f"{TARGET}/{DISK.volume}", format="qcow2")
    local.fleet.people("h2").define(moved)

    adopt_marks(local.ledger, Inventory(hosts={"h1": local.h1.read(), "h2": local.h2.read()}), FLEET, 0.0)

    assert not local.ledger.has_volume_intent(POOL, DISK.volume, "h2")


def test_what_a_vm_left_of_its_disks_on_another_host_goes_with_them(local: Bench) -> None:
    arrived(local, WITH_DISK)
    assert followed(local, WITH_DISK).status == "done"
    local.fleet.people("h2").destroy("web")
    undefine = action(steps.UndefineDomain("web", UUID, keep_nvram=False), host="h2")
    delete = action(steps.DeleteVolume(POOL, DISK.volume), host="h2", after=(undefine.id,))

    local.run(undefine)
    assert local.ledger.view().doomed == frozenset()
    local.fleet.people("h2").define(config("web", epoch=2))
    local.ledger.record_placement("web", "h2", 2, 0.0)
    local.run(undefine, delete)

    assert {(doomed.volume, doomed.host) for doomed in local.ledger.view().doomed} == {(DISK.volume, "h1")}
