"""Debian packages as folders of files: downloaded by apt, unpacked by dpkg, never installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.lab.guest.commands import GuestImageError, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_KERNEL_META = "linux-image-cloud-amd64"


def kernel_package() -> str:
    """Name of the package behind Debian's cloud kernel, e.g. ``linux-image-6.1.0-56-cloud-amd64``."""
    depends = run(["apt-cache", "depends", "--important", _KERNEL_META])
    found = re.search(r"Depends: (linux-image-\S+-cloud-amd64)", depends)
    if found is None:
        raise GuestImageError(f"guest image: apt knows no {_KERNEL_META}; run apt-get update first")
    return found[1]


def unpack(packages: Sequence[str], download: Path, target: Path) -> None:
    """Download ``packages`` into the folder ``download`` and lay their files out under ``target``."""
    download.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    # As root apt would drop to a user that can't write here, and warn about it.
    run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages], cwd=download)
    for package in sorted(download.glob("*.deb")):
        run(["dpkg", "-x", package, target])
