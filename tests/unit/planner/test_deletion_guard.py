"""More deletions at once than anybody is likely to mean wait for a human's word on these very ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.mass_deletion import Deletion, limit_of
from reconciler.model.policy import MassDeletionRule, Policy
from reconciler.planner.plan_check import check
from reconciler.planner.planner import plan as make_plan
from tests.support.fleets import FLEET, Story, host, story, vm

WEEK = 7 * 86400.0


def fleet_of(number: int, *, without: int, **spec: object) -> Story:
    """VMs web-1, web-2 … that run, of which the last `without` left the specs."""
    names = [f"web-{index + 1}" for index in range(number)]
    full = story(*(vm(name, **spec) for name in names), hosts=2, memory=256 << 30, cpus=64).converged()
    return full.with_specs(without=[f"VirtualMachine/{name}" for name in names[number - without :]])


def held(fleet: Story) -> list[str]:
    return [unmet.target.name for unmet in fleet.plan().unmet if unmet.reason == "mass-deletion"]


def accepted(fleet: Story) -> Story:
    mass = fleet.plan().mass_deletion
    assert mass is not None
    return fleet.with_ledger(accepted_deletions=frozenset(mass.deletions))


def test_a_single_vm_is_never_held() -> None:
    assert fleet_of(1, without=1).kinds() == ["stop-domain", "undefine-domain"]


def test_two_vms_of_three_are_held_and_what_lifts_it_is_told() -> None:
    fleet = fleet_of(3, without=2)

    assert fleet.plan().empty
    assert held(fleet) == ["web-2", "web-3"]
    mass = fleet.plan().mass_deletion
    assert mass is not None
    assert (
        fleet.unmet("VirtualMachine/web-2")["mass-deletion"].hint == f"reconciler accept-deletions {mass.fingerprint}"
    )


def test_what_was_accepted_goes_and_nothing_else() -> None:
    fleet = accepted(fleet_of(4, without=2))

    more = fleet.with_specs(without=["VirtualMachine/web-1", "VirtualMachine/web-2"])

    assert fleet.kinds() == ["stop-domain", "stop-domain", "undefine-domain", "undefine-domain"]
    assert {action.target.name for action in more.plan().actions} == {"web-3", "web-4"}
    assert held(more) == ["web-1", "web-2"]


def test_what_is_left_of_an_accepted_set_goes_on() -> None:
    fleet = accepted(fleet_of(4, without=3)).without_domain("web-4").without_domain("web-4", on="h2")

    assert held(fleet) == []
    assert {action.target.name for action in fleet.plan().actions} == {"web-2", "web-3"}


def test_a_vm_is_not_removed_with_its_disks_where_its_removal_was_accepted_without() -> None:
    fleet = fleet_of(3, without=2, deletionPolicy="delete")
    meant = frozenset({Deletion("web-2", "removed"), Deletion("web-3", "removed")})

    assert held(fleet.with_ledger(accepted_deletions=meant)) == ["web-2", "web-3"]


def test_hosts_out_of_sight_make_no_mass_deletion_a_small_one() -> None:
    fleet = fleet_of(4, without=4)
    here = list(fleet.inventory.hosts["h1"].domains)
    assert 0 < len(here) < 4

    assert fleet.losing_sight_of("h2").plan().empty


def test_protected_and_held_vms_are_not_counted() -> None:
    fleet = fleet_of(3, without=2)

    assert fleet.with_ledger(paused=frozenset({"VirtualMachine/web-3"})).kinds() == ["stop-domain", "undefine-domain"]


def test_a_policy_may_let_more_go() -> None:
    fleet = fleet_of(3, without=2)
    policy = Policy(fleet=FLEET, mass_deletion=MassDeletionRule(share=0.7))

    assert held(replace(fleet, policy=policy)) == []


def test_expiries_are_counted_too_but_for_what_was_given_up() -> None:
    gone = accepted(fleet_of(2, without=2)).converged().with_ledger(accepted_deletions=frozenset())
    due = replace(gone, now=gone.now + WEEK, ledger=replace(gone.ledger, counted=WEEK))

    assert due.plan().empty
    assert held(due) == ["web-1", "web-2"]
    assert accepted(due).kinds() == ["delete-volume", "delete-volume"]
    purged = tuple(replace(stone, purged=True) for stone in due.ledger.tombstones)
    assert due.with_ledger(tombstones=purged).kinds() == ["delete-volume", "delete-volume"]


def test_a_plan_that_takes_many_away_unasked_is_refused() -> None:
    fleet = accepted(fleet_of(3, without=2))
    made = make_plan(fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, fleet.now)

    unasked = replace(fleet.ledger, accepted_deletions=frozenset())

    assert "nobody has accepted that" in " ".join(check(made, fleet.specs, fleet.inventory, unasked, fleet.policy))


@given(st.integers(0, 1000), st.floats(0.01, 1.0), st.integers(1, 100), st.integers(0, 200), st.integers(0, 200))
def test_what_was_let_through_is_not_held_half_way(
    managed: int, share: float, count: int, gone: int, done: int
) -> None:
    if gone <= min(managed, limit_of(managed, share, count)) and done <= gone:
        left = gone - done
        assert left <= limit_of(managed - done, share, count) or left == 0


def test_hosts_are_no_part_of_it() -> None:
    fleet = fleet_of(3, without=0).with_specs(host("h3"))

    assert held(fleet) == []
