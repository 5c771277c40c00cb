"""Which versions of a running VM hold only what changed, and why others are full."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reconciler.model.capture_steps import CaptureImage
from reconciler.model.ledger import RestoreDone
from reconciler.model.version import ImageVersion, parse_instant
from tests.support.fleets import GIB, Story, vm
from tests.support.fleets import story as fleet_story
from tests.support.versions import IMAGE, at, captured_image, version, volumes_of

_TONIGHT = at("2026-11-23T02:00Z")
_FULL, _FIRST = "2026-11-21T02:00Z", "2026-11-22T02:00Z"


def tracked(text: str, parent: str | None = None, **fields: Any) -> ImageVersion:
    return version(text, parent, **{"checkpoint": f"{IMAGE}.{parse_instant(text)}", **fields})


_CHAIN = (tracked(_FULL), tracked(_FIRST, _FULL))


def night(versions: tuple[ImageVersion, ...] = _CHAIN, *, every: int = 7, state: str = "", **spec: Any) -> Story:
    """`web` runs with one disk, and the schedule of its image has come."""
    image = captured_image(schedule="0 2 * * *", fullEvery=every, **spec)
    told = fleet_story(vm(disks=[{"name": "root", "pool": "vms", "size": "10GiB"}])).converged()
    told = told.with_specs(image).with_volumes(*volumes_of(versions)).with_ledger(versions={IMAGE: versions})
    if state:
        told = told.with_domain(replace(told.domain(), state=state, live=None))
    return replace(told, now=_TONIGHT)


def planned(told: Story) -> tuple[CaptureImage, str]:
    action = told.action("capture-image")
    assert isinstance(action.step, CaptureImage)
    return action.step, action.detail


def why_full(told: Story) -> str:
    step, detail = planned(told)
    assert (step.parent, step.incremental) == (None, "")
    assert all(disk.backing is None for disk in step.disks)
    return detail.partition("in full: ")[2]


def test_the_next_one_holds_what_changed_since_the_last_and_rests_on_its_volume() -> None:
    step, detail = planned(night())

    assert step.parent == parse_instant(_FIRST)
    assert step.incremental == f"{IMAGE}.{parse_instant(_FIRST)}"
    assert step.checkpoint == f"{IMAGE}.{parse_instant('2026-11-23T02:00Z')}"
    assert [disk.backing for disk in step.disks] == [_CHAIN[1].disks[0].volume]
    assert "what changed since 2026-11-22T02:00Z" in detail
    assert (step.stamp, step.due) == (parse_instant("2026-11-23T02:00Z"), _TONIGHT)


def test_of_so_many_in_a_row_one_is_full_and_begins_a_chain() -> None:
    assert why_full(night(every=2)) == "fullEvery is 2"
    assert planned(night(every=2))[0].checkpoint != ""


def test_where_nobody_asks_for_increments_nothing_is_kept_track_of() -> None:
    assert why_full(night(every=1)) == ""
    assert planned(night(every=1))[0].checkpoint == ""


def test_a_vm_that_was_moved_is_captured_in_full() -> None:
    told = night()
    placement = replace(told.ledger.placements["web"], since=_TONIGHT - 3600)

    moved = told.with_ledger(placements={"web": placement})

    assert why_full(moved) == f"it was moved since {_FIRST}"


def test_a_vm_that_was_restored_is_captured_in_full() -> None:
    told = night().with_ledger(restores={"web": RestoreDone("web", "x", _TONIGHT - 3600)})

    assert why_full(told) == f"it was restored since {_FIRST}"


def test_a_vm_that_is_off_is_captured_in_full_and_nothing_is_kept_track_of() -> None:
    told = night(state="shutoff").with_specs(
        vm(disks=[{"name": "root", "pool": "vms", "size": "10GiB"}], runStrategy="Halted")
    )

    assert why_full(told) == "it is off"
    assert planned(told)[0].checkpoint == ""


def test_after_a_version_that_lost_its_checkpoint_the_next_is_full() -> None:
    lost = (_CHAIN[0], replace(_CHAIN[1], checkpoint=""))

    assert why_full(night(lost)) == f"nothing was kept track of since {_FIRST}"


def test_disks_that_are_others_by_now_are_captured_in_full() -> None:
    one = replace(_CHAIN[1], disks=(*_CHAIN[1].disks, replace(_CHAIN[1].disks[0], name="data")))

    assert why_full(night((_CHAIN[0], one))) == "it has other disks"


def test_a_chain_is_looked_at_before_anything_rests_on_it() -> None:
    """Somebody has rebased a file of it, or deleted one."""
    told = night()
    file = _CHAIN[1].disks[0].volume
    known = (told.inventory.hosts["h1"].pools["vms"].volumes or {})[file]

    rebased = told.with_volumes(replace(known, backing_path="/etc/shadow"))
    gone = told.with_volumes(without=[_CHAIN[0].disks[0].volume])

    assert why_full(rebased) == f"{_FIRST} is not whole, as {file} rests on shadow now"
    assert "is gone from pool vms" in why_full(gone)


def test_a_disk_that_grew_goes_on_from_the_smaller_one() -> None:
    small = tuple(replace(each, disks=(replace(each.disks[0], virtual_size=5 * GIB),)) for each in _CHAIN)

    step, _ = planned(night(small))

    assert step.parent == parse_instant(_FIRST)
    assert step.disks[0].capacity == 10 * GIB


def test_a_compressed_version_rests_on_nothing() -> None:
    assert why_full(night(compression="zstd")) == "it is put in its place after it is copied"
