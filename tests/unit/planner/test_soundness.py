"""A mistake in the planner costs the objects that it concerns, and no others; the fleet's recoveries go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.model.ledger import Placement
from reconciler.planner import vms
from reconciler.planner.plan_check import PlanRejected
from reconciler.planner.soundness import blame, sound_plan
from reconciler.planner.world import make_world
from tests.support.fleets import NOW, POLICY, Story, story, vm


@pytest.fixture
def mistaken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The planner looks at the host that a VM was recovered from only, as it once did."""
    monkeypatch.setattr(vms, "decisive_home", lambda placement, _ledger, _read: placement.came_from or placement.host)
    return


def half_recovered() -> Story:
    """`web` was recovered from h1, which is dead, to h2, which is silent now; `new` was just committed."""
    fleet = story(vm(), hosts=3, shared=True).converged().lost("h1").proven("h1").lost("h2")
    return fleet.with_ledger(placements={"web": Placement("web", "h2", 2, NOW, ran=True, came_from="h1")}).with_specs(
        vm("new")
    )


def planned(fleet: Story) -> tuple[list[str], dict[str, str]]:
    """Actions, and the reason of each object that is left."""
    made = sound_plan(make_world(fleet.specs, fleet.inventory, fleet.ledger, POLICY, fleet.now))
    return [action.id for action in made.actions], {str(unmet.target): unmet.reason for unmet in made.unmet}


@pytest.mark.usefixtures("mistaken")
def test_what_breaks_a_rule_is_left_out_and_the_rest_is_done() -> None:
    actions, left = planned(half_recovered())

    assert actions
    assert not [each for each in actions if "web" in each]
    assert any("VirtualMachine/new" in each for each in actions)
    assert left["VirtualMachine/web"] == "unsound"


@pytest.mark.usefixtures("mistaken")
def test_the_object_says_which_rule_and_that_it_is_our_mistake() -> None:
    fleet = half_recovered()

    made = sound_plan(make_world(fleet.specs, fleet.inventory, fleet.ledger, POLICY, fleet.now))

    (told,) = (unmet for unmet in made.unmet if unmet.reason == "unsound")
    assert "web was placed on h2, which was not read" in told.detail
    assert told.severity == "blocked"
    assert "report it" in told.hint


def test_a_sound_plan_is_the_plan() -> None:
    fleet = half_recovered()

    assert sound_plan(make_world(fleet.specs, fleet.inventory, fleet.ledger, POLICY, fleet.now)) == fleet.plan()


@pytest.mark.parametrize(
    ("violation", "blamed"),
    [
        ("define-domain:VirtualMachine/a@h1 would define a on h1, but it exists on h2", {"a"}),
        ("the plan promises more memory on h1 than it has", {"a", "b", "debian", "vms", "lan"}),
        ("6 VMs would be on their way at once (a, c anew), and 5 may be", {"a"}),
        ("a is defined on h1 and on h2", {"a", "b", "debian", "vms", "lan"}),
        ("the world is upside down", set()),
    ],
)
def test_a_rule_costs_what_it_names(violation: str, blamed: set[str]) -> None:
    """Where it names no action, all that is planned for what it names."""
    made = story(vm("a"), vm("b"), hosts=1).plan()

    assert {target.name for target in blame(made, [violation])} == blamed


def test_a_mistake_that_no_object_can_be_blamed_for_rejects_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.planner.soundness.check", lambda *_: ("the world is upside down",))
    fleet = half_recovered()

    with pytest.raises(PlanRejected, match="upside down"):
        sound_plan(make_world(fleet.specs, fleet.inventory, fleet.ledger, POLICY, fleet.now))
