"""Copies of a VM, seen from below: the QEMU processes that hold the lock of its disk."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.controller import FLEET, POOL
from tests.lab.hosts import Lab
from tests.lab.namespaces import name_of

_WRITE_LOCK = 101  # QEMU locks this byte of an image for as long as it may write to it
_EVERY_SECONDS = 0.2


def holders(lab: Lab, vms: Iterable[str]) -> dict[str, list[int]]:
    """By VM the pids of QEMU processes that may write to its root disk, stopped ones too: they might go on."""
    found: dict[str, list[int]] = {vm: [] for vm in vms}
    disks = {f"{lab.shared}/{POOL}/{FLEET}.{vm}.root.qcow2": vm for vm in found}
    for pid in _qemus():
        for disk in _written_by(pid, disks):
            found[disks[disk]].append(pid)
    return found


def _qemus() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (name_of(int(entry.name)) or "").startswith("qemu-system"):
            yield int(entry.name)


def _written_by(pid: int, disks: Container[str]) -> set[str]:
    """Those of `disks` whose write lock the process holds."""
    held = set()
    # Gone meanwhile: the process, and its locks with it.
    with suppress(FileNotFoundError, ProcessLookupError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            disk = str(handle.readlink())
            if disk in disks and _holds_write_lock(Path(f"/proc/{pid}/fdinfo/{handle.name}").read_text()):
                held.add(disk)
    return held


def _holds_write_lock(descriptor: str) -> bool:
    """Looks for a line such as `lock: 1: OFDLCK ADVISORY READ -1 fe:00:1234 100 101`."""
    ranges = (line.split()[-2:] for line in descriptor.splitlines() if line.startswith("lock:") and "OFDLCK" in line)
    return any(int(first) <= _WRITE_LOCK and (last == "EOF" or int(last) >= _WRITE_LOCK) for first, last in ranges)


@dataclass
class Watch:
    """What was seen of some VMs' copies while they were watched."""

    samples: int = 0
    twice: list[str] = field(default_factory=list)
    """Sentences, one for each sample in which a VM had more than one copy."""


@contextmanager
def watched(lab: Lab, vms: Iterable[str]) -> Iterator[Watch]:
    """Look at all copies each 0.2 s meanwhile."""
    names = tuple(vms)
    watch = Watch()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_EVERY_SECONDS):
            watch.samples += 1
            watch.twice += [
                f"sample {watch.samples}: {vm} {pids}" for vm, pids in holders(lab, names).items() if len(pids) > 1
            ]

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
