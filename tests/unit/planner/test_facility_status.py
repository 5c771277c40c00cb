"""What `status` says of pools and networks, and of images that lie in them."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.ledger import Failure
from reconciler.model.outcome import action_inputs
from reconciler.model.status import FacilityStatus, FleetStatus
from reconciler.planner.fleet_status import fleet_status
from tests.support.fleets import NOW, Story, network, observed_network, observed_pool, pool, story, vm


def status(told: Story) -> FleetStatus:
    return fleet_status(told.specs, told.inventory, told.ledger, told.policy, told.plan(), told.now)


def vms(told: Story) -> FacilityStatus:
    return next(found for found in status(told).pools if found.name == "vms")


def stopped(*names: str) -> Story:
    fleet = story(vm(), hosts=3).converged()
    for name in names:
        known = fleet.inventory.hosts[name].pools["vms"]
        fleet = fleet.with_pool(replace(known, active=False, volumes=None), name)
    return fleet


def failed(fleet: Story) -> Story:
    failures = {
        action.id: Failure(action.id, 2, "cannot open directory", True, NOW + 500, action_inputs(action))
        for action in fleet.plan().actions
    }
    return fleet.with_ledger(failures=failures)


def test_pools_and_networks_that_are_as_in_the_specs_are_in_sync_on_their_hosts() -> None:
    told = status(story(vm(), network(mode="isolated", hosts={"names": ["h2"]}), hosts=2).converged())

    assert [(found.name, found.sync, found.hosts, found.message) for found in (*told.pools, *told.networks)] == [
        ("vms", "in-sync", ("h1", "h2"), ""),
        ("lan", "in-sync", ("h2",), ""),
    ]
    assert told.healthy


def test_a_pool_that_failed_is_told_of_with_its_hosts_and_the_fleet_is_not_healthy() -> None:
    told = failed(stopped("h1", "h2", "h3"))

    assert vms(told).sync == "blocked"
    assert vms(told).message.startswith("failed on h1, h2, h3: start: cannot open directory")
    assert not status(told).healthy


def test_a_pool_that_is_about_to_be_started_says_so() -> None:
    found = vms(stopped("h2"))

    assert (found.sync, found.message) == ("out-of-sync", "start on h2")


def test_a_network_that_another_has_the_name_of_is_blocked() -> None:
    foreign = observed_network(uuid="another", mode="nat")
    told = status(story(vm(), hosts=1).with_network(foreign))

    assert [(found.name, found.sync) for found in told.networks] == [("lan", "blocked")]
    assert told.networks[0].message.startswith("conflict on h1: ")


def test_hosts_out_of_sight_are_told_of() -> None:
    fleet = story(vm(), hosts=2).converged()

    assert vms(fleet.losing_sight_of("h2")).message == "h2 not seen"
    assert vms(fleet.losing_sight_of("h2")).sync == "in-sync"
    assert vms(fleet.losing_sight_of("h1", "h2")).sync == "unknown"


def test_an_image_in_a_pool_that_is_not_active_is_not_called_unused() -> None:
    told = status(stopped("h1", "h2", "h3"))

    assert told.images[0].message == "not in any pool that can be read"


def test_an_image_that_no_vm_has_a_disk_of_is_not_used_yet() -> None:
    assert status(story(pool(), hosts=1).with_pool(observed_pool())).images[0].message == "not used yet"
