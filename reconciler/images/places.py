"""Where a file really is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


def is_within(file: BinaryIO, path: Path, folders: Iterable[str]) -> bool:
    """Whether the open `file`, which was opened by `path`, is below one of `folders`; links are followed."""
    try:
        real = path.resolve(strict=True)
        if not os.path.samestat(real.stat(), os.fstat(file.fileno())):
            return False
    except OSError:
        return False
    return any(real.is_relative_to(Path(folder).resolve()) for folder in folders)
