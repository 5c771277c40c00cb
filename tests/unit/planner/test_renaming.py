"""A VM of the specs that has another name than its domain, and one that may have."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.domain import DomainState
from reconciler.model.ledger import Failure, LedgerView, Placement
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.former_names import under_former_names
from reconciler.planner.renaming import renamed
from tests.support.fleets import FLEET, Story, story, vm


def named(name: str, previous: str | None = None, **spec: Any) -> VirtualMachine:
    made = vm(name, **spec)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"previous_name": previous})})


def after(old: VirtualMachine, new: VirtualMachine) -> Story:
    """A fleet that runs `old`, whose specs have `new` instead."""
    fleet = story(old).converged()
    return fleet.with_specs(new, without=[f"VirtualMachine/{old.name}"])


def test_two_that_differ_are_a_removal_and_a_new_vm() -> None:
    fleet = after(vm("web"), vm("shop", memory="3GiB"))

    assert {action.target.name for action in fleet.plan().actions} == {"web", "shop", "debian"}


@pytest.mark.parametrize("previous", [None, "wbe"])
def test_two_that_are_alike_are_neither_removed_nor_made(previous: str | None) -> None:
    fleet = after(vm("web"), named("shop", previous))

    plan = fleet.plan()

    assert plan.actions == ()
    assert {(str(unmet.target), unmet.reason) for unmet in plan.unmet} == {
        ("VirtualMachine/shop", "maybe-renamed"),
        ("VirtualMachine/web", "maybe-renamed"),
    }


def test_one_that_waited_before_the_other_left_is_none_that_was_renamed() -> None:
    fleet = after(vm("web"), vm("shop")).with_ledger(awaited=frozenset({"shop"}))

    assert {action.target.name for action in fleet.plan().actions} == {"web", "shop", "debian"}


@pytest.mark.parametrize("state", ["running", "shutoff"])
def test_one_that_could_not_be_renamed_goes_on_under_its_old_name(state: DomainState) -> None:
    """It is started, and is not shut down for that again."""
    fleet = after(vm("web", updatePolicy="restart"), named("shop", "web", updatePolicy="restart"))
    action = "rename-domain:VirtualMachine/web@h1"
    failed = fleet.with_ledger(failures={action: Failure(action, 1, "it has checkpoints", True, 0.0, "")})
    domain = failed.domain()
    off = replace(domain, state=state, live=domain.live if state == "running" else None)
    known = failed.with_domain(off)
    known = replace(known, specs=under_former_names(known.specs, known.inventory, known.ledger, FLEET))

    plan = known.plan()

    assert [each.kind for each in plan.actions] == (["start-domain"] if state == "shutoff" else [])
    assert "it has checkpoints" in known.unmet()["rename-pending"].detail
    assert action in plan.held


def test_it_goes_by_its_old_name_while_its_host_is_out_of_sight() -> None:
    """Its placement alone is known: it may run there, so that no second one is made of it elsewhere."""
    fleet = after(vm("web"), named("shop", "web"))
    ledger = LedgerView(placements={"web": Placement("web", "h1", 1, 0.0)})
    unseen = type(fleet.inventory)(hosts={})

    desired = under_former_names(fleet.specs, unseen, ledger, FLEET)

    assert ({*desired.vms}, dict(desired.to_rename)) == ({"web"}, {"web": "shop"})


def test_one_that_was_renamed_before_is_known_by_its_volumes_while_its_host_is_out_of_sight() -> None:
    fleet = after(vm("web"), named("store", "web"))
    ledger = LedgerView(
        placements={"shop": Placement("shop", "h1", 1, 0.0)},
        disk_volumes={("shop", "root"): f"{FLEET}.web.root.qcow2"},
    )
    unseen = type(fleet.inventory)(hosts={})

    desired = under_former_names(fleet.specs, unseen, ledger, FLEET)

    assert dict(desired.to_rename) == {"shop": "store"}
    assert desired.vms["shop"].metadata.origin == "web"


def test_a_domain_that_is_renamed_tells_what_it_was_made_as_and_is_else_as_it_was() -> None:
    domain = story(vm("web")).converged().domain()
    mark = domain.config.mark
    assert mark is not None

    config = renamed(domain.config, mark, "shop")

    assert config.mark is not None
    assert (config.name, config.mark.vm, config.mark.origin, config.mark.adopted) == (
        "shop",
        "shop",
        "web",
        domain.uuid,
    )
    assert renamed(config, config.mark, "web") == domain.config
