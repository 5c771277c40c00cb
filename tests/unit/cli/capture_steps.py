"""Steps that make versions, for the plan that has every step."""

from __future__ import annotations

from typing import Final

from reconciler.model.capture_steps import CaptureDisk, CaptureImage, ReadVersions
from reconciler.model.plan import Sign, UnmetReason, Why
from reconciler.model.steps import Step

READ_VERSIONS: Final = ReadVersions("db-golden", "vms", ("default.db-golden.20261120t020000z.version.json",))
CAPTURE_IMAGE: Final = CaptureImage(
    image="app-golden",
    stamp="20261122t020000z",
    domain="web-1",
    uuid="6a1f9c2e-0000-4000-8000-000000000001",
    host="h1",
    pool="vms",
    pool_host="h1",
    shared=False,
    copy_pool="vms",
    folder="/srv/vms",
    manifest="default.app-golden.20261122t020000z.version.json",
    disks=(
        CaptureDisk(
            name="root",
            device="vda",
            pool="vms",
            volume="default.web-1.root.qcow2",
            format="qcow2",
            capacity=10 << 30,
            target="default.app-golden.20261122t020000z.root.qcow2",
            copy="default.app-golden.20261122t020000z.root.qcow2",
        ),
    ),
)
CAPTURING: Final[tuple[tuple[str, Step, Sign, Why], ...]] = (
    ("db-golden", READ_VERSIONS, "change", "unrecorded"),
    ("app-golden", CAPTURE_IMAGE, "create", "requested"),
)
CAPTURE_REASONS: Final[tuple[tuple[str, UnmetReason, str], ...]] = (
    ("b9d", "capture-waits", "a version is to be made: web-1 is on its way to another host"),
    ("b9e", "capturing", "b9e@2026-11-22T02:00Z of web-1 on h1: copying, 45 %"),
)
