"""A thousand versions of one image: listed, and those planned to go that no rule keeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.ledger.store import Ledger
from reconciler.model import identity
from reconciler.model.version import ImageVersion, VersionDisk, manifest_of, stamp_of
from tests.bench.bench import Bench
from tests.bench.fleets import FLEET, POOL, write_facilities
from tests.bench.measuring import Row, Target, process_seconds, reconciler

_COUNT: Final = 1000
_IMAGE: Final = "golden"
_NEWEST: Final = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
_SPEC: Final = """\
---
apiVersion: reconciler/v1
kind: Image
metadata: {name: golden}
spec:
  source: {vm: web-1}
  pool: vms
  retention: {last: 7, daily: 14, weekly: 8, monthly: 12}
---
apiVersion: reconciler/v1
kind: VirtualMachine
metadata: {name: web-1}
spec:
  runStrategy: Halted
  domainType: qemu
  memory: 128MiB
  disks: [{name: root, size: 1GiB, pool: vms}]
"""


def measure(bench: Bench) -> Iterator[Row]:
    """`reconciler image versions`, and a `plan` that deletes most of them; nobody else's tool does the same."""
    host = bench.fresh_lab().hosts[0]
    folder = bench.place("versions")
    specs, state = folder / "specs", folder / "state"
    pool = bench.lab.shared / POOL
    write_facilities(
        specs,
        pool=f"{{type: dir, target: {pool}}}",
        network="{mode: isolated, subnet: 192.168.150.0/24}",
        uris=[host.uri],
    )
    (specs / "golden.yaml").write_text(_SPEC)
    pool.mkdir(exist_ok=True)
    versions = [_version(number) for number in range(_COUNT)]
    for version in versions:
        _write(pool, version)
    state.mkdir(mode=0o700)
    with Ledger(state) as ledger:
        ledger.note_versions(versions)
        ledger.note_host_read({host.name: 0.1})
    listing = reconciler("image", Path("versions"), state, _IMAGE, "--specs", str(specs))
    planning = reconciler("plan", specs, state, "--short")
    listed = tuple(process_seconds(listing) for _ in range(bench.many))
    yield Row(f"image versions, {_COUNT:,} of one image", listed, Target(2, "value"))
    planned = tuple(process_seconds(planning, exits=(2,)) for _ in range(bench.many))
    yield Row(f"plan that prunes {_COUNT:,} versions", planned, Target(2, "value"))


def _version(number: int) -> ImageVersion:
    at = _NEWEST - 12 * 3600 * number
    stamp = stamp_of(at)
    disk = VersionDisk(
        "root", identity.version_disk_volume(FLEET, _IMAGE, stamp, "root"), 1 << 30, 4096, "sha256:" + "0" * 64
    )
    return ImageVersion(
        image=_IMAGE,
        stamp=stamp,
        taken_at=at,
        vm="web-1",
        vm_uuid=identity.vm_uuid(FLEET, "web-1"),
        pool=POOL,
        host="h1",
        generation="g1",
        spec_hash="0",
        consistency="quiesced",
        disks=(disk,),
    )


def _write(pool: Path, version: ImageVersion) -> None:
    """Its files, as large as libvirt has to look at."""
    (pool / version.disks[0].volume).write_bytes(bytes(4096))
    (pool / identity.version_manifest(FLEET, version.image, version.stamp)).write_bytes(manifest_of(version))
