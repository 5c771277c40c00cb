"""Built images, kept by a hash of their recipe: made once, complete or absent, whoever asks at once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PACKAGE = Path(__file__).parent
_REPOSITORY = _PACKAGE.parents[2]
_NOT_RECIPE = {"__init__.py", "__main__.py", "cache.py", "machine.py", "seed.py", "test_guest.py"}


def cache_directory() -> Path:
    """``$RECONCILER_LAB_CACHE/guest``, or ``.cache/guest`` of the checkout; created."""
    root = os.environ.get("RECONCILER_LAB_CACHE")
    directory = (Path(root) if root else _REPOSITORY / ".cache") / "guest"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def recipe_hash(name: str, other_recipes: tuple[str, ...]) -> str:
    """Twelve hex digits over every file that shapes image ``name``; files of ``other_recipes`` do not count."""
    digest = hashlib.sha256(name.encode())
    for path in sorted(_PACKAGE.rglob("*")):
        inner = path.relative_to(_PACKAGE)
        foreign = any(inner.stem == other or other in inner.parts for other in other_recipes)
        if not path.is_file() or "__pycache__" in inner.parts or str(inner) in _NOT_RECIPE or foreign:
            continue
        if inner.suffix != ".md":
            digest.update(f"{inner}\0{path.stat().st_mode & 0o777:o}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def cached_image(name: str, *, without: tuple[str, ...], build: Callable[[Path, Path], None]) -> Path:
    """Path of the built image ``name``, to be read only.

    ``build(work, image)`` is called if the recipe was never built: it writes ``image`` and may fill ``work``.
    Whoever comes second waits for the first.
    """
    image = cache_directory() / f"{name}-{recipe_hash(name, without)}.qcow2"
    if image.exists():
        return image
    with locked(image.with_suffix(".lock")):
        if not image.exists():
            with tempfile.TemporaryDirectory(dir=image.parent, prefix=f".{name}-") as work:
                unfinished = Path(work) / "image.qcow2"
                build(Path(work), unfinished)
                unfinished.replace(image)
    return image


def copy_image(image: Path, destination: Path) -> Path:
    """Copy a cached image to ``destination``, which is complete or absent at any instant."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}-") as work:
        unfinished = Path(work) / "image.qcow2"
        shutil.copyfile(image, unfinished)
        unfinished.replace(destination)
    return destination


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
