"""Versions of images: captured from VMs that run or are off, wherever their pool is, and nothing left of the others."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from reconciler.errors import HostBusy, HostRefused
from reconciler.model.desired_state import DesiredState
from reconciler.model.outcome import Outcome
from reconciler.model.version import ImageVersion
from tests.unit.executor.bench import FLEET, GIB, FakeImages
from tests.unit.executor.small_fleet import (
    LOCAL,
    TARGET,
    Controller,
    FakeClock,
    desired_state,
    golden,
    new_fleet,
    spec,
    vm,
    with_images,
)

DATA: Final = b"what the guest has written"
DISKS: Final = [
    {"name": "root", "image": "debian", "pool": "vms", "size": "10GiB"},
    {"name": "data", "pool": "vms", "size": "1GiB"},
]


class Story:
    """A VM that runs, with something on its disks, and whoever captures it."""

    def __init__(self, state_dir: Path, **changes: Any) -> None:
        self.clock = FakeClock()
        self.fleet = new_fleet(self.clock)
        self.images = FakeImages()
        self.state_dir = state_dir
        self.vms = desired_state("g1", vm("web", disks=DISKS, **changes))
        self.controller = self.reborn()
        self.controller.converge(self.vms)
        self.host = next(name for name, host in self.fleet.world.hosts.items() if host.by_name("web"))
        self.uuid = self.fleet.people(self.host).entry("web").config.uuid
        for device in ("vda", "vdb"):
            self.fleet.people(self.host).write("web", device, device.encode() + DATA)

    def reborn(self) -> Controller:
        self.controller = Controller(self.fleet, self.clock, self.state_dir, self.images)
        return self.controller

    def desired(self, **content: Any) -> DesiredState:
        return with_images(self.vms, golden(**content))

    def versions(self) -> tuple[ImageVersion, ...]:
        return self.controller.ledger.view().versions.get("golden", ())

    def files(self) -> list[str]:
        found = [*self.fleet.people("h1").files(TARGET), *self.fleet.people("h1").files(LOCAL)]
        return sorted(name for name in [*found, *self.fleet.people("h2").files(LOCAL)] if ".golden." in name)

    def content(self, version: ImageVersion, disk: str) -> bytes:
        found = version.disk(disk)
        assert found is not None
        sink = io.BytesIO()
        host = version.host or "h1"
        self.fleet.host(host).pool(version.pool, refresh=True)
        self.fleet.host(host).download_volume(version.pool, found.volume, sink, lambda _: None)
        assert found.digest == f"sha256:{hashlib.sha256(sink.getvalue()).hexdigest()}"
        assert found.size == len(sink.getvalue())
        return sink.getvalue()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    yield made
    made.controller.ledger.close()


def _capture_outcome(outcomes: tuple[Outcome, ...]) -> Outcome:
    return next(outcome for outcome in outcomes if outcome.action_id.startswith("capture-image"))


def test_all_disks_of_a_running_vm_become_the_first_version(story: Story) -> None:
    story.controller.converge(story.desired())

    (version,) = story.versions()
    assert (version.vm, version.consistency, version.host) == ("web", "quiesced", story.host)
    assert [disk.name for disk in version.disks] == ["root", "data"]
    assert story.content(version, "root").endswith(b"vda" + DATA)
    assert story.content(version, "data").endswith(b"vdb" + DATA)
    assert len(story.files()) == 3
    assert not story.fleet.people(story.host).entry("web").frozen


def test_once_there_is_a_version_another_is_made_only_when_people_ask(story: Story) -> None:
    story.controller.converge(story.desired())
    story.controller.converge(story.desired())
    assert len(story.versions()) == 1
    story.clock.advance(60.0)

    story.controller.ledger.request_capture("golden", story.clock.now())
    story.controller.converge(story.desired())

    assert len(story.versions()) == 2
    assert story.controller.ledger.view().capture_requests == {}


def test_only_the_disks_that_are_named_are_captured(story: Story) -> None:
    story.controller.converge(story.desired(source={"vm": "web", "disks": ["data"]}))

    assert [disk.name for disk in story.versions()[0].disks] == ["data"]


@pytest.mark.parametrize("pool", ["vms", "local"])
def test_a_vm_that_is_off_is_copied_as_it_is(tmp_path: Path, pool: str) -> None:
    story = Story(tmp_path)
    off = desired_state("g2", vm("web", disks=DISKS, runStrategy="Halted"))
    story.controller.converge(off)

    story.controller.converge(with_images(off, golden(pool=pool)))

    assert story.versions()[0].consistency == "offline"
    assert story.content(story.versions()[0], "data").endswith(b"vdb" + DATA)


def test_a_guest_whose_agent_is_silent_is_captured_as_if_the_power_had_gone(story: Story) -> None:
    story.fleet.people(story.host).deafen("web")

    story.controller.converge(story.desired())

    assert story.versions()[0].consistency == "crash-consistent"


def test_where_the_guest_has_to_stand_still_and_does_not_nothing_is_made_or_left(story: Story) -> None:
    story.fleet.people(story.host).deafen("web")

    _, outcomes = story.controller.step(story.desired(quiesce="require"))

    assert _capture_outcome(outcomes).status == "failed"
    assert "quiesce: require" in _capture_outcome(outcomes).message
    assert (story.versions(), story.files(), story.controller.ledger.view().captures) == ((), [], {})


def test_a_guest_that_is_not_to_be_asked_is_not(story: Story) -> None:
    story.controller.converge(story.desired(quiesce="never"))

    assert story.versions()[0].consistency == "crash-consistent"
    assert not any(call.method == "freeze_filesystems" for call in story.fleet.world.calls)


def test_a_pool_of_another_host_gets_it_by_way_of_the_controller(story: Story) -> None:
    other = "h2" if story.host == "h1" else "h1"
    far = spec(type(story.vms.pools["local"]), "far", type="dir", target="/srv/far", hosts={"names": [other]})
    desired = story.desired(pool="far")
    desired.pools["far"] = far  # type: ignore[index]

    story.controller.converge(desired)

    (version,) = story.versions()
    assert (version.pool, version.host) == ("far", other)
    assert story.content(version, "root").endswith(b"vda" + DATA)
    assert story.files() == []


def test_a_compressed_version_is_made_once_the_guest_is_let_go_and_leaves_no_copy(story: Story) -> None:
    story.controller.converge(story.desired(compression="zstd"))

    (version,) = story.versions()
    assert story.content(version, "root").endswith(b"vda" + DATA)
    assert len(story.files()) == 3


def test_the_guest_is_let_go_though_the_copy_can_not_begin(story: Story) -> None:
    story.fleet.fail_next(story.host, "begin_backup", HostRefused("no", host=story.host))

    _, outcomes = story.controller.step(story.desired())

    assert _capture_outcome(outcomes).status == "failed"
    assert not story.fleet.people(story.host).entry("web").frozen
    assert story.files() == []


def test_a_guest_that_is_not_let_go_at_once_is_let_go_first_thing_by_the_next_life(story: Story) -> None:
    story.fleet.world.backup_rate = float(64 << 20)
    for _ in range(200):
        story.fleet.fail_next(story.host, "thaw_filesystems", HostBusy("no answer", host=story.host))
    story.controller.step(story.desired())
    assert story.fleet.people(story.host).entry("web").frozen
    story.fleet.world.hosts[story.host].faults.failures.clear()
    story.controller.ledger.close()

    story.reborn()
    story.fleet.world.backup_rate = float(1 << 30)
    story.controller.converge(story.desired())

    assert not story.fleet.people(story.host).entry("web").frozen
    assert len(story.versions()) == 1


def test_a_cancelled_one_leaves_nothing_and_is_not_made_again_by_itself(story: Story) -> None:
    ledger = story.controller.ledger
    story.fleet.on_mutation(
        lambda call, phase: phase == "after" and call.method == "begin_backup" and ledger.cancel_capture("golden")
    )

    _, outcomes = story.controller.step(story.desired())
    story.fleet.on_mutation(None)
    again = story.controller.look(story.desired())

    assert "cancelled" in _capture_outcome(outcomes).message
    assert (story.files(), story.versions(), again.actions) == ([], (), ())
    assert [unmet.reason for unmet in again.unmet] == ["failed"]


def test_a_copy_that_fails_leaves_nothing_and_waits_before_the_next(story: Story) -> None:
    people = story.fleet.people(story.host)
    story.fleet.on_mutation(
        lambda call, phase: phase == "after" and call.method == "begin_backup" and people.destroy("web")
    )

    _, outcomes = story.controller.step(story.desired())
    story.fleet.on_mutation(None)

    assert _capture_outcome(outcomes).status == "failed"
    assert story.files() == []


def test_the_manifests_bring_versions_back_after_the_ledger_was_lost(story: Story, tmp_path: Path) -> None:
    story.controller.converge(story.desired())
    before = story.versions()
    story.controller.ledger.close()
    story.state_dir = tmp_path / "new"

    story.reborn().converge(story.desired())

    assert story.versions() == before
    assert len(story.files()) == 3


def test_what_was_never_finished_is_cleared_away_after_the_ledger_was_lost(story: Story, tmp_path: Path) -> None:
    host = story.fleet.host(story.host)
    for name in (f"{FLEET}.golden.20200101t000000z.root.qcow2", f"{FLEET}.golden.20200101t000000z.root.copy"):
        host.create_volume("vms", name, format="qcow2", capacity=1 << 30)
    story.controller.ledger.close()
    story.state_dir = tmp_path / "new"

    story.reborn().converge(story.vms)

    assert story.files() == []


def test_a_compression_that_people_cancel_leaves_nothing(story: Story) -> None:
    ledger = story.controller.ledger
    story.images.while_compressing = lambda: ledger.cancel_capture("golden")

    _, outcomes = story.controller.step(story.desired(compression="zstd"))

    assert "cancelled" in _capture_outcome(outcomes).message
    assert (story.versions(), story.files(), ledger.view().captures) == ((), [], {})


def test_how_far_a_copy_of_what_is_off_is_can_be_seen(tmp_path: Path) -> None:
    story = Story(tmp_path)
    off = desired_state("g2", vm("web", disks=DISKS, runStrategy="Halted"))
    story.controller.converge(off)
    seen: list[tuple[int, int | None]] = []
    controller = story.controller
    controller.executor = msgspec.structs.replace(
        controller.executor,
        on_progress=lambda action, done, total: seen.append((done, total)) if "capture" in action else None,
    )

    controller.step(with_images(off, golden()))

    assert seen[:2] == [(0, 11 * GIB), (10 * GIB, 11 * GIB)]
