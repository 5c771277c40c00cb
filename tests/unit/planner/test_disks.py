"""Volumes of a VM: made from what, grown, never shrunk, never moved, never replaced by an empty one."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reconciler.model.ledger import VolumeIntent
from reconciler.model.steps import CreateVolume, GrowDisk, GrowVolume
from tests.support.fleets import DIGEST, GIB, Spec, Story, facts, image, observed_pool, pool, story, vm, volume

ROOT = "prod.web.root.qcow2"
BASE = f"prod.base-{DIGEST[7:39]}.qcow2"


def disk(**fields: Any) -> dict[str, Any]:
    return {"name": "root", "pool": "vms", "size": "10GiB", **fields}


def created(fleet: Story) -> CreateVolume:
    step = fleet.action("create-volume").step
    assert isinstance(step, CreateVolume)
    return step


def running(**spec: Any) -> Story:
    return story(vm(**spec)).converged()


def off(fleet: Story) -> Story:
    return fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))


def test_a_linked_disk_is_an_overlay_on_the_base_of_its_pool() -> None:
    step = created(story(vm(disks=[disk(image="debian")])))

    assert (step.base, step.base_format, step.clone, step.capacity) == (BASE, "qcow2", "linked", 10 * GIB)


def test_a_full_disk_is_a_copy_of_the_base_and_may_be_raw() -> None:
    step = created(story(vm(disks=[disk(image="debian", clone="full", format="raw")])))

    assert (step.volume, step.format, step.clone) == ("prod.web.root.raw", "raw", "full")


def test_a_blank_disk_needs_no_image() -> None:
    step = created(story(vm(disks=[disk()])))

    assert (step.base, step.capacity) == (None, 10 * GIB)


def test_without_a_size_a_disk_is_as_large_as_its_image() -> None:
    step = created(story(vm(disks=[{"name": "root", "pool": "vms", "image": "debian"}])))

    assert step.capacity == 2 * GIB


def test_a_size_that_only_the_fetched_image_tells_is_waited_for() -> None:
    fleet = story(vm(disks=[{"name": "root", "pool": "vms", "image": "debian"}]))
    unknown = fleet.with_image(facts(cached=False, virtual_size=None))

    assert "define-domain" not in unknown.kinds()
    assert "fetch-image" in unknown.kinds()
    assert "fetched first" in unknown.unmet()["image-unavailable"].detail
    assert unknown.converged().domain().state == "running"


def test_a_disk_smaller_than_its_image_is_refused_before_anything_is_uploaded() -> None:
    fleet = story(vm(disks=[disk(image="debian", size="1GiB")]))

    assert "upload-image" not in fleet.kinds()
    assert fleet.unmet()["spec-invalid"].hint.startswith("write size: 2GiB")


def test_a_disk_of_a_running_guest_grows_under_it() -> None:
    fleet = running().with_specs(vm(disks=[disk(image="debian", size="20GiB")]))

    grow = fleet.action("grow-disk")

    assert isinstance(grow.step, GrowDisk)
    assert (grow.disruption, grow.step.capacity) == ("live", 20 * GIB)
    assert [(c.field, c.old, c.new) for c in grow.changes] == [("disks[root].size", "10GiB", "20GiB")]


def test_a_disk_of_a_guest_that_is_off_grows_as_a_volume() -> None:
    fleet = off(running(runStrategy="Manual")).with_specs(
        vm(runStrategy="Manual", disks=[disk(image="debian", size="20GiB")])
    )

    assert isinstance(fleet.action("grow-volume").step, GrowVolume)


def test_a_disk_never_shrinks() -> None:
    fleet = running().with_specs(vm(disks=[disk(image="debian", size="5GiB")]))

    refused = fleet.unmet()["immutable"]

    assert fleet.plan().empty
    assert refused.severity == "blocked"
    assert refused.hint == "write size: 10GiB"


def test_what_a_guest_wrote_into_its_raw_disk_changes_nothing_of_it() -> None:
    """Its host says the format and size of the header that stands there: neither is believed."""
    raw = {"size": "10GiB", "format": "raw"}
    fleet = running(disks=[disk(**raw)])
    written = fleet.with_volumes(volume("prod.web.root.raw", format="qcow2", capacity=1 * GIB))

    assert written.plan().empty
    assert written.unmet()["disk-disguised"].severity == "info"
    assert "passes for qcow2" in written.unmet()["disk-disguised"].detail


def test_another_pool_in_the_spec_never_makes_an_empty_disk_in_place_of_the_old_one() -> None:
    fleet = running().with_specs(pool("fast"), vm(disks=[disk(image="debian", pool="fast")]))

    refused = fleet.unmet()["immutable"]

    assert fleet.kinds("VirtualMachine/web") == []
    assert refused.detail == "disk root is in pool vms; moving it is not done"
    assert [(c.field, c.old, c.new) for c in refused.changes] == [("disks[root].pool", "vms", "fast")]


def test_another_format_in_the_spec_never_makes_an_empty_disk_in_place_of_the_old_one() -> None:
    fleet = running().with_specs(vm(disks=[disk(image="debian", clone="full", format="raw")]))

    assert fleet.plan().empty
    assert fleet.unmet()["immutable"].detail == "disk root is qcow2; converting it is not done"


def test_another_pool_in_the_spec_is_refused_also_where_the_disk_was_detached_or_the_domain_is_gone() -> None:
    moved: list[Spec] = [pool("fast"), vm(disks=[disk(image="debian", pool="fast")])]

    detached = running().edited(live=True, disks=()).with_specs(*moved)
    undefined = running().without_domain().with_specs(*moved)

    assert "moving it is not done" in detached.unmet()["immutable"].detail
    assert "moving it is not done" in undefined.unmet()["immutable"].detail
    assert undefined.kinds("VirtualMachine/web") == []


def test_a_volume_that_vanished_under_a_running_vm_is_not_replaced_by_an_empty_one() -> None:
    fleet = running().with_volumes(without=[ROOT])

    assert fleet.kinds("VirtualMachine/web") == []
    assert ROOT in fleet.unmet()["disk-damaged"].detail


def test_a_volume_that_vanished_under_a_vm_that_is_off_is_not_replaced_by_an_empty_one() -> None:
    fleet = off(running()).with_volumes(without=[ROOT])

    assert fleet.kinds("VirtualMachine/web") == []
    assert "is not in pool vms" in fleet.unmet()["disk-damaged"].detail


def test_a_vm_waits_for_its_pool_to_be_started_and_its_disks_are_kept() -> None:
    fleet = off(running()).with_pool(observed_pool(active=False, volumes=None))

    assert fleet.kinds() == ["start-pool", "start-domain"]
    assert fleet.action("start-domain").after == ("start-pool:StoragePool/vms@h1",)


def test_volumes_that_could_not_be_listed_are_not_taken_for_absent() -> None:
    fleet = story(vm(), shared=True).converged().with_specs(vm("db"))
    blind = fleet.with_pool(observed_pool(volumes=None))

    assert blind.kinds() == []
    assert "could not be read on h1" in blind.unmet("VirtualMachine/db")["pool-unavailable"].detail


def test_a_volume_whose_making_was_cut_off_is_replaced() -> None:
    fleet = story(vm(disks=[disk()]), hosts=1).with_pool(observed_pool(volumes=[volume(ROOT)]))

    cut_off = fleet.with_ledger(intents=frozenset({VolumeIntent("vms", ROOT, "h1")}))

    assert cut_off.action("create-volume").why == "incomplete"
    assert created(cut_off).replace_partial
    assert created(story(vm(disks=[disk()]))).replace_partial is False


def test_a_volume_of_the_same_name_on_another_host_is_not_the_partial_one() -> None:
    fleet = story(vm(disks=[disk()], placement={"hosts": ["h2"]})).converged().without_domain(on="h2")

    other = fleet.with_ledger(intents=frozenset({VolumeIntent("vms", ROOT, "h1")}))

    assert "create-volume" not in other.kinds()


def test_in_a_shared_pool_a_partial_volume_is_partial_through_any_host() -> None:
    fleet = (
        story(vm(disks=[disk()]), shared=True).converged().without_domain().losing_sight_of("h2").placed("web", "h1")
    )
    known = fleet.with_ledger(
        intents=frozenset({VolumeIntent("vms", ROOT, "h2")}), placements={}, hosts_read=frozenset({"h1", "h2"})
    )

    assert created(known).replace_partial


def test_a_volume_that_a_domain_refers_to_is_never_taken_for_partial() -> None:
    fleet = running().with_ledger(intents=frozenset({VolumeIntent("vms", ROOT, "h1")}))

    assert fleet.plan().empty


def test_volumes_of_a_shared_pool_are_made_through_one_host_for_all() -> None:
    fleet = story(vm("a"), vm("b"), vm("c"), hosts=3, shared=True)

    makers = {a.host for a in fleet.plan().actions if a.kind in ("create-volume", "upload-image")}
    homes = {a.host for a in fleet.plan().actions if a.kind == "define-domain"}

    assert makers == {"h1"}
    assert homes == {"h1", "h2", "h3"}


def test_when_the_elected_host_is_out_of_sight_another_one_handles_the_shared_pool() -> None:
    fleet = story(vm(), hosts=2, shared=True).converged().with_specs(vm("db")).losing_sight_of("h1")

    assert fleet.action("create-volume", "VirtualMachine/db").host == "h2"


def test_a_host_with_something_else_under_the_pools_name_never_stands_for_the_others() -> None:
    fleet = story(vm(), shared=True).with_pool(observed_pool(uuid="theirs", target="/elsewhere"), on="h1")

    assert fleet.action("create-volume").host == "h2"
    assert "another pool of that name" in fleet.unmet("StoragePool/vms")["conflict"].detail


def test_disks_of_a_logical_pool_are_block_devices() -> None:
    fleet = story(
        vm(disks=[disk(format="raw")]), pool(type="logical", source={"volumeGroup": "vg0"}, target="/dev/vg0"), hosts=1
    ).converged()

    found = fleet.domain().config.disks[0]

    assert (found.path, found.block_device, found.format) == ("/dev/vg0/prod.web.root.raw", True, "raw")


def test_a_qcow2_image_can_not_be_the_base_in_a_logical_pool() -> None:
    fleet = story(
        vm(disks=[disk(format="raw", image="debian", clone="full")]),
        pool(type="logical", source={"volumeGroup": "vg0"}),
        image(format="qcow2"),
    )

    assert "holds raw volumes only" in fleet.unmet()["image-unavailable"].detail


def test_an_existing_pool_of_block_devices_is_known_by_what_is_observed() -> None:
    theirs = observed_pool(uuid="theirs", type="logical", target="/dev/vg0")
    fleet = story(vm(disks=[disk(format="raw")]), pool(type="existing"), hosts=1).with_pool(theirs).converged()

    assert fleet.domain().config.disks[0].block_device


def test_a_disk_whose_file_is_no_image_any_more_is_told_and_the_vm_is_not_started() -> None:
    before = story(vm(), hosts=1).converged()
    off = before.with_domain(replace(before.domain(), state="shutoff", live=None, reason="destroyed"))
    broken = off.with_volumes(volume(ROOT, format="raw", capacity=0))

    assert broken.kinds() == []
    assert "is no qcow2 image any more" in broken.unmet()["disk-damaged"].detail
