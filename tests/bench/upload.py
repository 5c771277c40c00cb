"""An image into a pool: content verified while it is read, through libvirt's stream."""

from __future__ import annotations

import filecmp
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reconciler.hypervisor.interface import Hypervisor
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.images.catalog import ImageStore
from reconciler.model.image import Image
from reconciler.model.policy import Policy
from tests.bench.bench import Bench
from tests.bench.measuring import BenchError, Row, Target, by_turns, process_seconds, stopwatch
from tests.lab.dummies import dir_pool
from tests.lab.host import LabHost
from tests.lab.waiting import wait_for

_MEBIBYTES: Final = 256
_POOL: Final = "bench"
_SETTLED_SECONDS: Final = 3.0


def measure(bench: Bench) -> Iterator[Row]:
    """An upload of the product's, beside `virsh vol-upload`: 0.8 of its speed is 1.25 of its time."""
    host = bench.fresh_lab().hosts[0]
    folder = bench.place("upload")
    image = _image(image_file := folder / "image.raw")
    pool = folder / "pool.xml"
    pool.write_text(dir_pool(_POOL, bench.lab.shared / _POOL))
    (bench.lab.shared / _POOL).mkdir()
    host.virsh(f"pool-define {pool}; pool-start {_POOL}")
    (state := folder / "state").mkdir(mode=0o700)
    images = ImageStore(state, Policy())
    # What was written just now is not taken for known: it would be read twice, and only this once.
    wait_for(lambda: time.time() - image_file.stat().st_ctime > _SETTLED_SECONDS, 30, "the clock stands still")
    images.facts(image)
    fleet = LibvirtFleet({host.name: host.uri})
    try:
        ours, theirs = by_turns(
            bench.many,
            lambda: stopwatch(lambda: _upload(fleet.host(host.name), images, image)),
            lambda: _virsh_upload(host, Path(image.spec.source.path or "")),
            between=lambda: _check_and_delete(host, bench.lab.shared / _POOL / "image", image_file),
        )
    finally:
        fleet.close()
    yield Row(f"upload an image of {_MEBIBYTES} MiB", ours, Target(1.25, "ratio"), "virsh vol-upload", theirs)


def write_noise(path: Path, mebibytes: int) -> None:
    """Write content that can't be compressed."""
    generator = random.Random(1)  # noqa: S311 - no secret
    with path.open("wb") as file:
        for _ in range(mebibytes):
            file.write(generator.randbytes(1 << 20))


def _image(path: Path) -> Image:
    write_noise(path, _MEBIBYTES)
    return Image.model_validate(
        {
            "apiVersion": "reconciler/v1",
            "kind": "Image",
            "metadata": {"name": "image"},
            "spec": {"source": {"path": str(path)}, "format": "raw"},
        },
        strict=False,
    )


def _upload(hypervisor: Hypervisor, images: ImageStore, image: Image) -> None:
    content, length = images.open(image)
    with content:
        hypervisor.create_volume(_POOL, "image", format="raw", capacity=length)
        hypervisor.upload_volume(_POOL, "image", content, length, lambda _done: None)


def _virsh_upload(host: LabHost, path: Path) -> float:
    create = f"vol-create-as {_POOL} image {_MEBIBYTES}MiB --format raw --allocation 0"
    return process_seconds(["virsh", "-q", "-c", host.uri, f"{create}; vol-upload image {path} --pool {_POOL}"])


def _check_and_delete(host: LabHost, there: Path, image: Path) -> None:
    if not filecmp.cmp(there, image, shallow=False):
        raise BenchError(f"{there} is not what was sent")
    filecmp.clear_cache()
    host.virsh("vol-delete", "image", _POOL)
