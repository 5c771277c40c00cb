"""The seed of a VM that was moved away from local disks does not stay on its old host: it may hold secrets."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.steps import DeleteVolume, MigrateDomain
from reconciler.planner.plan_check import check
from tests.support.fleets import Story, host, story, vm

SEEDED = {"cloudInit": {"userData": "#cloud-config\n"}}


def drained() -> Story:
    """A VM with a seed, in a pool of its host alone, that is to leave h1."""
    there = story(vm(**SEEDED), host("h2", state="cordoned"), hosts=2).converged()
    return there.with_specs(host("h1", state="maintenance"), host("h2"), without=["Host/h1", "Host/h2"])


def seeds(of: Story, on: str) -> list[str]:
    return sorted(name for name in of.inventory.hosts[on].pools["vms"].volumes or {} if name.endswith(".iso"))


def moved() -> Story:
    """It has just arrived."""
    there = drained()
    for _ in range(3):
        if "web" in there.inventory.hosts["h2"].domains:
            return there
        there = there.applied()
    raise AssertionError


def test_the_seed_goes_from_the_host_that_its_vm_has_left() -> None:
    done = moved().converged()

    assert seeds(done, "h1") == []
    assert len(seeds(done, "h2")) == 1
    assert done.plan().empty


def test_the_seed_stays_while_it_is_not_certain_where_its_vm_is() -> None:
    there = moved()

    for unsure in (there.losing_sight_of("h2"), there.with_ledger(in_flight=frozenset({"VirtualMachine/web"}))):
        assert [a for a in unsure.plan().actions if isinstance(a.step, DeleteVolume) and a.host == "h1"] == []


def moving_back() -> Story:
    """The disk that it had left on h1 is gone from there already, the seed is not."""
    there = moved()
    found = there.inventory.hosts["h1"].pools["vms"]
    volumes = {name: known for name, known in (found.volumes or {}).items() if "root" not in name}
    there = there.with_pool(replace(found, volumes=volumes), "h1").with_ledger(left_behind=frozenset())
    return there.with_specs(host("h1"), host("h2", state="maintenance"), without=["Host/h1", "Host/h2"])


def test_a_seed_that_was_left_is_not_collected_under_a_vm_that_is_moved_back() -> None:
    back = moving_back()
    steps = [action.step for action in back.plan().actions]
    done = back.converged()

    assert [step.target for step in steps if isinstance(step, MigrateDomain)] == ["h1"]
    assert all(not step.volume.endswith(".iso") for step in steps if isinstance(step, DeleteVolume))
    assert len(seeds(done, "h1")) == 1
    assert seeds(done, "h2") == []


def test_a_plan_that_deletes_the_seed_where_its_vm_goes_is_rejected() -> None:
    there = moving_back()
    plan = there.plan()
    move = next(action for action in plan.actions if isinstance(action.step, MigrateDomain))
    gone = replace(move, id="delete", step=DeleteVolume("vms", seeds(there, "h1")[0]))

    found = check(
        replace(plan, actions=(gone, *plan.actions)), there.specs, there.inventory, there.ledger, there.policy
    )

    assert any("would delete the seed of web" in violation for violation in found)
