"""What a session needs of the images on the controller; the real ones are `reconciler.images.catalog.ImageStore`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, Protocol

from reconciler.executor.interface import ImageSource


class ImageShelf(ImageSource, Protocol):
    """Images that are looked at, fetched, read, and thrown away once nobody names them."""

    def virtual_size(self, path: Path, declared: Literal["qcow2", "raw"]) -> int:
        """Bytes that a disk made from the file has at least; raises ImageError."""
        ...

    def collect(self, used_digests: Collection[str]) -> tuple[str, ...]:
        """Remove cached files of images that are none of `used_digests`; returns the names removed."""
        ...
