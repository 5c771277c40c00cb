"""What is made of QEMU's lock on a disk: somebody may have taken a living host for dead."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.ledger import Failure
from reconciler.model.outcome import action_inputs
from reconciler.model.plan import Unmet
from tests.support.fleets import NOW, Story, story, vm

LOCK = 'internal error: process exited: Failed to get "write" lock'


def locked(fleet: Story) -> Unmet:
    """What the VM waits for once its start has met the lock."""
    start = fleet.action("start-domain")
    failure = Failure(start.id, 1, LOCK, permanent=False, not_before=NOW + 5, inputs=action_inputs(start))
    return fleet.with_ledger(failures={start.id: failure}).unmet()["disk-locked"]


def recovered() -> Story:
    """`web` was on h1, which somebody has confirmed to be dead, and is to be started elsewhere."""
    return story(vm(), hosts=3, shared=True).converged().lost("h1").proven("h1")


def test_a_lock_met_after_a_recovery_names_the_host_that_seems_to_live_and_who_took_it_for_dead() -> None:
    unmet = locked(recovered())

    assert "h1, confirmed dead by ann, seems to run it" in unmet.detail
    assert unmet.hint.startswith("cut the power of h1")
    assert unmet.severity == "blocked"


def test_the_host_that_the_vm_came_from_is_named_where_several_count_as_dead() -> None:
    fleet = recovered().lost("h2").proven("h2")
    placement = replace(fleet.ledger.placements["web"], came_from="h2")

    unmet = locked(fleet.with_ledger(placements={"web": placement}))

    assert "h2, confirmed dead by ann, seems to run it" in unmet.detail


def test_a_lock_met_without_a_lost_host_names_none() -> None:
    unmet = locked(story(vm(), hosts=1).converged().without_domain())

    assert "another QEMU has its disk open, here or on another host" in unmet.detail


def test_any_other_failure_is_waited_for_as_before() -> None:
    fleet = recovered()
    start = fleet.action("start-domain")
    failure = Failure(start.id, 1, "no memory", permanent=False, not_before=NOW + 5, inputs=action_inputs(start))

    assert "backoff" in fleet.with_ledger(failures={start.id: failure}).unmet()
