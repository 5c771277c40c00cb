"""The guest kernel: its modules with what they need, and an initramfs that only finds the root disk."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.guest.commands import GuestImageError, run

if TYPE_CHECKING:
    from collections.abc import Sequence

OVERLAY = Path(__file__).parent / "overlay"
_INITRAMFS_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod")
_INITRAMFS_APPLETS = ("sh", "mount", "insmod", "findfs", "sleep", "switch_root")


def module_files(modules: Path, names: Sequence[str]) -> list[str]:
    """Paths of ``names`` and of all they depend on, relative to ``modules``, in the order to load them.

    ``modules`` is a folder VERSION under /lib/modules, with a modules.dep. Raises GuestImageError for an unknown name.
    """
    needs = {
        path: dependencies.split()
        for path, _, dependencies in (
            line.partition(":") for line in (modules / "modules.dep").read_text().splitlines()
        )
    }
    by_name = {Path(path).stem.replace("-", "_"): path for path in needs}
    ordered: dict[str, None] = {}
    for name in names:
        if name not in by_name:
            raise GuestImageError(f"guest image: this kernel has no module {name}; take it off the list")
        path = by_name[name]
        # modules.dep lists the deepest dependency last.
        ordered.update(dict.fromkeys([*reversed(needs[path]), path]))
    return list(ordered)


def copy_modules(source: Path, target: Path, names: Sequence[str]) -> None:
    """Copy ``names`` and what they need from one /lib/modules/VERSION folder to another, indexed for modprobe."""
    for path in module_files(source, names):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)
    for index in ("modules.builtin", "modules.order"):
        shutil.copyfile(source / index, target / index)
    run(["depmod", "-b", target.parents[2], target.name])


def write_initramfs(image: Path, modules: Path, busybox: Path) -> None:
    """Write an initramfs (newc, not compressed: unpacking is slower than reading under emulation)."""
    directories = [_entry(name, stat.S_IFDIR | 0o755) for name in _DIRECTORIES]
    applets = [_entry(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox") for name in _INITRAMFS_APPLETS]
    drivers = [
        _entry(f"modules/{number:02}-{Path(path).name}", stat.S_IFREG | 0o644, (modules / path).read_bytes())
        for number, path in enumerate(module_files(modules, _INITRAMFS_MODULES))
    ]
    programs = [
        _entry("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes()),
        _entry("init", stat.S_IFREG | 0o755, (OVERLAY / "initramfs" / "init").read_bytes()),
    ]
    image.write_bytes(b"".join([*directories, *applets, *programs, *drivers, _entry("TRAILER!!!", 0)]))


_DIRECTORIES = ("bin", "dev", "modules", "newroot", "proc", "sys")


def _entry(name: str, mode: int, content: bytes = b"") -> bytes:
    # inode, mode, uid, gid, links, mtime, size, device numbers (4), name size, checksum
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(header) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
