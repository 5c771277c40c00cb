"""A Debian 12 server image as cloud vendors ship it: systemd, cloud-init, guest agent, ssh, netplan."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.lab.guest.cache import cached_image, copy_image
from tests.lab.guest.commands import Progress, run
from tests.lab.guest.debian_base import debian_root
from tests.lab.guest.disk import Boot, make_disk
from tests.lab.guest.kernel import OVERLAY, write_initramfs
from tests.lab.guest.packages import unpack

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 2 << 30
_PACKAGES = (
    *("linux-image-cloud-amd64", "systemd-sysv", "udev", "dbus", "cloud-init"),
    *("qemu-guest-agent", "openssh-server", "iproute2"),
)
# What starts by itself on a server and would only delay a guest that lives for minutes.
_MASKED_UNITS = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("e2scrub_reap.service", "fstrim.timer", "systemd-networkd-wait-online.service", "getty@tty1.service"),
    *("modprobe@configfs.service", "modprobe@drm.service", "modprobe@fuse.service", "modprobe@efi_pstore.service"),
    *("modprobe@dm_mod.service", "modprobe@loop.service", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount", "dev-mqueue.mount"),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "systemd-update-utmp.service"),
    *("systemd-update-utmp-runlevel.service", "cloud-init-hotplugd.socket", "systemd-pstore.service"),
    # Each is a Python of its own that takes 5 s to begin, and what a seed is good for is done before.
    *("cloud-config.service", "cloud-final.service"),
)
_KERNEL_OPTIONS = (
    *("console=ttyS0", "quiet", "loglevel=3", "mitigations=off", "no5lvl", "init_on_alloc=0", "tsc=reliable"),
    *("no_timer_check", "random.trust_cpu=on", "apparmor=0", "audit=0"),
)


def debian_image() -> Path:
    """Path of the Debian image in the cache, built if need be; read only, e.g. as a backing file."""
    return cached_image("debian", without=("tiny",), build=_build)


def build_debian(destination: Path) -> Path:
    """Write the Debian image (compressed qcow2) to ``destination`` and return it.

    Takes root, and some 90 s the first time. Raises GuestImageError if a package or a program is missing.
    """
    return copy_image(debian_image(), destination)


def _build(work: Path, image: Path) -> None:
    progress = Progress("debian")
    root = work / "root"
    progress.say("installing packages, takes about a minute")
    # Without the packages' initramfs: our own waits for nothing.
    debian_root(root, _PACKAGES)
    progress.say("setting up")
    _set_up(root)
    (modules,) = (root / "lib" / "modules").iterdir()
    unpack(["busybox-static"], work / "download", work / "packages")
    initramfs = work / "initrd.img"
    write_initramfs(initramfs, modules, work / "packages" / "bin" / "busybox")
    boot = Boot(root / "boot" / f"vmlinuz-{modules.name}", initramfs, _KERNEL_OPTIONS)
    progress.say("writing and compressing the disk")
    make_disk(root, _SIZE, boot, image, work=work, compress=True)
    progress.say(f"done, {image.stat().st_size >> 20} MiB")


def _set_up(root: Path) -> None:
    units = root / "etc" / "systemd" / "system"
    for unit in _MASKED_UNITS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    shutil.copytree(OVERLAY / "debian", root, symlinks=True, dirs_exist_ok=True)
    for identity in (root / "etc" / "ssh").glob("ssh_host_*"):
        identity.unlink()
    for name in ("machine-id", "hostname"):
        (root / "etc" / name).write_text("")
    run(["systemctl", "--root", root, "enable", "systemd-networkd.service"])
