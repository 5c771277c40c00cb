"""The tiny image: Debian's cloud kernel, busybox and the real QEMU guest agent on a 64 MiB disk."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from tests.lab.guest.cache import cached_image, copy_image
from tests.lab.guest.commands import Progress, run
from tests.lab.guest.disk import Boot, make_disk
from tests.lab.guest.kernel import OVERLAY, copy_modules, write_initramfs
from tests.lab.guest.packages import kernel_package, unpack

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 64 << 20
_AGENT_PACKAGES = (*("qemu-guest-agent", "libc6", "libglib2.0-0", "libpcre2-8-0", "libnuma1", "libudev1", "liburing2"),)
# Loaded at each boot; the two of them that find no device cost nothing.
_BOOT_MODULES = (
    *("virtio_console", "virtio_net", "virtio_rng", "virtio_balloon", "virtio_mem", "sr_mod", "isofs"),
    *("button", "evdev"),
)
# Loaded by modprobe when such a device or file system turns up.
_SPARE_MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "virtio_input",
    "virtiofs",
    "pvpanic_pci",
    "nls_utf8",
)
_KERNEL_OPTIONS = (
    *("console=ttyS0", "quiet", "loglevel=1", "mitigations=off", "nokaslr", "no5lvl", "init_on_alloc=0"),
    *(
        "tsc=reliable",
        "no_timer_check",
        "cryptomgr.notests",
        "random.trust_cpu=on",
        "rcupdate.rcu_expedited=1",
    ),
    *("8250.nr_uarts=1", "lsm=", "audit=0", "memhp_default_state=online"),
)
_DIRECTORIES = (
    *("dev", "lib", "lib64", "mnt", "proc", "root", "run", "sys", "tmp"),
    *("usr/sbin", "var/lib", "var/log", "var/run"),
)


def tiny_image() -> Path:
    """Path of the tiny image in the cache, built if need be; read only, e.g. as a backing file."""
    return cached_image("tiny", without=("debian", "debian_base"), build=_build)


def build_tiny(destination: Path) -> Path:
    """Write the tiny image (qcow2) to ``destination`` and return it.

    Raises GuestImageError if a package or a program that it takes is missing.
    """
    return copy_image(tiny_image(), destination)


def _build(work: Path, image: Path) -> None:
    progress = Progress("tiny")
    packages, root = work / "packages", work / "root"
    progress.say("downloading kernel, busybox and guest agent")
    unpack([kernel_package(), "busybox-static", *_AGENT_PACKAGES], work / "download", packages)
    progress.say("laying out the root file system")
    for directory in _DIRECTORIES:
        (root / directory).mkdir(parents=True)
    shutil.copytree(OVERLAY / "tiny", root, dirs_exist_ok=True)
    _add_busybox(packages / "bin" / "busybox", root)
    _add_agent(packages, root)
    boot = _add_kernel(packages, root, work)
    progress.say("writing the disk")
    make_disk(root, _SIZE, boot, image, work=work, compress=False)
    progress.say(f"done, {image.stat().st_size >> 20} MiB")


def _add_busybox(busybox: Path, root: Path) -> None:
    (root / "bin").mkdir()
    shutil.copy(busybox, root / "bin" / "busybox")
    for applet in run([busybox, "--list"]).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    for applet in ("halt", "poweroff", "reboot"):
        (root / "bin" / applet).unlink()
        (root / "sbin" / applet).symlink_to("shutdown")
    (root / "sbin" / "init").symlink_to("../bin/busybox")


def _add_agent(packages: Path, root: Path) -> None:
    agent = packages / "usr" / "sbin" / "qemu-ga"
    shutil.copy(agent, root / "usr" / "sbin" / "qemu-ga")
    loader = packages / "lib64" / "ld-linux-x86-64.so.2"
    libraries = ":".join(str(packages / folder / "x86_64-linux-gnu") for folder in ("lib", "usr/lib"))
    for found in re.findall(r"=> (\S+)", run([loader, "--library-path", libraries, "--list", agent])):
        shutil.copy(found, root / "lib")
    shutil.copy(loader, root / "lib64")


def _add_kernel(packages: Path, root: Path, work: Path) -> Boot:
    (modules,) = (packages / "lib" / "modules").iterdir()
    run(["depmod", "-b", packages, modules.name])
    copy_modules(modules, root / "lib" / "modules" / modules.name, [*_BOOT_MODULES, *_SPARE_MODULES])
    (root / "etc" / "lab-modules").write_text(" ".join(_BOOT_MODULES) + "\n")
    initramfs = work / "initrd.img"
    write_initramfs(initramfs, modules, packages / "bin" / "busybox")
    return Boot(packages / "boot" / f"vmlinuz-{modules.name}", initramfs, _KERNEL_OPTIONS)
