"""QEMU's probed capabilities, kept between labs: probing takes seconds, reading them back milliseconds.

libvirt checks each entry against the QEMU and libvirt installed: a stale one is replaced, never trusted.
"""

import filecmp
import os
import shutil
from pathlib import Path

_STORE = Path(__file__).parents[2] / ".cache" / "lab" / "qemu-capabilities"


def restore(host_cache: Path) -> bool:
    """Copy the kept capabilities into a host's /var/cache/libvirt; false where there are none yet."""
    if not _STORE.is_dir():
        return False
    shutil.copytree(
        _STORE, host_cache / "qemu" / "capabilities", ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True
    )
    return True


def keep(host_cache: Path) -> None:
    """Keep what a running host has probed, unless that is what we have already."""
    probed = host_cache / "qemu" / "capabilities"
    names = [entry.name for entry in probed.glob("*.xml")] if probed.is_dir() else []
    if not names or (_STORE.is_dir() and not _differ(probed, names)):
        return
    _STORE.mkdir(parents=True, exist_ok=True)
    for name in names:
        draft = _STORE / f".{name}.{os.getpid()}"
        shutil.copyfile(probed / name, draft)
        draft.replace(_STORE / name)


def _differ(probed: Path, names: list[str]) -> bool:
    _, mismatch, errors = filecmp.cmpfiles(probed, _STORE, names, shallow=False)
    return bool(mismatch or errors)
