"""Virtual sizes of the image files that are on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal

from reconciler.errors import ReconcilerError
from reconciler.model.image import Image
from reconciler.specfiles.places import Finding

ImageSize = Callable[[Path, Literal["qcow2", "raw"]], int]
"""Virtual size in bytes of an image file of the format `qcow2` or `raw`.

Raises OSError if the file can't be opened, a ReconcilerError if it is not what the spec says, or not safe.
"""

_PATH: Final = ("spec", "source", "path")
IMAGE_FILE: Final = (("metadata", "name"), _PATH, ("spec", "format"))
"""What must be known of an image for its file to be measured."""


def measure(images: Iterable[Image], image_size: ImageSize | None) -> dict[str, int | Finding]:
    """By image name: the virtual size in bytes, or why it is not known; images without a `path` are left out."""
    if image_size is None:
        return {}
    return {
        image.name: _size(image_size, Path(image.spec.source.path), image.spec.format)
        for image in images
        if image.spec.source.path is not None
    }


def _size(image_size: ImageSize, path: Path, image_format: Literal["qcow2", "raw"]) -> int | Finding:
    try:
        return image_size(path, image_format)
    except OSError as error:
        reason = (error.strerror or "cannot be opened").lower()
        remedy = "put the image there before a VM is made of it, or correct the path"
        return Finding("S038", _PATH, f"{path}: {reason}; {remedy}")
    except ReconcilerError as error:
        return Finding("S039", _PATH, f"{error.message}; {error.hint}" if error.hint else error.message)
