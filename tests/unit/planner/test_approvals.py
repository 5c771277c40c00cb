"""What hurts as much as the policy says waits for a committed Approval of just that; failures wait for none."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from reconciler.model.approval import Approval
from reconciler.model.plan import Plan
from reconciler.model.policy import Policy
from reconciler.planner.plan_check import check
from reconciler.planner.planner import plan as make_plan
from tests.support.fleets import FLEET, NOW, Story, story, vm
from tests.unit.planner.test_restoration import asked, kept, version

_ALL = ("reboot", "rebuild", "destroy", "data-loss")


def asking(fleet: Story, *disruptions: str) -> Story:
    policy = Policy.model_validate(
        {
            "fleet": FLEET,
            "requireApproval": [*(disruptions or _ALL[1:])],
            "massDeletion": {"share": 1.0, "count": 9},
        }
    )
    return replace(fleet, policy=policy)


def approved(fleet: Story, *fingerprints: str, **spec: Any) -> Story:
    approval = Approval.model_validate(
        {
            "apiVersion": "reconciler/v1",
            "kind": "Approval",
            "metadata": {"name": "go"},
            "spec": {"fingerprints": [*fingerprints], **spec},
        }
    )
    specs = replace(fleet.specs, approvals={"go": approval}, generation="the commit of the approval")
    return replace(fleet, specs=specs)


def removed(**spec: Any) -> Story:
    """A running VM whose spec is taken out."""
    return asking(story(vm(**spec)).converged().with_specs(without=["VirtualMachine/web"]))


def wanted(fleet: Story) -> str:
    (found,) = fleet.plan().wanted_approvals
    return found.fingerprint


def test_a_removal_waits_and_tells_what_to_commit() -> None:
    fleet = removed()

    held = fleet.unmet()["approval-wanted"]

    assert fleet.plan().empty
    assert held.severity == "blocked"
    assert held.detail.endswith("(destroy) waits for somebody's approval")
    assert held.hint == f"commit an Approval with fingerprints: [{wanted(fleet)}]"


def test_the_committed_approval_lets_it_go_and_is_named() -> None:
    fleet = approved(removed(), wanted(removed()))

    assert fleet.kinds() == ["stop-domain", "undefine-domain"]
    assert "approval-wanted" not in fleet.unmet()
    assert {action.detail.rpartition("; ")[2] for action in fleet.plan().actions if action.approval} == {
        "approved by Approval/go"
    }


def test_what_was_approved_is_brought_to_its_end() -> None:
    """Cut off after the guest was shut down, the rest is still covered."""
    fleet = approved(removed(), wanted(removed()))
    stopped = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))

    assert stopped.kinds() == ["undefine-domain"]


def test_the_word_for_one_vm_is_none_for_another_nor_for_another_wish() -> None:
    two = story(vm(), vm("db")).converged().with_specs(without=["VirtualMachine/web", "VirtualMachine/db"])
    both = asking(two).plan().wanted_approvals
    deleted = removed(deletionPolicy="delete")

    assert len({each.fingerprint for each in both}) == 2
    assert approved(deleted, wanted(removed())).plan().empty
    assert not approved(deleted, wanted(deleted)).plan().empty


def test_an_approval_that_has_expired_lets_nothing_go() -> None:
    # NOW is 1970-01-12 13:46:40 UTC.
    fleet = removed()

    assert not approved(fleet, wanted(fleet), expires="1970-01-12T13:47Z").plan().empty
    assert approved(fleet, wanted(fleet), expires="1970-01-12T13:46Z").plan().empty


def test_a_restore_waits_before_the_guest_is_shut_down() -> None:
    fleet = asking(asked(kept(story(vm(), hosts=1).converged(), version()), image="golden"))

    assert "stop-domain" not in fleet.kinds()
    assert "stop-domain" in approved(fleet, wanted(fleet)).kinds()


def test_what_hurts_less_than_is_asked_about_waits_for_nobody() -> None:
    bigger = story(vm(updatePolicy="restart")).converged().with_specs(vm(updatePolicy="restart", memory="2GiB"))

    assert "stop-domain" in asking(bigger).kinds()
    assert "stop-domain" not in asking(bigger, "reboot").kinds()


def test_a_vm_that_ended_by_itself_is_started_without_asking() -> None:
    fleet = asking(story(vm()).converged(), *_ALL)
    ended = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))

    assert ended.kinds() == ["start-domain"]


def test_a_plan_without_its_approval_breaks_a_rule() -> None:
    fleet = removed()
    careless = make_plan(fleet.specs, fleet.inventory, fleet.ledger, Policy(fleet=FLEET), NOW)

    assert any("without an Approval" in each for each in violations(fleet, careless))
    let_go = approved(fleet, wanted(fleet))
    assert violations(let_go, let_go.plan()) == ()


def violations(fleet: Story, plan: Plan) -> tuple[str, ...]:
    return check(plan, fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, NOW)


@pytest.mark.parametrize(
    "spec",
    [
        {"fingerprints": []},
        {"fingerprints": ["web-1"]},
        {"fingerprints": ["0123456789ab"], "expires": "tomorrow"},
    ],
)
def test_an_approval_of_nothing_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Approval.model_validate(
            {"apiVersion": "reconciler/v1", "kind": "Approval", "metadata": {"name": "go"}, "spec": spec}
        )
