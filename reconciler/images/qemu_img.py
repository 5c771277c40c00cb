"""qemu-img under limits: what guests wrote is not trusted, nor are its tables."""

from __future__ import annotations

import shutil
from typing import Final

from reconciler.errors import ImageError

_MEMORY: Final = 2 << 30
"""Bytes of address space that it may take, whatever tables a disk has; it needs some tens of MiB."""
_PROGRAMS: Final = ("qemu-img", "prlimit")


def check_installed(purpose: str, *, otherwise: str = "") -> None:
    """Raise ImageError where a program is missing: that `purpose` takes it, and what to do `otherwise`."""
    missing = next((program for program in _PROGRAMS if shutil.which(program) is None), None)
    if missing is not None:
        install = "install it (Debian: qemu-utils, util-linux)"
        raise ImageError(
            f"there is no {missing} on this machine, which {purpose} takes",
            hint=f"{install}, or {otherwise}" if otherwise else install,
        )


def convert_within(cpu_seconds: int) -> list[str]:
    """The first words of a conversion, niced; its arguments follow."""
    return ["prlimit", f"--as={_MEMORY}", f"--cpu={cpu_seconds}", "--core=0", "--", "nice", "qemu-img", "convert"]
