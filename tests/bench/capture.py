"""A disk of a running guest made into a version of an image, beside virsh doing the same to the same disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import libvirt

from reconciler.clock import SystemClock
from reconciler.executor.context import ActionContext
from reconciler.executor.handlers.capture_copy import Copying
from reconciler.executor.handlers.capture_seal import Sealing
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.images.catalog import ImageStore
from reconciler.ledger.store import Ledger
from reconciler.model import identity
from reconciler.model.capture_steps import CaptureDisk, CaptureImage
from reconciler.model.ledger import Capture
from reconciler.model.plan import Action
from reconciler.model.policy import Policy
from reconciler.model.resource import ObjectRef
from tests.bench.bench import Bench
from tests.bench.fleets import loaded
from tests.bench.measuring import BenchError, Row, Target, by_turns, process_seconds, virsh
from tests.bench.upload import write_noise
from tests.lab.controller import FLEET, POOL, Controller, blank_image, host_specs, make_controller
from tests.lab.host import LabHost

_MEBIBYTES: Final = 512
_VM: Final = "web-1"
_IMAGE: Final = "golden"
_STAMP: Final = "20261122t020000z"
_LIMIT_SECONDS: Final = 120.0
_EVERY_SECONDS: Final = 0.02
_SPECS: Final = """\
apiVersion: reconciler/v1
kind: Image
metadata: {{name: noise}}
spec: {{source: {{path: {noise}}}, format: raw}}
---
apiVersion: reconciler/v1
kind: VirtualMachine
metadata: {{name: web-1}}
spec:
  domainType: qemu
  cpu: {{model: qemu64}}
  memory: 160MiB
  disks:
    - {{name: root, image: tiny, size: 96MiB, pool: vms}}
    - {{name: data, image: noise, clone: full, pool: vms}}
  networks: []
"""
_BACKUP: Final = """\
<domainbackup mode="push"><disks>
  <disk name="vda" backup="no"/>
  <disk name="vdb" backup="yes" type="file"><driver type="qcow2"/><target file="{path}"/></disk>
</disks></domainbackup>
"""


@dataclass(frozen=True, slots=True)
class _Took:
    """Seconds until the disk was copied, and until its copy was read back, digest and all."""

    copied: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def note(self, begun: float, copied: float) -> float:
        self.copied.append(copied - begun)
        self.whole.append(time.perf_counter() - begun)
        return self.whole[-1]


def measure(bench: Bench) -> Iterator[Row]:
    """The copy beside `backup-begin`; the version on record beside that and what reads the copy back for its digest."""
    lab = bench.fresh_lab()
    folder = bench.place("capture")
    write_noise(folder / "noise.raw", _MEBIBYTES)
    controller = make_controller(lab, folder, image=blank_image(folder))
    controller.write("hosts.yaml", host_specs(lab, ["h1"]))
    controller.write("web.yaml", _SPECS.format(noise=folder / "noise.raw"))
    controller.apply()
    host = lab.hosts[0]
    ours, theirs = _Took(), _Took()
    pool = lab.shared / POOL
    fleet = LibvirtFleet({host.name: host.uri})
    try:
        product, shell = _Product(controller, fleet, pool, ours), _Shell(host, folder, pool, theirs)
        by_turns(bench.many, product.capture, shell.capture, between=lambda: _clean(host, pool))
    finally:
        fleet.close()
    target = Target(1.25, "ratio")
    what = f"capture {_MEBIBYTES} MiB of a running guest"
    yield Row(f"{what}: copied", tuple(ours.copied), target, "virsh backup-begin", tuple(theirs.copied))
    beside = "virsh backup-begin, vol-download, sha256sum"
    yield Row(f"{what}: read back, on record", tuple(ours.whole), target, beside, tuple(theirs.whole))


@dataclass(frozen=True, slots=True)
class _Product:
    controller: Controller
    fleet: LibvirtFleet
    pool: Path
    took: _Took

    def capture(self) -> float:
        with Ledger(self.controller.state) as ledger:
            context = self._context(ledger, step := self._step())
            begun = time.perf_counter()
            ledger.begin_capture(Capture(_IMAGE, time.time(), step, "requested"))
            Copying(step, context).carry_on(_on_record(ledger), is_new=True)
            copied = time.perf_counter()
            version = Sealing(_on_record(ledger), context).finish()
            seconds = self.took.note(begun, copied)
            ledger.forget_version(_IMAGE, version.stamp)
        return seconds

    def _step(self) -> CaptureImage:
        target = identity.version_disk_volume(FLEET, _IMAGE, _STAMP, "data")
        source = identity.disk_volume(FLEET, _VM, "data", "qcow2")
        disk = CaptureDisk("data", "vdb", POOL, source, "qcow2", _MEBIBYTES << 20, target, target)
        return CaptureImage(
            image=_IMAGE,
            stamp=_STAMP,
            domain=_VM,
            uuid=identity.vm_uuid(FLEET, _VM),
            host="h1",
            pool=POOL,
            pool_host="h1",
            shared=True,
            copy_pool=POOL,
            folder=str(self.pool),
            manifest=identity.version_manifest(FLEET, _IMAGE, _STAMP),
            disks=(disk,),
            quiesce="never",
        )

    def _context(self, ledger: Ledger, step: CaptureImage) -> ActionContext:
        target = ObjectRef("Image", _IMAGE)
        return ActionContext(
            action=Action("capture", "capture-image", "+", target, "h1", "requested", "", "none", step),
            fleet=self.fleet,
            ledger=ledger,
            images=ImageStore(self.controller.state, Policy()),
            clock=SystemClock(),
            stop=threading.Event(),
            fleet_name=FLEET,
            desired=loaded(self.controller.specs),
            on_progress=lambda _done, _total: None,
        )


def _on_record(ledger: Ledger) -> Capture:
    capture = ledger.capture(_IMAGE)
    if capture is None:
        raise BenchError("the capture is not on record")
    return capture


@dataclass(frozen=True, slots=True)
class _Shell:
    host: LabHost
    folder: Path
    pool: Path
    took: _Took

    def capture(self) -> float:
        order = self.folder / "backup.xml"
        order.write_text(_BACKUP.format(path=self.pool / "by-hand.qcow2"))
        create = f"vol-create-as {POOL} by-hand.qcow2 {_MEBIBYTES}MiB --format qcow2"
        begun = time.perf_counter()
        process_seconds(virsh(self.host.uri, [create, f"backup-begin {_VM} {order} --reuse-external"]))
        with closing(libvirt.open(self.host.uri)) as connection:
            _await_end(connection.lookupByName(_VM))
        copied = time.perf_counter()
        download = f"virsh -q -c {self.host.uri} vol-download by-hand.qcow2 /dev/stdout --pool {POOL}"
        process_seconds(["sh", "-ec", f"{download} | sha256sum"])
        return self.took.note(begun, copied)


def _await_end(domain: Any) -> None:
    begun = time.monotonic()
    while domain.jobStats(0).get("type"):
        if time.monotonic() - begun > _LIMIT_SECONDS:
            raise BenchError("virsh backup-begin does not end")
        time.sleep(_EVERY_SECONDS)
    if not domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED).get("success"):
        raise BenchError("virsh backup-begin failed")


def _clean(host: LabHost, pool: Path) -> None:
    """Neither leaves anything to the other."""
    for path in pool.iterdir():
        if path.name.startswith((f"{FLEET}.{_IMAGE}.", "by-hand")):
            path.unlink()
    host.virsh("pool-refresh", POOL)
