"""A version is whole or none: whoever deletes it may be killed at any instant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.hypervisor.simulated_world import SimulatedCrashError
from reconciler.model import steps
from reconciler.model.desired_state import DesiredState
from reconciler.model.identity import version_disk_volume, version_manifest
from reconciler.model.image import Image
from reconciler.model.inventory import ObservedVolume
from reconciler.model.version import ImageVersion, VersionDisk
from tests.unit.executor.bench import FLEET, POOL, Bench, FakeImages, config
from tests.unit.executor.small_fleet import Controller, desired_state, new_fleet, spec
from tests.unit.executor.test_killed_anywhere import Killer

_IMAGE: Final = "golden"
_DISKS: Final = ("root", "data")
_FULL, _FIRST, _SECOND, _NEXT = "20261120t020000z", "20261121t020000z", "20261122t020000z", "20261123t020000z"


def version(stamp: str, parent: str | None = None, pool: str = "vms", host: str | None = None) -> ImageVersion:
    disks = tuple(
        VersionDisk(
            name=disk,
            volume=version_disk_volume(FLEET, _IMAGE, stamp, disk),
            virtual_size=10 << 20,
            size=1 << 20,
            digest="sha256:" + "0" * 64,
            parent_volume=None if parent is None else version_disk_volume(FLEET, _IMAGE, parent, disk),
        )
        for disk in _DISKS
    )
    return ImageVersion(
        image=_IMAGE,
        stamp=stamp,
        taken_at=0.0,
        vm="web",
        vm_uuid="u",
        pool=pool,
        host=host,
        generation="g1",
        spec_hash="0",
        consistency="quiesced",
        disks=disks,
        parent=parent,
    )


CHAIN: Final = (version(_FULL), version(_FIRST, _FULL), version(_SECOND, _FIRST), version(_NEXT))


def specs(last: int) -> DesiredState:
    bare = desired_state("g1")
    golden: Image = spec(Image, _IMAGE, source={"vm": "web"}, pool="vms", retention={"last": last})
    return replace(bare, images={**bare.images, _IMAGE: golden})


def with_files(host: Callable[..., ObservedVolume], versions: tuple[ImageVersion, ...], pool: str = "vms") -> None:
    """Their volumes, made through `host`'s create_volume."""
    for each in versions:
        for disk in each.disks:
            made = {} if disk.parent_volume is None else {"backing": _backing(disk.parent_volume)}
            host(pool, disk.volume, format="qcow2", capacity=disk.virtual_size, **made)
        host(pool, version_manifest(FLEET, _IMAGE, each.stamp), format="raw", capacity=4096)


def _backing(volume: str) -> ObservedVolume:
    return ObservedVolume(volume, f"/srv/vms/{volume}", "qcow2", 10 << 20, 0)


class Story:
    """A fleet with a chain of versions, of which all but the newest are to go."""

    def __init__(self, state_dir: Path) -> None:
        self.clock, self.images = FakeClock(1_795_600_000.0), FakeImages()
        self.fleet = new_fleet(self.clock)
        self.state_dir = state_dir
        # Pools, network and image first, by a controller that knows of no versions yet.
        self.live(desired_state("g1"))
        with_files(self.fleet.host("h1").create_volume, CHAIN)
        controller = self._controller()
        controller.ledger.note_versions(CHAIN)
        controller.ledger.close()

    def _controller(self) -> Controller:
        return Controller(self.fleet, self.clock, self.state_dir, self.images)

    def live(self, desired: DesiredState, killer: Callable[..., None] | None = None) -> None:
        controller = self._controller()
        self.fleet.on_mutation(killer)
        controller.ledger.hook = killer
        try:
            controller.converge(desired)
        except SimulatedCrashError:
            pass  # nothing of a killed process runs on
        finally:
            self.fleet.on_mutation(None)
            controller.ledger.hook = None
            controller.ledger.close()

    def files(self) -> set[str]:
        return {path.rpartition("/")[2] for path in self.fleet.people("h1").files("/srv/vms")}

    def listed(self) -> tuple[ImageVersion, ...]:
        controller = self._controller()
        found = controller.ledger.view().versions.get(_IMAGE, ())
        controller.ledger.close()
        return found


def of_versions(files: set[str]) -> set[str]:
    return {name for name in files if name.startswith(f"{FLEET}.{_IMAGE}.")}


def test_pruning_killed_at_any_instant_lists_nothing_partial_and_ends_in_the_same_state(tmp_path: Path) -> None:
    counter, reference = Killer(), Story(tmp_path / "0")
    reference.live(specs(1), counter)
    expected = of_versions(reference.files())
    assert len(expected) == 3
    assert counter.seen > 20

    for instant in range(1, counter.seen + 1):
        story = Story(tmp_path / str(instant))
        story.live(specs(1), Killer(instant))

        files = story.files()
        for each in story.listed():
            needed = {version_manifest(FLEET, _IMAGE, each.stamp), *(disk.volume for disk in each.disks)}
            needed |= {disk.parent_volume for disk in each.disks if disk.parent_volume is not None}
            assert needed <= files or not _manifest_of(each) & files, f"killed at {instant}: {each.name} is not whole"
        story.live(specs(1))
        assert of_versions(story.files()) == expected, f"killed at instant {instant}"
        assert [each.stamp for each in story.listed()] == [_NEXT]


def _manifest_of(each: ImageVersion) -> set[str]:
    return {version_manifest(FLEET, _IMAGE, each.stamp)}


def delete(each: ImageVersion) -> steps.DeleteVersion:
    manifest = version_manifest(FLEET, _IMAGE, each.stamp)
    return steps.DeleteVersion(_IMAGE, each.stamp, POOL, manifest, tuple(disk.volume for disk in each.disks))


def test_a_version_that_a_domain_refers_to_by_now_is_not_deleted(bench: Bench) -> None:
    bench.with_pool_and_network()
    with_files(bench.h1.create_volume, CHAIN[:1], POOL)
    bench.ledger.note_versions(CHAIN[:1])
    disk = config("web").disks[0]
    path = bench.h1.volume(POOL, CHAIN[0].disks[1].volume)
    assert path is not None
    bench.fleet.people("h1").define(config("web", disks=(replace(disk, path=path.path),)))

    outcome = bench.run_one(delete(CHAIN[0]), f"Image/{_IMAGE}")

    assert outcome.status == "refused"
    assert len([name for name in bench.volumes() if f".{_IMAGE}." in name]) == 3
    assert bench.ledger.view().versions == {_IMAGE: CHAIN[:1]}


def test_a_version_that_another_one_rests_on_by_now_is_not_deleted(bench: Bench) -> None:
    """The other one was made after the plan; its files are not to be seen yet."""
    bench.with_pool_and_network()
    with_files(bench.h1.create_volume, CHAIN[:1], POOL)
    bench.ledger.note_versions(CHAIN[:2])

    outcome = bench.run_one(delete(CHAIN[0]), f"Image/{_IMAGE}")

    assert outcome.status == "refused"
    assert len([name for name in bench.volumes() if f".{_IMAGE}." in name]) == 3
