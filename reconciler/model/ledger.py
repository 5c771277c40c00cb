"""What must be remembered and can't be observed, as the planner sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct, field

from reconciler.model.capture_steps import CaptureImage
from reconciler.model.domain import DeletionPolicy
from reconciler.model.drill import DrillResult
from reconciler.model.health import FenceProof, FenceTest, HostHealth, Incident
from reconciler.model.mass_deletion import Deletion
from reconciler.model.plan import Why
from reconciler.model.steps import MigrateDomain
from reconciler.model.tombstone import Tombstone
from reconciler.model.version import Consistency, ImageVersion

LONGEST_BACKOFF: Final = 600.0
"""Seconds after which whatever failed is tried again."""


class Placement(Struct, frozen=True):
    """Where a VM was put; the highest epoch is the true copy. `since` is wall time in seconds."""

    vm: str
    host: str
    epoch: int
    since: float
    ran: bool = True
    """Whether it was started there, and not stopped by us to be started again; true also where that is not known."""
    came_from: str | None = None
    """The dead host that it was recovered from, until it is seen to run here: if that one returns, it may run there."""
    autostart: bool = False
    """Whether the domain, as last seen, is started by its host."""
    deletion_policy: DeletionPolicy | None = None
    """What the specs last said about its disks; None where they have not named it since this ledger began."""
    marked_epoch: int | None = None
    """Where people moved it: the epoch in its mark, until that was brought to `epoch`; marks don't tell moves apart."""
    drained_from: str | None = None
    """The host that was emptied of it, until it goes elsewhere for another reason: where it may be wanted back."""
    outran_at: float | None = None
    """When a live move of it from here was last given up for taking too long, where that may have it shut down."""

    def reached_by(self, mark: int | None) -> int:
        """The epoch below which copies elsewhere are surely old; `mark` is that of the copy here, if it is in sight."""
        if self.marked_epoch is None or (mark is not None and mark >= self.epoch):
            return self.epoch
        return self.marked_epoch

    def outdates(self, mark: int, here: int | None) -> bool:
        """Whether a copy elsewhere with `mark` is surely old; `here` is the mark of the copy here, if it is in sight.

        Between the mark of before and `epoch` there is only what our own moves that failed may have left behind.
        """
        return mark < self.reached_by(here) or (mark < self.epoch and mark != self.marked_epoch)


class RemovedVm(Struct, frozen=True):
    """Where a VM that was removed had been put last; copies of that epoch or before that come back are old."""

    vm: str
    host: str
    epoch: int
    deletion_policy: DeletionPolicy | None = None
    """As of Placement."""

    def outdates(self, host: str, epoch: int) -> bool:
        """Whether a copy with `epoch` on `host` is of before the removal; the removed one itself may be put back."""
        return epoch < self.epoch or (epoch == self.epoch and host != self.host)


class Failure(Struct, frozen=True):
    """An action that failed; `key` is the action's id. Wall times in seconds."""

    key: str
    attempts: int
    message: str
    permanent: bool
    not_before: float
    """When it may be tried again; for a permanent failure, when its inputs change (`inputs`)."""
    inputs: str
    """Hash of the action that failed: a changed action starts afresh."""

    def waits(self, now: float) -> float:
        """Seconds until it may be tried again, 0 if it may be now; a clock that was set back prolongs nothing."""
        left = self.not_before - now
        return left if 0 < left <= LONGEST_BACKOFF else 0.0


class VolumeIntent(Struct, frozen=True):
    """A volume whose making was begun and not yet finished: it may be partial and was never used."""

    pool: str
    volume: str
    host: str


class MigrationProgress(Struct, frozen=True):
    """How far a migration was, `at` a wall time in seconds. Bytes."""

    done: int
    """Sent in all, with what had to be sent again."""
    total: int
    remaining: int
    """The least that was left so far: what a guest writes to meanwhile is sent once more, and takes nothing back."""
    at: float
    downtime: float | None = None
    """Seconds that the guest would stand still at the end, as libvirt expects; None where it does not say."""


class Migration(Struct, frozen=True):
    """A VM on its way: it is at the source or at the target, and nowhere else. `since` is wall time in seconds.

    Written before libvirt is asked to begin, and removed once it is known where the VM is: what is on record is never
    issued a second time. Until then its placement is that of the source.
    """

    vm: str
    since: float
    step: MigrateDomain
    why: Why
    progress: MigrationProgress | None = None

    @property
    def source(self) -> str:
        return self.step.source

    @property
    def target(self) -> str:
        return self.step.target

    @property
    def epoch(self) -> int:
        """Of the copy at the target."""
        return self.step.epoch


CapturePhase = Literal["begun", "frozen", "copying", "sealing"]
"""Its volumes are being made; its guest may stand still; its disks are being copied; what was copied is read over."""


class Capture(Struct, frozen=True):
    """A version that is being made. Wall times in seconds.

    Written before anything is made, and removed once the version is on record or nothing is left of it: what is on
    record is never begun a second time.
    """

    image: str
    since: float
    step: CaptureImage
    why: Why
    phase: CapturePhase = "begun"
    taken_at: float | None = None
    """When the guest stood still; None before."""
    consistency: Consistency | None = None
    done: int = 0
    """Bytes, of what is copied or read over now."""
    total: int = 0
    cancelled: bool = False
    """People want it no more."""

    @property
    def vm(self) -> str:
        return self.step.domain

    @property
    def host(self) -> str:
        return self.step.host

    @property
    def stamp(self) -> str:
        return self.step.stamp


class VersionRemoval(Struct, frozen=True):
    """A version of an image that is to go; `at` is wall time in seconds."""

    image: str
    stamp: str
    at: float
    version: ImageVersion | None = None
    """What it was: it is no version any more, and something may be left of it. None where people have asked for it."""


class RestoreDone(Struct, frozen=True):
    """The last restore of `vm` that was done; `at` is a wall time in seconds."""

    vm: str
    done: str
    """As its mark says."""
    at: float
    source: str = ""
    """What its disks were brought back to, for people; empty where only the mark of its domain tells of it."""
    starts: bool = False
    """It ran before, and has not been started again since."""


class RestoringDisk(Struct, frozen=True):
    """A volume that is made for a disk of `vm`, which does not have it yet; written down before it is made."""

    vm: str
    disk: str
    value: str
    """Of the restore that it is for."""
    source: str
    """Name of the version that it is made from: `latest` is not looked for twice."""
    pool: str
    volume: str
    host: str
    copied: bool = False
    """It is whole."""


class DoomedVolume(Struct, frozen=True):
    """A volume of a removed VM whose deletion was accepted and may not have happened yet."""

    vm: str
    pool: str
    volume: str
    host: str


class LedgerView(Struct, frozen=True):
    """A consistent read of the ledger."""

    placements: Mapping[str, Placement] = field(default_factory=dict)
    removed: Mapping[str, RemovedVm] = field(default_factory=dict)
    """By name: VMs that were removed and have not been placed again."""
    hosts_read: frozenset[str] = frozenset()
    """Hosts that were read at least once since this ledger began: only then is 'no placement' knowledge."""
    read_seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each of them usually takes to be read."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    intents: frozenset[VolumeIntent] = frozenset()
    doomed: frozenset[DoomedVolume] = frozenset()
    """To be deleted unless the VM is in the specs again, or anything refers to the volume."""
    migrations: Mapping[str, Migration] = field(default_factory=dict)
    """By VM: those that are not known to have come to an end."""
    versions: Mapping[str, tuple[ImageVersion, ...]] = field(default_factory=dict)
    """By image, oldest first: those that are complete."""
    captures: Mapping[str, Capture] = field(default_factory=dict)
    """By image: versions that are being made, or of which something may be left."""
    capture_requests: Mapping[str, float] = field(default_factory=dict)
    """By image: since when people have asked for a version. Wall time in seconds."""
    scheduled: Mapping[str, float] = field(default_factory=dict)
    """By image: the newest instant of its schedule that had its capture. Wall time in seconds."""
    removals: frozenset[VersionRemoval] = frozenset()
    """Versions that people want to go, and those of which something may be left."""
    disk_volumes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By VM and disk: the volume of a disk that was restored, as its definition had it when it was last in sight."""
    restores: Mapping[str, RestoreDone] = field(default_factory=dict)
    """By VM."""
    restoring: Mapping[str, tuple[RestoringDisk, ...]] = field(default_factory=dict)
    """By VM: volumes of a restore that is not done."""
    drills: Mapping[str, DrillResult] = field(default_factory=dict)
    """By image: how the last drill ended."""
    disruptions: tuple[tuple[str, float], ...] = ()
    """VMs that were disrupted on purpose, and when: wall times in seconds, oldest first."""
    left_behind: frozenset[DoomedVolume] = frozenset()
    """Disks of VMs that were migrated from that host: the VM has them elsewhere now."""
    tombstones: tuple[Tombstone, ...] = ()
    """Volumes that are kept of what was removed or replaced, oldest first."""
    accepted_deletions: frozenset[Deletion] = frozenset()
    """Of a mass deletion: those that a human has accepted, and that are not done yet."""
    counted: float = 0.0
    """Seconds that were counted since this ledger began, see CountedTime."""
    ran_twice: Mapping[str, str] = field(default_factory=dict)
    """By VM: that its old copy ran beside the true one, until a human has resumed it."""
    awaited: frozenset[str] = frozenset()
    """VMs that the specs had and nobody had made when that was looked at last: none of them is another one renamed."""
    in_flight: frozenset[str] = frozenset()
    """Objects (`Kind/name`) that actions of an earlier pass are still at."""
    paused: frozenset[str] = frozenset()
    """`Kind/name` of held objects; `fleet` holds everything."""
    restarts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By VM: when it was started again after it had ended by itself, oldest first. Wall times in seconds."""
    silent_guests: Mapping[str, float] = field(default_factory=dict)
    """By VM: since when its guest's agent has not answered, for longer than its spec allows. Wall time in seconds."""
    health: Mapping[str, HostHealth] = field(default_factory=dict)
    """By host, as the controller last wrote it down; empty where none runs that watches hosts."""
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    """By host: incidents that are open."""
    proofs: Mapping[str, FenceProof] = field(default_factory=dict)
    """By host: proofs of open incidents whose host has not answered since."""
    fence_tests: Mapping[str, FenceTest] = field(default_factory=dict)
    """By host: the last test of its devices."""
    identities: Mapping[str, str] = field(default_factory=dict)
    """By host: UUID of the machine that was first read under that name."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """By host: URI under which it was last read."""
    quiet: bool = False
    """The quiet period after the controller's start: nobody is fenced and nothing recovered."""
    unsettled: bool = False
    """Whether so many hosts were bad until a moment ago that silence says little: the others may be about to answer."""
