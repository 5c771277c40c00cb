"""Verified images by digest, in the state directory: complete under their final name, or not there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from reconciler.images.durable import storage_errors, sync_directory
from reconciler.images.file_lock import locked_if_free
from reconciler.images.partial import Partial
from reconciler.private_files import make_private_folder

_OURS: Final = re.compile(
    r"(?P<hex>[0-9a-f]{64}|[0-9a-f]{128})\.(?P<format>qcow2|raw)(\.part|\.part\.json|\.part\.json\.tmp|\.lock)?"
)


class ImageCache:
    """`<hex digest>.<format>` in a directory of mode 0700, files of mode 0600."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make the directory; raises StateError or CacheFull."""
        with storage_errors(self.directory):
            self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_private_folder(self.directory)
            self.directory.chmod(0o700)

    def path(self, digest: str, image_format: str) -> Path:
        """Where the verified image is, once it is."""
        return self.directory / f"{_hex(digest)}.{image_format}"

    def lock(self, digest: str, image_format: str) -> Path:
        """What to hold while the image is fetched."""
        return self.directory / f"{_hex(digest)}.{image_format}.lock"

    def partial(self, digest: str, image_format: str) -> Partial:
        """The image's unfinished download."""
        return Partial(self.directory / f"{_hex(digest)}.{image_format}.part")

    def commit(self, digest: str, image_format: str) -> Path:
        """Give the finished, verified download its final name, durably; raises StateError or CacheFull."""
        with storage_errors(self.directory):
            return self._commit(digest, image_format)

    def _commit(self, digest: str, image_format: str) -> Path:
        partial = self.partial(digest, image_format)
        final = self.path(digest, image_format)
        descriptor = os.open(partial.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, 0o600)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.path.replace(final)
        partial.sidecar.unlink(missing_ok=True)
        sync_directory(self.directory)
        return final

    def collect(self, used_digests: Collection[str]) -> tuple[str, ...]:
        """Remove what belongs to none of `used_digests` and is not being fetched; returns the names removed, sorted.

        Raises StateError.
        """
        with storage_errors(self.directory):
            return self._collect(used_digests)

    def _collect(self, used_digests: Collection[str]) -> tuple[str, ...]:
        used = {_hex(digest) for digest in used_digests}
        unused: dict[str, list[Path]] = {}
        removed: list[str] = []
        for path in self._files():
            match = _OURS.fullmatch(path.name)
            if match and match["hex"] not in used:
                unused.setdefault(f"{match['hex']}.{match['format']}", []).append(path)
        for image, paths in unused.items():
            with locked_if_free(self.directory / f"{image}.lock") as held:
                removed += [path.name for path in paths if held and _remove(path)]
        return tuple(sorted(removed))

    def _files(self) -> list[Path]:
        return list(self.directory.iterdir()) if self.directory.is_dir() else []


def _hex(digest: str) -> str:
    return digest.partition(":")[2]


def _remove(path: Path) -> bool:
    """Whether it is an image or a part of one; its lock goes with the holder."""
    if path.suffix == ".lock":
        return False
    path.unlink(missing_ok=True)
    return True
