"""Images: fetched once, uploaded once per pool, used only when marked complete."""

from __future__ import annotations

from reconciler.model.steps import UploadImage
from tests.support.fleets import DIGEST, GIB, facts, image, observed_pool, pool, story, vm, volume

BASE = f"prod.base-{DIGEST[7:39]}.qcow2"
MARKER = f"{BASE}.complete"


def test_an_image_is_fetched_once_and_uploaded_once_per_pool() -> None:
    fleet = story(vm("a"), vm("b"), vm("c"), vm("d"), hosts=2).with_image(facts(cached=False))

    kinds = fleet.kinds("Image/debian")

    assert kinds == ["fetch-image", "upload-image", "upload-image"]


def test_into_a_shared_pool_an_image_is_uploaded_once_for_all_hosts() -> None:
    fleet = story(vm("a"), vm("b"), vm("c"), hosts=3, shared=True)

    upload = fleet.action("upload-image")

    assert isinstance(upload.step, UploadImage)
    assert (upload.host, upload.step.volume, upload.step.marker) == ("h1", BASE, MARKER)


def test_an_image_that_no_disk_is_made_from_is_not_fetched() -> None:
    assert story().with_image(facts(cached=False)).kinds("Image/debian") == []


def test_a_complete_base_is_used_as_it_is() -> None:
    fleet = story(vm(), hosts=1).with_pool(observed_pool(volumes=[volume(BASE), volume(MARKER)]))

    assert fleet.kinds("Image/debian") == []


def test_a_base_without_its_mark_is_uploaded_again() -> None:
    fleet = story(vm(), hosts=1).with_pool(observed_pool(volumes=[volume(BASE)]))

    upload = fleet.action("upload-image")

    assert upload.why == "incomplete"
    assert "delete-volume" not in fleet.kinds()


def test_a_complete_base_serves_also_where_the_image_can_not_be_had_any_more() -> None:
    fleet = story(vm(disks=[{"name": "root", "pool": "vms", "image": "debian"}]), image(checksum=DIGEST), hosts=1)
    gone = fleet.with_image(facts(digest=None, cached=False, virtual_size=None, error="no such file"))

    served = gone.with_pool(observed_pool(volumes=[volume(BASE, capacity=2 * GIB), volume(MARKER)]))

    assert served.converged().domain().state == "running"


def test_an_image_that_can_not_be_used_is_the_reason_of_its_vms() -> None:
    fleet = story(vm()).with_image(facts(cached=False, digest=None, error="it has a backing file"))

    assert fleet.kinds("VirtualMachine/web") == []
    assert "it has a backing file" in fleet.unmet()["image-unavailable"].detail


def test_two_images_with_the_same_content_are_one_upload() -> None:
    root = {"name": "root", "pool": "vms", "image": "twin", "size": "10GiB"}
    fleet = story(vm("a"), vm("b", disks=[root]), image("twin"), shared=True).with_image(facts("twin"))

    assert [kind for kind in fleet.kinds() if kind == "upload-image"] == ["upload-image"]
    assert fleet.converged().plan().empty


def test_a_held_image_is_not_uploaded_and_its_vms_say_so() -> None:
    fleet = story(vm(), image(annotations={"reconciler/paused": "true"}))

    assert fleet.kinds("Image/debian") == []
    assert "image debian is held" in fleet.unmet()["image-unavailable"].detail


def test_pools_of_their_own_get_an_upload_each() -> None:
    root = {"name": "root", "pool": "fast", "image": "debian", "size": "10GiB"}
    fleet = story(vm("a"), vm("b", disks=[root]), pool("fast"), hosts=1)

    uploads = [action.id for action in fleet.plan().actions if action.kind == "upload-image"]

    assert uploads == ["upload-image:Image/debian:fast@h1", "upload-image:Image/debian:vms@h1"]
