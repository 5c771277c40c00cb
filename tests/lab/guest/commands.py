"""Running the programs that make images, and telling how far a build is."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class GuestImageError(RuntimeError):
    """A guest image could not be built or booted; the text says at which step and what to do."""


def run(command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run ``command`` to its end and return its stdout.

    Raises GuestImageError with the last lines of its stderr if it is missing or exits non-zero.
    """
    argv = [str(part) for part in command]
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise GuestImageError(
            f"guest image: {argv[0]} is not installed; install the packages that README.md names"
        ) from error
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-15:])
        raise GuestImageError(f"guest image: {' '.join(argv[:4])} … ended with {done.returncode}:\n{tail}")
    return done.stdout


class Progress:
    """Lines on stderr with the seconds since the build began."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        print(f"guest {self._image} {seconds:5.1f} s  {text}", file=sys.stderr, flush=True)
