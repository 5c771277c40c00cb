"""A minimal Debian 12, made once: what the Debian image and the container's test both begin with."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.guest.cache import cache_directory, locked
from tests.lab.guest.commands import run

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
# Nothing that is installed starts here: there is no init, and sshd would listen on this very machine.
_START_NOTHING = "#!/bin/sh\nexit 101\n"


def debian_base() -> Path:
    """Path of a tarball like the official slim image in the cache, made if need be; only read it.

    Raises GuestImageError if mmdebstrap is missing or fails.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    tarball = cache_directory() / f"debian-base-{recipe}.tar"
    with locked(tarball.with_suffix(".lock")):
        if not tarball.exists():
            unfinished = tarball.with_suffix(".unfinished.tar")
            options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
            options += ["--dpkgopt=force-unsafe-io", "--aptopt=Acquire::Languages none"]
            run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", *options, "bookworm", unfinished])
            unfinished.replace(tarball)
    return tarball


def debian_root(root: Path, packages: Sequence[str]) -> None:
    """Lay out a Debian under ``root`` (to be created) with ``packages`` and what they need installed; takes root.

    Without an initramfs: whoever wants one makes it. Raises GuestImageError.
    """
    root.mkdir()
    run(["tar", "--directory", root, "--extract", "--file", debian_base()])
    for_a_while = {root / "usr/sbin/policy-rc.d": _START_NOTHING, root / "etc/resolv.conf": _name_servers()}
    for path, text in for_a_while.items():
        path.write_text(text)
        path.chmod(0o755)
    inside = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        f"--root={root}",
        "apt-get",
        "-qq",
    ]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "INITRD": "No"}
    run([*inside, "update"], env=environment)
    run([*inside, "install", "--yes", "--no-install-recommends", *packages], env=environment)
    run([*inside, "clean"], env=environment)
    shutil.rmtree(root / "var/lib/apt/lists")
    for path in for_a_while:
        path.unlink()


def _name_servers() -> str:
    return Path("/etc/resolv.conf").read_text()
