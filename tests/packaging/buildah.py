"""Container images built by the real program, without a daemon, a registry, or anything left behind."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BASE = "debian:bookworm-slim"
REPOSITORY = Path(__file__).parents[2]
_PIP_SETTINGS = {"index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout"}
_CERTIFICATES = "/run/certificates.crt"


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with a storage of its own below ``folder``."""

    folder: Path

    def __call__(self, *arguments: str | Path) -> str:
        """Run one buildah command and return its stdout; AssertionError with the end of its output if it fails."""
        storage = ("--storage-driver", _driver(self.folder), "--root", self.folder / "storage")
        return run("buildah", *storage, "--runroot", self.folder / "run", *arguments)

    def add_base(self, tarball: Path) -> None:
        """Make the files of ``tarball`` the image that a Dockerfile's ``FROM`` finds."""
        container = self("from", "scratch").strip()
        self("add", "--quiet", container, tarball)
        self("commit", "--quiet", "--rm", container, BASE)

    def build(self, context: Path, image: str) -> None:
        """Build ``context``'s Dockerfile, with this machine's ways to packages lent to the build only."""
        volumes = [f"--volume={volume}" for volume in self._lent()]
        self("bud", "--pull-never", "--isolation", "chroot", *volumes, "--tag", image, context)

    def remove(self) -> None:
        """Remove every container and image."""
        self("rm", "--all")
        self("rmi", "--all", "--force")

    def _lent(self) -> list[str]:
        """Where packages come from on this machine, as bind mounts ``outside:inside:options``."""
        # Where .venv's own libvirt-python was kept as it was compiled: the same one is not compiled twice.
        pip_cache = Path(run(sys.executable, "-m", "pip", "cache", "dir").strip())
        pip_cache.mkdir(parents=True, exist_ok=True)
        volumes = ["/etc/apt:/etc/apt:ro", f"{pip_cache}:/root/.cache/pip"]
        settings = _pip_settings()
        if certificates := settings.get("cert"):
            volumes.append(f"{certificates}:{_CERTIFICATES}:ro")
            settings["cert"] = _CERTIFICATES
        pip_conf = self.folder / "pip.conf"
        pip_conf.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
        return [*volumes, f"{pip_conf}:/etc/pip.conf:ro"]


@cache
def _driver(folder: Path) -> str:
    """`vfs` copies all files for each container and works everywhere; `overlay` can't be put on another overlay."""
    file_systems = Path("/proc/filesystems").read_text().split()
    beneath = run("stat", "--file-system", "--format=%T", folder).strip()
    return "overlay" if "overlay" in file_systems and beneath != "overlayfs" else "vfs"


def run(*command: str | Path) -> str:
    """Stdout of a command; AssertionError with the end of its output if it fails."""
    argv = [str(part) for part in command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, (
        f"{' '.join(argv)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}"
    )
    return done.stdout


def _pip_settings() -> dict[str, str]:
    """Pip's own settings on this machine as far as they hold in another file system."""
    listed = run(sys.executable, "-m", "pip", "config", "list")
    found = dict(line.split("=", 1) for line in listed.splitlines() if "=" in line)
    plain = {name.rpartition(".")[2]: str(ast.literal_eval(value)) for name, value in found.items()}
    return {
        key: value
        for key, value in plain.items()
        if (key in _PIP_SETTINGS and "file:" not in value) or (key == "cert" and os.access(value, os.R_OK))
    }
