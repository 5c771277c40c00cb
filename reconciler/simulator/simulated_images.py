"""Images without files: whatever the specs name is there, or comes in the time that a download takes."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO, Final, Literal

from reconciler.clock import Clock
from reconciler.errors import DownloadFailed, ImageError
from reconciler.executor.interface import FetchProgress
from reconciler.model.image import Image
from reconciler.model.inventory import ImageFacts
from reconciler.model.steps import SeedContent

_MIB: Final = 1 << 20
_VIRTUAL_SIZE: Final = 64 * _MIB
_LENGTH: Final = 2 * _MIB
_CHUNKS: Final = 4
_CHUNK_SECONDS: Final = 0.5
_QCOW2: Final = b"QFI\xfb" + bytes(20) + _VIRTUAL_SIZE.to_bytes(8, "big")


class SimulatedImages:
    """Implements ImageShelf; a download takes two seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cached: set[str] = set()
        self._digests: dict[str, str] = {}
        self._cuts: dict[str, int] = {}
        self._broken: dict[str, str] = {}

    # -- faults ----------------------------------------------------------------------------------------------------
    def cut_downloads(self, image: str, times: int) -> None:
        """Have the next downloads of `image` end before their end."""
        self._cuts[image] = times

    def change(self, image: str) -> None:
        """Have the file of `image` replaced by another one."""
        self._digests[image] = _digest(f"{image} {self._digests.get(image, '')}")

    def break_file(self, image: str, reason: str) -> None:
        """Have the file of `image` be unusable; usable again for an empty reason."""
        self._broken[image] = reason

    # -- what a session needs --------------------------------------------------------------------------------------
    def facts(self, image: Image) -> ImageFacts:
        digest = image.spec.checksum or self._digests.setdefault(image.name, _digest(image.name))
        broken = self._broken.get(image.name)
        if broken:
            return ImageFacts(image.name, digest, cached=False, virtual_size=None, error=broken)
        cached = image.spec.source.url is None or digest in self._cached
        return ImageFacts(image.name, digest, cached=cached, virtual_size=_VIRTUAL_SIZE if cached else None)

    def fetch(self, image: Image, progress: FetchProgress, stop: threading.Event) -> ImageFacts:
        for chunk in range(1, _CHUNKS + 1):
            self._clock.wait(threading.Event(), _CHUNK_SECONDS)
            progress(chunk * _LENGTH // _CHUNKS, _LENGTH)
            if stop.is_set() or (chunk == _CHUNKS // 2 and self._is_cut(image.name)):
                raise DownloadFailed(f"Image/{image.name}: the connection was lost half-way", hint="it is tried again")
        if image.spec.checksum is not None:
            self._cached.add(image.spec.checksum)
        return self.facts(image)

    def open(self, image: Image) -> tuple[BinaryIO, int]:
        broken = self._broken.get(image.name)
        if broken:
            raise ImageError(f"Image/{image.name}: {broken}")
        head = _QCOW2 if image.spec.format == "qcow2" else b""
        return io.BytesIO(head + bytes(_LENGTH - len(head))), _LENGTH

    def compressed(
        self,
        content: BinaryIO,
        stop: threading.Event,  # noqa: ARG002  # at once
        look: Callable[[int], None],
    ) -> tuple[BinaryIO, int]:
        whole = content.read()
        look(len(whole))
        return io.BytesIO(whole), len(whole)

    def seed_iso(self, content: SeedContent) -> bytes:
        return content.user_data.encode().ljust(4096, b"\0")

    def virtual_size(self, path: Path, declared: Literal["qcow2", "raw"]) -> int:  # noqa: ARG002  # all are alike
        return _VIRTUAL_SIZE

    def collect(self, used_digests: Collection[str]) -> tuple[str, ...]:
        unused = tuple(sorted(self._cached - set(used_digests)))
        self._cached.difference_update(unused)
        return unused

    def _is_cut(self, image: str) -> bool:
        left = self._cuts.get(image, 0)
        self._cuts[image] = max(0, left - 1)
        return left > 0


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
