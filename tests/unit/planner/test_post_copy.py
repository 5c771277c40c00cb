"""What a plan does about guests of which some memory is on one host, and some on another."""

import pytest
from msgspec.structs import replace

from reconciler.model.policy import Migration as Rules
from reconciler.model.policy import Policy
from tests.support.fleets import FLEET, Story
from tests.unit.planner.test_moves import arrived, fleet, move_of, on_its_way, to_rack_b


def test_local_disks_never_go_by_post_copy() -> None:
    allowed = Policy(fleet=FLEET, migration=Rules(post_copy=True))
    local, shared = (replace(to_rack_b(fleet(shared=is_shared)), policy=allowed) for is_shared in (False, True))

    assert not move_of(local).rules.post_copy
    assert move_of(shared).rules.post_copy


@pytest.mark.parametrize("on_record", [True, False])
def test_halves_of_a_guest_whose_post_copy_was_cut_are_left_to_people(on_record: bool) -> None:
    seen = arrived(on_its_way(to_rack_b(fleet())))
    here = replace(seen.domain(), state="paused", reason="postcopy-failed")
    there = replace(seen.domain("web", "h2"), reason="postcopy-failed")
    broken = seen.with_domain(here).with_domain(there, "h2")
    moment = (broken if on_record else broken.with_ledger(migrations={})).noticed()

    told = moment.unmet()["conflict"]
    assert moment.kinds("VirtualMachine/web") == []
    assert "its post-copy was cut" in told.detail
    assert "h1.example" in told.hint
    assert "h2.example" in told.hint
    assert moment.ledger.placements["web"].host == "h1"


@pytest.mark.parametrize(("enabled", "planned"), [(True, ["stop-domain"]), (False, [])])
def test_half_of_a_guest_whose_other_half_is_proven_lost_is_ended_for_its_recovery(
    enabled: bool, planned: list[str]
) -> None:
    seen = arrived(on_its_way(to_rack_b(fleet(ha={"enabled": enabled}), ha={"enabled": enabled})))
    half = seen.with_domain(replace(seen.domain("web", "h2"), reason="postcopy-failed"), "h2")
    moment = half.lost("h1").proven("h1")

    assert moment.kinds("VirtualMachine/web") == planned
    assert half.lost("h1").kinds("VirtualMachine/web") == []
    assert bool(planned) != ("conflict" in moment.unmet())


def cut_with_its_source_in_sight(*, on_record: bool) -> Story:
    """h1 has the half that stands still; h2, where it ran last, does not answer."""
    seen = on_its_way(to_rack_b(fleet()))
    half = seen.with_domain(replace(seen.domain(), state="paused", reason="postcopy-failed")).lost("h2")
    return half if on_record else half.with_ledger(migrations={})


def test_both_halves_of_a_guest_are_to_be_given_up_though_only_one_is_in_sight() -> None:
    hint = cut_with_its_source_in_sight(on_record=True).unmet()["conflict"].hint

    assert "h1.example/system destroy web and virsh -c qemu+ssh://h2.example/system destroy web, both" in hint


def test_whoever_gives_up_half_a_guest_of_which_nothing_is_on_record_is_told_to_find_the_other_first() -> None:
    hint = cut_with_its_source_in_sight(on_record=False).unmet()["conflict"].hint

    assert "first the other half, wherever that is (on h2, out of sight); then virsh" in hint
