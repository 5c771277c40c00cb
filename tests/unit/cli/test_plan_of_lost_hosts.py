"""What a plan reads like when a host is lost: one golden file for each way in which that can go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.cli.dead_hosts import dead_hosts
from reconciler.cli.render_plan import PlanPage, render_plan
from reconciler.cli.step_words import disk_images
from reconciler.cli.terminal import Terminal
from reconciler.model.ledger import Failure
from reconciler.model.outcome import action_inputs
from reconciler.planner.what_if import if_down
from tests.conftest import Golden
from tests.support.fleets import GIB, NOW, Story, story, vm

_NAMES = ("web", "db")


def pinned(name: str, **spec: Any) -> Any:
    return vm(name, placement={"hosts": ["h1"]}, ha={"priority": 200 if name == "db" else 100}, **spec)


def before(hosts: int = 3, *, shared: bool = True, armed: bool = True, **spec: Any) -> Story:
    """`web` and `db` run on h1; its fence device has passed its test."""
    fleet = story(*(pinned(name) for name in _NAMES), hosts=hosts, shared=shared).converged()
    free = [vm(name, **{"ha": {"priority": 200 if name == "db" else 100}, **spec}) for name in _NAMES]
    fleet = fleet.with_specs(*free, without=[f"VirtualMachine/{name}" for name in _NAMES])
    return fleet.armed(*fleet.specs.hosts) if armed else fleet


def recovered() -> Story:
    return before().lost("h1").proven("h1").converged()


def failed() -> Story:
    fleet = before().lost("h1")
    action = fleet.action("fence-host")
    message = "level 1 (fence_ipmilan): no answer in time"
    failure = Failure(action.id, 3, message, permanent=False, not_before=NOW + 20, inputs=action_inputs(action))
    return fleet.with_ledger(failures={action.id: failure})


def too_small() -> Story:
    fleet = before(hosts=2, memory="3GiB").lost("h1").proven("h1")
    return fleet.with_host("h2", facts=replace(fleet.inventory.hosts["h2"].facts, memory=4 * GIB))


def equal_epochs() -> Story:
    fleet = before()
    return fleet.with_domain(replace(fleet.domain("web"), state="shutoff", live=None), on="h2")


def supposed() -> Story:
    fleet = before()
    inventory, ledger = if_down(fleet.specs, fleet.inventory, fleet.ledger, ["h1"], fleet.now)
    return replace(fleet, inventory=inventory, ledger=ledger)


STORIES: dict[str, Callable[[], Story]] = {
    "fenced-now": lambda: before().lost("h1"),
    "proven-dead": lambda: before().lost("h1").proven("h1"),
    "recovered": recovered,
    "no-device": lambda: before(armed=False).lost("h1"),
    "device-not-tested": lambda: before().lost("h1").with_ledger(fence_tests={}),
    "all-levels-failed": failed,
    "brake": lambda: before().lost("h1").in_state("h2", "suspect"),
    "quiet-period": lambda: before().lost("h1").with_ledger(quiet=True),
    "proven-in-the-quiet-period": lambda: before().lost("h1").proven("h1").with_ledger(quiet=True),
    "local-disks": lambda: before(shared=False).lost("h1").proven("h1"),
    "local-disks-rebuilt": lambda: before(shared=False, ha={"onHostLoss": "rebuild"}).lost("h1").proven("h1"),
    "no-ha": lambda: before(ha={"enabled": False}).lost("h1").proven("h1"),
    "room-for-one": too_small,
    "returned-with-old-copies": lambda: recovered().returned(before(), "h1"),
    "equal-epochs": equal_epochs,
    "supposed-down": supposed,
}


@pytest.mark.parametrize("name", STORIES)
def test_the_plan_reads_as_in_the_golden_file(name: str, golden: Golden) -> None:
    fleet = STORIES[name]()
    unread = tuple(fleet.inventory.unread[host] for host in sorted(fleet.inventory.unread))

    dead = dead_hosts(fleet.ledger, fleet.inventory.unread)
    text = render_plan(PlanPage(fleet.plan(), fleet.now, disk_images(fleet.specs), unread, dead=dead), Terminal())

    golden(f"lost-host-{name}.txt", text)
