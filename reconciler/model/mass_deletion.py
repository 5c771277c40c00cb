"""Deletions at once that are more than anybody is likely to mean: what they are, and how many are let through."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct


class Deletion(Struct, frozen=True, order=True):
    """One VM that would be removed, or whose kept disks would be deleted for good."""

    vm: str
    what: str
    """`removed`, `removed with its disks`, or `deleted for good` with the instant since which it was kept."""

    def __str__(self) -> str:
        return f"VirtualMachine/{self.vm}: {self.what}"


class MassDeletion(Struct, frozen=True):
    """Deletions that are held until a human has accepted these very ones."""

    deletions: tuple[Deletion, ...]
    limit: int
    """VMs that may go at once unasked."""
    managed: int
    """VMs that there are."""

    @property
    def fingerprint(self) -> str:
        """Another set of deletions has another one."""
        return fingerprint_of(self.deletions)

    @property
    def sentence(self) -> str:
        """How many they are, and how many are let through."""
        vms = len({deletion.vm for deletion in self.deletions})
        of = f" of {self.managed}" if self.managed >= vms else ""
        return f"{vms} VMs{of} would go at once, more than the {self.limit} that may go unasked"


def fingerprint_of(deletions: Iterable[Deletion]) -> str:
    """Short enough to be typed."""
    text = "\n".join(str(deletion) for deletion in sorted(deletions))
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()


def limit_of(managed: int, share: float, count: int) -> int:
    """The lesser of `share` of the managed VMs and `count`; a single one is always let through."""
    return max(1, min(count, int(managed * share)))
