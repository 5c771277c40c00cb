"""Versions on record, and captures: one of an image and of a VM at a time, and never beside a migration."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from reconciler.errors import PreconditionFailed
from reconciler.ledger.store import Ledger
from reconciler.model.capture_steps import CaptureDisk, CaptureImage
from reconciler.model.ledger import Capture, Migration
from reconciler.model.migration import MigrationRules
from reconciler.model.steps import MigrateDomain
from reconciler.model.version import ImageVersion, VersionDisk

STEP: Final = CaptureImage(
    image="golden",
    stamp="20261122t020000z",
    domain="web",
    uuid="u",
    host="h1",
    pool="backups",
    pool_host="h1",
    shared=False,
    copy_pool="backups",
    folder="/srv/backups",
    manifest="f.golden.20261122t020000z.version.json",
    disks=(
        CaptureDisk(
            name="root",
            device="vda",
            pool="vms",
            volume="f.web.root.qcow2",
            format="qcow2",
            capacity=1 << 30,
            target="f.golden.20261122t020000z.root.qcow2",
            copy="f.golden.20261122t020000z.root.qcow2",
        ),
    ),
)
CAPTURE: Final = Capture("golden", 1000.0, STEP, "requested")
VERSION: Final = ImageVersion(
    image="golden",
    stamp=STEP.stamp,
    taken_at=1001.0,
    vm="web",
    vm_uuid="u",
    pool="backups",
    host="h1",
    generation="g",
    spec_hash="s",
    consistency="quiesced",
    disks=(VersionDisk("root", STEP.disks[0].target, 1 << 30, 4096, "sha256:00"),),
)
MOVE: Final = Migration(
    "web", 1.0, MigrateDomain("web", "u", "h1", "h2", 2, "qemu+tls://h2/system", MigrationRules(60.0, 30.0)), "drain"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def test_what_is_on_record_is_the_capture_to_the_last_value(ledger: Ledger) -> None:
    ledger.begin_capture(CAPTURE)
    ledger.note_capture_phase("golden", "copying", taken_at=1001.0, consistency="quiesced")
    ledger.note_capture_progress("golden", 5, 10)

    expected = replace(CAPTURE, phase="copying", taken_at=1001.0, consistency="quiesced", done=5, total=10)
    assert ledger.capture("golden") == expected
    assert ledger.view().captures == {"golden": expected}


def test_a_version_takes_the_place_of_its_capture_and_of_what_was_asked_for_before(ledger: Ledger) -> None:
    ledger.request_capture("golden", 999.0)
    ledger.begin_capture(CAPTURE)

    ledger.end_capture("golden", VERSION)

    view = ledger.view()
    assert (view.versions, view.captures, view.capture_requests) == ({"golden": (VERSION,)}, {}, {})


def test_what_is_asked_for_after_the_guest_stood_still_stays_asked_for(ledger: Ledger) -> None:
    ledger.begin_capture(CAPTURE)
    ledger.request_capture("golden", 1002.0)

    ledger.end_capture("golden", VERSION)

    assert ledger.view().capture_requests == {"golden": 1002.0}


def test_versions_are_told_oldest_first_and_one_is_forgotten(ledger: Ledger) -> None:
    newer = replace(VERSION, stamp="20261123t020000z")
    ledger.note_versions([newer, VERSION])
    assert ledger.view().versions["golden"] == (VERSION, newer)

    ledger.forget_version("golden", VERSION.stamp)

    assert ledger.view().versions["golden"] == (newer,)


def test_another_capture_of_the_image_or_its_vm_is_refused(ledger: Ledger) -> None:
    ledger.begin_capture(CAPTURE)

    with pytest.raises(PreconditionFailed, match="being captured already"):
        ledger.begin_capture(CAPTURE)
    with pytest.raises(PreconditionFailed, match="Image/golden is being captured already"):
        ledger.begin_capture(replace(CAPTURE, image="other", step=replace(STEP, image="other")))


def test_a_vm_is_not_captured_while_it_is_on_its_way_and_not_moved_while_it_is_captured(ledger: Ledger) -> None:
    ledger.record_placement("web", "h1", 1, 1.0)
    ledger.begin_migration(MOVE)
    with pytest.raises(PreconditionFailed, match="on its way"):
        ledger.begin_capture(CAPTURE)
    ledger.note_stayed(MOVE)
    ledger.begin_capture(CAPTURE)

    with pytest.raises(PreconditionFailed, match="is being captured"):
        ledger.begin_migration(MOVE)


def test_cancelling_marks_what_is_being_made_and_forgets_what_was_asked_for(ledger: Ledger) -> None:
    assert not ledger.cancel_capture("golden")
    ledger.begin_capture(CAPTURE)
    ledger.request_capture("golden", 1000.0)

    assert ledger.cancel_capture("golden")

    view = ledger.view()
    assert view.captures["golden"].cancelled
    assert view.capture_requests == {}
