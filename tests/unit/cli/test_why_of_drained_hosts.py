"""What `why` and `plan` tell of a host that is emptied, that was, or that left the specs before it was."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.cli.command_line import BARE
from reconciler.cli.plan_page import page_of
from reconciler.cli.render_plan import render_plan
from reconciler.cli.render_status import render_status
from reconciler.cli.render_why import Story as Asked
from reconciler.cli.render_why import render_why
from reconciler.cli.summary import FAILED, WAITING, verdict_of
from reconciler.cli.terminal import Terminal
from reconciler.daemon.view import View
from reconciler.model.health import Incident
from reconciler.model.outcome import Outcome
from reconciler.planner.fleet_status import fleet_status
from tests.support.fleets import Story, ref, vm
from tests.unit.planner.test_drain import fleet, settled


def view(now: Story) -> View:
    plan = now.plan()
    status = fleet_status(now.specs, now.inventory, now.ledger, now.policy, plan, now.now)
    return View(now.specs, now.inventory, now.ledger, plan, status, now.now)


def why(now: Story, host: str = "Host/h1") -> str:
    return render_why(Asked(ref(host), view(now), ()), Terminal(width=200))


def test_a_drain_that_is_stuck_names_the_vms_that_are_left() -> None:
    text = why(fleet(vm(placement={"onDrain": "block"})))

    assert "being emptied: 1 VM left, 1 of them can't be moved" in text
    assert "VirtualMachine/web: it is on h1, which is in maintenance; onDrain: block leaves it to you" in text
    assert "reconciler why VirtualMachine/web" in text
    assert "in sync" not in text


def switched_off(now: Story) -> Story:
    """h1 does not answer any more, and nothing is proven of it."""
    unread = now.losing_sight_of("h1")
    return unread.with_ledger(incidents={"h1": Incident("1f2e", "h1", now.now, now.now - 9)})


def test_a_drained_host_that_was_switched_off_is_not_said_to_run_vms() -> None:
    off = switched_off(settled(fleet(vm())))

    assert "may still run" not in why(off)
    assert "none: no VM of the fleet is placed there" in why(off)
    assert "no VM of the fleet is placed there" in render_plan(page_of(view(off), BARE), Terminal(width=200))
    assert "out-of-service · maintenance" in why(off)


def test_a_planned_outage_is_neither_a_bad_host_nor_a_reason_to_look_further() -> None:
    off = view(switched_off(settled(fleet(vm()))))
    text = render_status(off.status, Terminal(width=200))
    verdict = verdict_of(off, (), settled=True)

    assert text.startswith("✔ healthy and in sync")
    assert "out-of-service" in text
    assert (verdict.code, verdict.unseen) == (0, ())


def test_a_host_that_carries_a_vm_and_is_silent_stays_a_reason_to_look_further() -> None:
    off = view(switched_off(fleet(vm())))

    assert render_status(off.status, Terminal(width=200)).startswith("✗ 1 host unreachable")
    assert verdict_of(off, (), settled=True).code == WAITING


def test_a_host_that_was_switched_off_before_it_was_empty_may_still_run_vms() -> None:
    off = switched_off(fleet(vm()))

    assert "its VMs may still run there" in why(off)
    assert "its VMs are unknown, not absent" in render_plan(page_of(view(off), BARE), Terminal(width=200))


def test_a_host_that_left_the_specs_before_it_was_empty_tells_what_is_placed_there() -> None:
    there = fleet(vm())
    hosts = {name: spec for name, spec in there.specs.hosts.items() if name != "h1"}
    sources = {target: place for target, place in there.specs.sources.items() if target != ref("Host/h1")}

    text = why(replace(there, specs=replace(there.specs, hosts=hosts, sources=sources)))

    assert "these are still placed there: web" in text
    assert "put Host/h1 back until they are elsewhere" in text


def test_a_move_that_failed_counts_as_failed_while_it_waits_for_its_next_try() -> None:
    now = view(fleet(vm()))
    key = "migrate-domain:VirtualMachine/web@h2"
    waiting = replace(now, plan=replace(now.plan, actions=(), held=(key,)))

    verdict = verdict_of(waiting, (Outcome(key, "failed", "it stays on h1"),), settled=False)

    assert (verdict.code, verdict.sentence) == (FAILED, "not converged: 0 actions done, 1 failed")
