"""What a domain has as a disk was finished, whatever an old copy of the ledger says."""

from __future__ import annotations

import pytest

from reconciler.ledger.finished import finished_volumes
from reconciler.model.ledger import VolumeIntent
from tests.support.fleets import Story, observed_pool, story, vm

ROOT = "prod.web.root.qcow2"


def running(*, shared: bool = True) -> Story:
    """`web` runs on h1."""
    return story(vm(placement={"hosts": ["h1"]}), shared=shared).converged()


def finished(fleet: Story, *intents: VolumeIntent, in_flight: frozenset[str] = frozenset()) -> set[VolumeIntent]:
    view = fleet.with_ledger(intents=frozenset(intents)).ledger
    return set(finished_volumes(view, fleet.inventory, fleet.specs, in_flight))


@pytest.mark.parametrize("host", ["h1", "h2"])
def test_a_disk_in_a_shared_pool_that_a_domain_uses_is_finished_whoever_made_it(host: str) -> None:
    intent = VolumeIntent("vms", ROOT, host)

    assert finished(running(), intent) == {intent}


def test_a_disk_in_a_local_pool_is_finished_where_the_domain_is() -> None:
    here, there = VolumeIntent("vms", ROOT, "h1"), VolumeIntent("vms", ROOT, "h2")

    assert finished(running(shared=False), here, there) == {here}


def test_a_disk_that_no_domain_uses_may_be_partial() -> None:
    assert finished(running().without_domain(), VolumeIntent("vms", ROOT, "h1")) == set()


def test_a_disk_of_that_name_in_another_pool_says_nothing() -> None:
    fleet = running().with_pool(observed_pool("fast"), on="h1")

    assert finished(fleet, VolumeIntent("fast", ROOT, "h1")) == set()


def test_what_was_seen_of_a_vm_that_is_being_worked_on_may_be_outdated() -> None:
    in_flight = frozenset({"VirtualMachine/web"})

    assert finished(running(), VolumeIntent("vms", ROOT, "h1"), in_flight=in_flight) == set()
