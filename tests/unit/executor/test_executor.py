"""One outcome per action; limits and locks hold; failures are remembered and forgotten."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused, HostUnreachable, LedgerError, NoSpace
from reconciler.hypervisor.simulated_world import MutatingCall, SimulatedCrashError
from reconciler.model import steps
from reconciler.model.identity import vm_uuid
from reconciler.model.ledger import Failure
from reconciler.model.outcome import Outcome
from tests.unit.executor.bench import FLEET, POOL, Bench, action, config, create_step, disk_volume, upload_step

WEB = vm_uuid(FLEET, "web")


def define(vm: str) -> steps.Step:
    return steps.DefineDomain(config(vm))


def statuses(outcomes: tuple[Outcome, ...]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def test_empty_plan_has_no_outcomes(bench: Bench) -> None:
    assert bench.run() == ()


def test_whole_vm_is_made_in_one_plan(parallel: Bench) -> None:
    parallel.with_pool_and_network()

    outcomes = parallel.run(
        action(upload_step(), "Image/debian", id="base"),
        action(create_step(), id="disk", after=["base"]),
        action(steps.DefineDomain(config("web")), id="define", after=["disk"]),
        action(steps.StartDomain("web", WEB), id="start", after=["define"]),
    )

    assert statuses(outcomes) == ["done"] * 4
    assert parallel.h1.domain_state(WEB) == "running"


def test_action_whose_predecessor_failed_is_skipped_and_says_which(bench: Bench) -> None:
    outcomes = bench.run(
        action(create_step(), id="disk"),  # fails: there is no pool
        action(steps.DefineDomain(config("web")), id="define", after=["disk"]),
        action(steps.DefineDomain(config("db")), "VirtualMachine/db", id="other"),
    )

    assert statuses(outcomes) == ["failed", "skipped", "done"]
    assert "disk" in outcomes[1].message


def test_object_whose_actions_were_skipped_is_let_go_before_the_plan_ends(bench: Bench) -> None:
    bench.run(
        action(create_step(), id="disk"),  # fails: there is no pool
        action(steps.DefineDomain(config("web")), id="define", after=["disk"]),
        action(steps.DefineDomain(config("db")), "VirtualMachine/db", id="other"),
    )

    assert [f"{event.action.id} {event.phase}" for event in bench.events] == [
        "disk started",
        "disk failed",
        "define skipped",
        "other started",
        "other done",
    ]


def test_failure_of_what_no_plan_wants_any_more_is_forgotten(bench: Bench) -> None:
    for key in ("define-domain:VirtualMachine/old@h1", "define-domain:VirtualMachine/web@h9"):
        bench.ledger.record_failure(Failure(key, 1, "no", permanent=False, not_before=0.0, inputs=""))

    bench.run(action(define("web"), id="a"), unseen=("h9",))

    assert list(bench.ledger.view().failures) == ["define-domain:VirtualMachine/web@h9"]


def test_host_that_is_down_does_not_hold_up_another(parallel: Bench) -> None:
    parallel.fleet.power_off("h1")

    outcomes = parallel.run(
        action(define("web"), id="a"),
        action(define("db"), "VirtualMachine/db", host="h2", id="b"),
    )

    assert statuses(outcomes) == ["failed", "done"]
    assert outcomes[0].transient


def test_host_that_left_the_fleet_is_refused(bench: Bench) -> None:
    outcome = bench.run_one(define("web"), host="gone")

    assert (outcome.status, outcome.transient) == ("refused", True)


def test_transient_failure_is_remembered_with_its_next_time(bench: Bench) -> None:
    bench.fleet.fail_next("h1", "define_domain", HostUnreachable("no route", host="h1"))
    made = action(define("web"), id="a")

    bench.run(made)

    failure = bench.ledger.view().failures["a"]
    assert (failure.attempts, failure.permanent) == (1, False)
    assert failure.not_before == bench.clock.now() + 5


def test_permanent_failure_is_remembered_as_such(bench: Bench) -> None:
    bench.fleet.fail_next("h1", "define_domain", HostRefused("unsupported configuration", host="h1"))

    outcomes = bench.run(action(define("web"), id="a"))

    assert not outcomes[0].transient
    assert bench.ledger.view().failures["a"].permanent


def test_a_failure_is_remembered_with_its_remedy(bench: Bench) -> None:
    bench.fleet.fail_next("h1", "define_domain", NoSpace("disk full", host="h1", hint="free space in the pool"))

    bench.run(action(define("web"), id="a"))

    assert bench.ledger.view().failures["a"].message == "disk full; free space in the pool"


def test_success_forgets_the_failure(bench: Bench) -> None:
    bench.fleet.fail_next("h1", "define_domain", HostUnreachable("no route", host="h1"))
    made = action(define("web"), id="a")
    bench.run(made)

    bench.run(made)

    assert bench.ledger.view().failures == {}


def test_mistake_of_ours_in_one_action_fails_that_action_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_uuid: str, *, autostart: bool) -> None:
        raise ZeroDivisionError(autostart)

    bench.with_vm()
    monkeypatch.setattr(bench.h1, "set_autostart", broken)

    outcomes = bench.run(
        action(steps.SetAutostart("web", WEB, autostart=True), id="a"),
        action(define("db"), "VirtualMachine/db", id="b"),
    )

    assert statuses(outcomes) == ["failed", "done"]
    assert "internal error: ZeroDivisionError" in outcomes[0].message


def test_history_tells_what_began_and_how_it_ended(bench: Bench) -> None:
    bench.run(action(define("web"), id="a"))

    told = [(event.event, event.pass_id) for event in bench.ledger.events("VirtualMachine/web")]
    assert told == [("DefineDomain done", "p1"), ("DefineDomain started", "p1")]
    assert [event.phase for event in bench.events] == ["started", "done"]


def test_stop_before_the_start_hands_everything_back(bench: Bench) -> None:
    bench.stop.set()

    outcomes = bench.run(action(define("web"), id="a"))

    assert statuses(outcomes) == ["handed-back"]
    assert bench.fleet.calls == ()


def test_stop_lets_the_running_action_end_and_begins_no_other(bench: Bench) -> None:
    bench.fleet.on_mutation(lambda _call, _phase: bench.stop.set())

    outcomes = bench.run(action(define("web"), id="a"), action(define("db"), "VirtualMachine/db", id="b"))

    assert statuses(outcomes) == ["done", "handed-back"]


def test_ledger_that_can_not_be_written_stops_everything(bench: Bench) -> None:
    assert bench.ledger._connection is not None
    pages = bench.ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    bench.ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    actions = [action(define(f"vm-{n}"), f"VirtualMachine/vm-{n}", id=f"{n}" * 200) for n in range(300)]

    with pytest.raises(LedgerError, match="no space"):
        bench.run(*actions)

    assert len(bench.fleet.calls) < 300


def test_killed_controller_does_nothing_more(bench: Bench) -> None:
    def kill(_call: MutatingCall, phase: str) -> None:
        if phase == "after":
            raise SimulatedCrashError

    bench.fleet.on_mutation(kill)

    with pytest.raises(SimulatedCrashError):
        bench.run(action(define("web"), id="a"), action(define("db"), "VirtualMachine/db", id="b"))

    assert len(bench.fleet.calls) == 1


class Gauge:
    """Counts the calls of one method that are under way at once; each waits until nobody else comes."""

    def __init__(self, expected: int) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self.highest: Counter[str] = Counter()
        self._barrier = threading.Barrier(expected)

    def __call__(self, call: MutatingCall, phase: str) -> None:
        if phase == "before":
            with self._lock:
                for key in (call.host, "fleet"):
                    self._running[key] += 1
                    self.highest[key] = max(self.highest[key], self._running[key])
            self._barrier.wait(timeout=20)
        else:
            with self._lock:
                self._running.subtract((call.host, "fleet"))


def test_actions_of_one_host_run_at_once_up_to_the_limit(parallel: Bench) -> None:
    """Four at a time on a host, and the hosts beside each other: the barrier opens only for eight."""
    gauge = Gauge(expected=8)
    parallel.fleet.on_mutation(gauge)

    outcomes = parallel.run(
        *(
            action(define(f"{host}-{n}"), f"VirtualMachine/{host}-{n}", host=host)
            for host in ("h1", "h2")
            for n in range(8)
        )
    )

    assert set(statuses(outcomes)) == {"done"}
    assert gauge.highest == {"h1": 4, "h2": 4, "fleet": 8}


def test_volumes_of_one_shared_pool_are_made_one_after_the_other(parallel: Bench) -> None:
    parallel.with_base()
    gauge = Gauge(expected=1)
    parallel.fleet.on_mutation(gauge)

    outcomes = parallel.run(
        *(
            action(create_step(f"vm-{n}"), f"VirtualMachine/vm-{n}", host=host)
            for n, host in enumerate(["h1", "h2", "h1", "h2"])
        )
    )

    assert set(statuses(outcomes)) == {"done"}
    assert gauge.highest["fleet"] == 1
    assert {disk_volume(f"vm-{n}") for n in range(4)} <= set(parallel.volumes())


def test_long_upload_holds_up_nothing_else(parallel: Bench) -> None:
    """The upload waits for the disks that are made meanwhile, so it would never end if it held them up."""
    parallel.with_pool_and_network()
    made = threading.Event()

    def wait_in_upload(call: MutatingCall, phase: str) -> None:
        if (call.method, phase) == ("upload_volume", "during"):
            assert made.wait(timeout=20)
        if (call.method, phase) == ("define_domain", "after"):
            made.set()

    parallel.fleet.on_mutation(wait_in_upload)
    outcomes = parallel.run(
        action(upload_step(), "Image/debian", id="base"),
        *(
            action(create_step(f"vm-{n}", base=None, base_format=None), f"VirtualMachine/vm-{n}", id=f"disk-{n}")
            for n in range(6)
        ),
        action(define("vm-5"), "VirtualMachine/vm-5", id="define", after=[f"disk-{n}" for n in range(6)]),
    )

    assert set(statuses(outcomes)) == {"done"}


def test_progress_of_an_upload_is_told_by_action(bench: Bench) -> None:
    bench.with_pool_and_network()

    bench.run(action(upload_step(), "Image/debian", id="base"))

    assert {told[0] for told in bench.progress} == {"base"}
    done = [told[1] for told in bench.progress]
    assert done == sorted(done)


def test_volume_of_another_pool_key_is_not_locked(parallel: Bench) -> None:
    """Local pools of one name on two hosts are two pools."""
    parallel.desired = parallel.desired.__class__("g1", images=parallel.desired.images)
    parallel.with_base()
    gauge = Gauge(expected=2)
    parallel.fleet.on_mutation(gauge)

    outcomes = parallel.run(
        action(create_step("a"), "VirtualMachine/a", host="h1"),
        action(create_step("b"), "VirtualMachine/b", host="h2"),
    )

    assert set(statuses(outcomes)) == {"done"}
    assert POOL in parallel.h2.read().pools


def test_passes_at_the_same_time_share_the_lock_of_a_pool(parallel: Bench) -> None:
    """A later pass waits for the pool that an earlier one is working in, and then goes on."""
    parallel.with_base()
    gauge = Gauge(expected=1)
    parallel.fleet.on_mutation(gauge)
    found: list[Outcome] = []

    def one_pass(vm: str) -> None:
        found.extend(parallel.run(action(create_step(vm), f"VirtualMachine/{vm}", id=vm)))

    threads = [threading.Thread(target=one_pass, args=(f"vm-{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [outcome.status for outcome in found] == ["done"] * 6
    assert gauge.highest["fleet"] == 1


def test_what_has_waited_until_its_window_is_over_is_not_begun(bench: Bench) -> None:
    bench.with_pool_and_network()
    late = replace(action(create_step(), id="disk"), until=bench.clock.now())

    outcomes = bench.run(late, action(steps.DefineDomain(config("web")), id="define", after=["disk"]))

    assert statuses(outcomes) == ["skipped", "skipped"]
    assert "the time in which it may begin ended at" in outcomes[0].message


def test_the_end_of_its_window_is_no_failed_try_so_the_next_window_finds_no_pause(bench: Bench) -> None:
    bench.with_pool_and_network()
    late = replace(action(create_step(), id="disk"), until=bench.clock.now())

    bench.run(late)

    assert bench.ledger.failure("disk") is None
