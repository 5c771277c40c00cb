"""Domains: only ours, only the true copy, and never changed twice."""

from __future__ import annotations

from reconciler.errors import HostTimeout
from reconciler.model import steps
from reconciler.model.domain import OwnershipMark
from reconciler.model.identity import vm_uuid
from reconciler.model.ledger import DoomedVolume, Placement
from tests.unit.executor.bench import FLEET, GIB, POOL, Bench, action, config, disk_volume

UUID = vm_uuid(FLEET, "web")
START = steps.StartDomain("web", UUID)
STRANGER = "00000000-0000-4000-8000-000000000000"


def test_defined_domain_is_marked_and_its_placement_known(bench: Bench) -> None:
    outcome = bench.run_one(steps.DefineDomain(config("web", epoch=3)))

    assert outcome.status == "done"
    assert bench.h1.domain(UUID).config.mark == OwnershipMark(FLEET, "web", 3, "s1", "g1")
    assert bench.ledger.placement("web") == Placement("web", "h1", 3, bench.clock.now(), ran=False)


def test_placement_is_on_disk_before_the_host_is_touched(bench: Bench) -> None:
    seen: list[Placement | None] = []
    bench.fleet.on_mutation(
        lambda _call, phase: seen.append(bench.ledger.placement("web")) if phase == "before" else None
    )

    bench.run_one(steps.DefineDomain(config("web")))

    assert [placement.host for placement in seen if placement] == ["h1"]


def test_domain_that_is_defined_already_as_wanted_is_done(bench: Bench) -> None:
    bench.run_one(steps.DefineDomain(config("web")))
    calls = bench.fleet.calls

    assert bench.run_one(steps.DefineDomain(config("web"))).status == "done"
    assert bench.fleet.calls == calls


def test_domain_that_is_defined_from_another_spec_is_refused(bench: Bench) -> None:
    bench.run_one(steps.DefineDomain(config("web")))

    assert bench.run_one(steps.DefineDomain(config("web", spec="s2"))).status == "refused"


def test_unmanaged_domain_of_that_name_is_left_alone(bench: Bench) -> None:
    foreign = config("web", uuid=STRANGER, mark=None)
    bench.fleet.people("h1").define(foreign)

    outcome = bench.run_one(steps.DefineDomain(config("web")))

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert bench.ledger.placement("web") is None
    assert bench.h1.domain_by_name("web") is not None


def test_unmanaged_domain_of_that_uuid_is_left_alone(bench: Bench) -> None:
    bench.fleet.people("h1").define(config("web", mark=None))

    outcome = bench.run_one(steps.DefineDomain(config("web")))

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert bench.h1.domain(UUID).config.mark is None


def test_older_epoch_is_never_defined(bench: Bench) -> None:
    bench.ledger.record_placement("web", "h2", 2, 0.0)

    assert bench.run_one(steps.DefineDomain(config("web", epoch=1))).status == "refused"
    assert bench.h1.sweep() == ()


def test_vm_that_people_moved_since_the_hosts_were_read_gets_no_second_copy(bench: Bench) -> None:
    bench.ledger.record_placement("web", "h1", 1, 0.0)
    bench.fleet.people("h2").define(config("web"))

    outcome = bench.run_one(steps.DefineDomain(config("web")))

    assert (outcome.status, outcome.transient) == ("refused", True)
    assert "h2" in outcome.message
    assert bench.h1.sweep() == ()


def test_vm_that_never_ran_is_defined_though_another_host_is_silent(bench: Bench) -> None:
    bench.ledger.record_placement("web", "h1", 1, 0.0, ran=False)
    bench.fleet.cut_network("h2")

    assert bench.run_one(steps.DefineDomain(config("web"))).status == "done"


def test_lost_reply_to_a_definition_that_was_applied_is_done(bench: Bench) -> None:
    bench.fleet.lose_reply("h1", "define_domain")

    assert bench.run_one(steps.DefineDomain(config("web"))).status == "done"
    assert [call.method for call in bench.fleet.calls] == ["define_domain"]


def test_hung_host_fails_for_now(bench: Bench) -> None:
    bench.fleet.hang("h1")

    outcome = bench.run_one(steps.DefineDomain(config("web")))

    assert (outcome.status, outcome.transient) == ("failed", True)


def test_redefined_domain_has_the_new_configuration(bench: Bench) -> None:
    bench.run_one(steps.DefineDomain(config("web")))
    fingerprint = bench.h1.domain(UUID).fingerprint

    outcome = bench.run_one(steps.RedefineDomain(config("web", memory=2 * GIB, spec="s2"), fingerprint))

    assert outcome.status == "done"
    assert bench.h1.domain(UUID).config.memory == 2 * GIB


def test_domain_changed_since_the_plan_is_not_redefined(bench: Bench) -> None:
    bench.run_one(steps.DefineDomain(config("web")))
    fingerprint = bench.h1.domain(UUID).fingerprint
    bench.fleet.people("h1").add_unowned("web", "<hostdev/>")

    outcome = bench.run_one(steps.RedefineDomain(config("web", memory=2 * GIB, spec="s2"), fingerprint))

    assert outcome.status == "refused"
    assert bench.h1.domain(UUID).config.memory == GIB


def test_lost_reply_to_a_redefinition_is_judged_by_the_host(bench: Bench) -> None:
    bench.run_one(steps.DefineDomain(config("web")))
    fingerprint = bench.h1.domain(UUID).fingerprint
    bench.fleet.lose_reply("h1", "define_domain")

    outcome = bench.run_one(steps.RedefineDomain(config("web", memory=2 * GIB, spec="s2"), fingerprint))

    assert outcome.status == "done"


def test_foreign_domain_is_not_redefined(bench: Bench) -> None:
    bench.fleet.people("h1").define(config("web", mark=OwnershipMark("other", "web", 1, "s", "g")))
    fingerprint = bench.h1.domain(UUID).fingerprint

    outcome = bench.run_one(steps.RedefineDomain(config("web", memory=2 * GIB), fingerprint))

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert "belongs to fleet other" in outcome.message


def test_autostart_is_set(bench: Bench) -> None:
    bench.run_one(steps.DefineDomain(config("web")))

    assert bench.run_one(steps.SetAutostart("web", UUID, autostart=True)).status == "done"
    assert bench.h1.domain(UUID).config.autostart


def test_started_domain_runs(bench: Bench) -> None:
    bench.with_vm()

    assert bench.run_one(START).status == "done"
    assert bench.h1.domain_state(UUID) == "running"


def test_running_domain_is_not_started_again(bench: Bench) -> None:
    bench.with_vm(running=True)
    calls = bench.fleet.calls

    assert bench.run_one(START).status == "done"
    assert bench.fleet.calls == calls


def test_vm_counts_as_having_run_from_before_its_start(bench: Bench) -> None:
    bench.with_vm()
    bench.fleet.fail_next("h1", "start_domain", HostTimeout("no answer", host="h1"))

    bench.run_one(START)

    placement = bench.ledger.placement("web")
    assert placement is not None
    assert placement.ran


def test_vm_that_people_moved_here_is_started_with_the_mark_of_its_former_place(bench: Bench) -> None:
    bench.with_vm()
    bench.ledger.record_placement("web", "h1", 7, 0.0)

    assert bench.run_one(START).status == "done"


def test_stale_copy_is_never_started(bench: Bench) -> None:
    bench.with_vm()
    bench.ledger.record_placement("web", "h2", 2, 0.0)

    assert bench.run_one(START).status == "refused"
    assert bench.h1.domain_state(UUID) == "shutoff"


def test_disk_that_another_host_has_open_keeps_the_second_copy_off(bench: Bench) -> None:
    """QEMU's image lock is the last guard; whoever holds it may be gone soon, so it is tried again."""
    bench.with_vm(running=True)
    bench.fleet.people("h2").define(config("web"))
    bench.ledger.forget_placement("web")

    outcome = bench.run_one(START, host="h2")

    assert (outcome.status, outcome.transient) == ("failed", True)
    assert 'Failed to get "write" lock' in outcome.message


def test_paused_domain_is_resumed(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.people("h1").suspend("web")

    assert bench.run_one(steps.StartDomain("web", UUID, resume=True)).status == "done"
    assert bench.h1.domain_state(UUID) == "running"


def test_domain_that_is_off_is_not_resumed(bench: Bench) -> None:
    bench.with_vm()

    assert bench.run_one(steps.StartDomain("web", UUID, resume=True)).status == "refused"


def test_lost_reply_to_a_start_is_judged_by_the_host(bench: Bench) -> None:
    bench.with_vm()
    bench.fleet.lose_reply("h1", "start_domain")

    assert bench.run_one(START).status == "done"
    assert bench.fleet.people("h1").entry("web").boots == 1


def test_guest_is_asked_and_shuts_down(bench: Bench) -> None:
    bench.with_vm(running=True)

    assert bench.run_one(steps.StopDomain("web", UUID, timeout=60, force=False)).status == "done"
    assert bench.h1.domain_state(UUID) == "shutoff"
    assert "destroy_domain" not in [call.method for call in bench.fleet.calls]


def test_deaf_guest_is_forced_off_after_its_time(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.people("h1").deafen("web")

    outcome = bench.run_one(steps.StopDomain("web", UUID, timeout=60, force=True))

    assert outcome.status == "done"
    assert 60 <= outcome.seconds < 65
    assert bench.h1.domain_state(UUID) == "shutoff"


def test_deaf_guest_is_reported_where_forcing_is_not_allowed(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.people("h1").deafen("web")

    outcome = bench.run_one(steps.StopDomain("web", UUID, timeout=60, force=False))

    assert (outcome.status, outcome.transient) == ("failed", True)
    assert "did not shut down within 60 s" in outcome.message
    assert bench.h1.domain_state(UUID) == "running"


def test_guest_that_loses_the_first_request_is_asked_again(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.people("h1").deafen("web")

    bench.run_one(steps.StopDomain("web", UUID, timeout=60, force=True))

    assert [call.method for call in bench.fleet.calls].count("request_shutdown") > 3


def test_waiting_for_a_guest_is_handed_back_on_stop(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.on_mutation(lambda _call, _phase: bench.stop.set())

    outcome = bench.run_one(steps.StopDomain("web", UUID, timeout=60, force=True))

    assert outcome.status == "handed-back"
    assert bench.h1.domain_state(UUID) == "running"


def test_domain_that_is_off_is_stopped(bench: Bench) -> None:
    bench.with_vm()

    assert bench.run_one(steps.StopDomain("web", UUID, timeout=60, force=True)).status == "done"


def test_undefined_domain_is_gone_and_so_is_its_placement(bench: Bench) -> None:
    bench.with_vm()

    assert bench.run_one(steps.UndefineDomain("web", UUID, keep_nvram=False)).status == "done"
    assert bench.h1.sweep() == ()
    assert bench.ledger.placement("web") is None


def test_running_domain_is_not_undefined(bench: Bench) -> None:
    bench.with_vm(running=True)

    assert bench.run_one(steps.UndefineDomain("web", UUID, keep_nvram=False)).status == "refused"
    assert bench.h1.domain(UUID).persistent


def test_disks_that_go_with_a_domain_are_written_down_before_it_is_gone(bench: Bench) -> None:
    """Once the domain is undefined, no mark says any more that its disks were to be deleted."""
    bench.with_vm()
    seen: list[frozenset[DoomedVolume]] = []
    bench.fleet.on_mutation(lambda _call, phase: seen.append(bench.ledger.view().doomed) if phase == "before" else None)

    bench.run(
        action(steps.UndefineDomain("web", UUID, keep_nvram=False), id="undefine"),
        action(steps.DeleteVolume(POOL, disk_volume("web")), id="delete", after=["undefine"]),
    )

    doomed = frozenset({DoomedVolume("web", POOL, disk_volume("web"), "h1")})
    assert seen == [doomed, doomed]
    assert bench.ledger.view().doomed == frozenset()


def test_disks_of_a_vm_that_is_wanted_again_are_doomed_no_more(bench: Bench) -> None:
    bench.ledger.doom_volumes("web", [DoomedVolume("web", POOL, disk_volume("web"), "h1")])

    bench.run_one(steps.DefineDomain(config("web")))

    assert bench.ledger.view().doomed == frozenset()


def test_disks_that_are_to_be_kept_now_are_doomed_no_more(bench: Bench) -> None:
    bench.with_vm()
    bench.ledger.doom_volumes("web", [DoomedVolume("web", POOL, disk_volume("web"), "h1")])

    bench.run_one(steps.UndefineDomain("web", UUID, keep_nvram=False))

    assert bench.ledger.view().doomed == frozenset()


def test_undefining_an_old_copy_leaves_it_at_what_was_accepted_when_the_vm_was_removed(bench: Bench) -> None:
    doomed = DoomedVolume("web", POOL, disk_volume("web"), "h2")
    bench.with_vm()
    bench.ledger.record_placement("web", "h2", 2, 0.0)
    bench.ledger.doom_volumes("web", [doomed])
    bench.ledger.forget_placement("web")

    bench.run_one(steps.UndefineDomain("web", UUID, keep_nvram=True))

    assert bench.ledger.view().doomed == frozenset({doomed})
    assert bench.ledger.view().removed["web"].host == "h2"


def test_undefining_a_stale_copy_keeps_the_true_placement(bench: Bench) -> None:
    bench.with_vm()
    bench.ledger.record_placement("web", "h2", 2, 0.0)

    assert bench.run_one(steps.UndefineDomain("web", UUID, keep_nvram=False)).status == "done"
    assert bench.ledger.placement("web") == Placement("web", "h2", 2, 0.0)


def test_foreign_domain_is_not_undefined(bench: Bench) -> None:
    bench.fleet.people("h1").define(config("web", mark=None))

    outcome = bench.run_one(steps.UndefineDomain("web", UUID, keep_nvram=False))

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert bench.h1.domain(UUID) is not None


def test_vm_that_is_stopped_for_a_restart_is_yet_to_run_until_it_is_started(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.fail_next("h1", "start_domain", HostTimeout("no answer", host="h1"))
    seen: list[bool] = []
    bench.fleet.world.on_mutation = lambda _call, _phase: seen.append(_ran(bench))

    bench.run(
        action(steps.StopDomain("web", UUID, timeout=60, force=True), id="stop"),
        action(START, id="start", after=["stop"]),
    )

    assert not seen[0]
    assert _ran(bench)


def test_vm_that_is_stopped_for_good_has_run(bench: Bench) -> None:
    bench.with_vm(running=True)

    bench.run(action(steps.StopDomain("web", UUID, timeout=60, force=True), id="stop"))

    assert _ran(bench)


def _ran(bench: Bench) -> bool:
    placement = bench.ledger.placement("web")
    assert placement is not None
    return placement.ran
