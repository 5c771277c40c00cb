"""A plan: ordered actions, and a typed reason for every unmet spec that no action serves now."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from reconciler.model.mass_deletion import Deletion, MassDeletion
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import Step

Disruption = Literal["none", "live", "migrate", "reboot", "rebuild", "destroy", "data-loss"]
DISRUPTIONS: Final[tuple[Disruption, ...]] = (
    "none",
    "live",
    "migrate",
    "reboot",
    "rebuild",
    "destroy",
    "data-loss",
)

Why = Literal[
    "missing",  # the object is in the specs and not there
    "spec-change",  # the spec changed since it was applied
    "drift",  # somebody changed the object behind our back
    "run-strategy",  # it should be on or off and is not
    "ended",  # it crashed or shut itself down, and is to run again
    "removed",  # it left the specs
    "unused",  # nothing refers to it any more
    "incomplete",  # its making was cut off
    "restore",  # its spec asks for disks as they were
    "host-lost",  # the host that it was on is dead, or is to be proven dead
    "placement-rule",  # the rules of its placement don't allow the host that it is on
    "drain",  # its host is to be emptied
    "balance",  # its host has too much to do
    "expired",  # it was kept for as long as it was to be
    "failback",  # the host that it was moved away from takes VMs again
    "first-version",  # the image has no version yet
    "unrecorded",  # it is there, and the ledger does not know of it
    "requested",  # people asked for it by command
    "retention",  # no rule keeps it any more
    "schedule",  # its time has come
    "adopt",  # its spec takes over what is there
]
Sign = Literal["create", "change", "destroy", "move"]

UnmetReason = Literal[
    "host-unread",  # the host it is on, or may be on, could not be read
    "fleet-not-seen",  # never placed as far as we know, but a host was never read with this ledger
    "no-host-fits",  # every host was rejected; detail has the reason per host
    "no-room",  # it asks for more than its host has left; it stays as it is
    "image-unavailable",
    "pool-unavailable",
    "network-unavailable",
    "restart-pending",  # staged; the guest has to stop and start
    "rename-pending",  # its spec has another name than its domain, which can't be renamed now
    "maybe-renamed",  # it is new and like one that left the specs, or the other way round
    "adoption-refused",  # its spec is to take over a domain that is not there, or that it would change
    "disk-not-its-own",  # its spec names a volume that is there and that it never had
    "conflict",  # an unmanaged object has the name, or there are two copies
    "spec-invalid",  # the object's spec is unusable; its last good form stands
    "paused",  # held by annotation or command
    "backoff",  # failed, and not yet tried again
    "disk-locked",  # another QEMU has its disk open: maybe on a host that counts as dead
    "failed",  # failed permanently; something has to change
    "removal-held",  # would be removed, but the specs are not certain
    "removal-waits",  # it left the specs on its way to another host, and is removed once it is there
    "specs-doubted",  # the specs may be older than those that the fleet was led by: only what keeps it running is done
    "outside-window",  # it would be disrupted, and its maintenance window is not open
    "approval-wanted",  # it would hurt so much that the policy asks for somebody's word
    "rate-limited",  # it would be disrupted, and so many were within a time as are allowed
    "mass-deletion",  # would be removed with more others than anybody is likely to mean
    "expires-soon",  # what is kept of it is about to be deleted
    "expiry-held",  # what is kept of it has expired, and is not deleted now
    "prune-disabled",  # would be removed, but is protected
    "immutable",  # the field can't be changed on an existing object
    "restore-waits",  # its disks are to be brought back, and can't be now; it stays as it is
    "disk-damaged",  # a disk of it is gone, or is not what it was: it is not started
    "shutting-down",  # the guest was asked and has not finished
    "crash-loop",  # it ended by itself again and again: the pauses grow, and at last it is left alone for a while
    "guest-not-answering",  # it runs, and the agent in it is silent
    "drill-waits",  # its newest version is to be tried, and can't be now
    "drill-failed",  # its newest version was tried, and did not do what it should
    "disk-disguised",  # what the guest wrote into its disk passes for another format
    "guest-paused",  # paused by somebody or by an I/O error; never resumed blindly
    "end-unknown",  # off, and whether it failed is not known any more
    "in-progress",  # an action of an earlier pass is still at it
    "not-wanted-here",  # it is on a host that is emptied, or that its placement does not allow, and can't be moved
    "move-waits",  # it is to go to another host, and others go first
    "below-baseline",  # the host lacks some of the CPU that VMs have which asked for that of the fleet
    "migrating",  # it is on its way to another host
    "capture-waits",  # a version is to be made of its VM, and something goes first; or the VM waits for that
    "capturing",  # a version is being made of its VM
    "migration-unsettled",  # it was on its way, and one of the two hosts can't be asked where it is now
    "host-lost",  # its host is lost, and it waits for that one, or for a proof that it is dead
    "fencing-held",  # the host is to be fenced, but not now: quiet period, brakes, another one first
    "fencing-failed",  # no device could confirm that the host is off; tried again after a while
    "not-armed",  # the host can't be fenced: no device, or none that passed its test
    "unsound",  # what was planned for it breaks an invariant: a mistake in the planner
    "version-damaged",  # files of a version of an image are gone: nothing can be restored from it
    "capacity-at-risk",  # the fleet could not bear the host failures that the policy asks it to bear
]
UNSEEN: Final[frozenset[UnmetReason]] = frozenset(
    {"host-unread", "fleet-not-seen", "host-lost", "fencing-held", "fencing-failed", "not-armed"}
)
"""Reasons of a VM that say that whether it runs is not known."""
Severity = Literal["waiting", "blocked", "info"]


class FieldChange(Struct, frozen=True):
    """One field, old to new, in spec terms (`memory`, `disks[root].size`); values as people write them."""

    field: str
    old: str
    new: str
    disruption: Disruption


class Action(Struct, frozen=True):
    """One change. `id` is unique in the plan and the same for the same change in every plan."""

    id: str
    kind: str
    """The step's name, such as `define-domain`."""
    sign: Sign
    target: ObjectRef
    host: str | None
    """None for what happens on the controller."""
    why: Why
    detail: str
    """One line for people."""
    disruption: Disruption
    step: Step
    changes: tuple[FieldChange, ...] = ()
    after: tuple[str, ...] = ()
    """Ids of actions that must have succeeded before."""
    counts: bool = False
    """Whether a VM is disrupted on purpose from here on, and that is written down for the rate limit."""
    approval: str = ""
    """Name of the Approval that lets it through, where one has to."""
    until: float | None = None
    """Wall time in seconds after which it is not begun any more; what was begun is brought to its end."""


class Unmet(Struct, frozen=True):
    """A spec that is not met and that no action serves now."""

    target: ObjectRef
    reason: UnmetReason
    detail: str
    severity: Severity = "waiting"
    host: str | None = None
    hint: str = ""
    """The command or change that would resolve it."""
    per_host: tuple[tuple[str, str], ...] = ()
    """For a VM that no host takes: host and why it was rejected, hosts in order."""
    changes: tuple[FieldChange, ...] = ()
    """For `restart-pending` and `immutable`: what waits."""


class Summary(Struct, frozen=True):
    """Objects (not actions) by what happens to them."""

    create: int
    change: int
    destroy: int
    move: int
    blocked: int
    waiting: int
    unchanged: int


class WantedApproval(Struct, frozen=True):
    """What an Approval has to name for one object to be changed."""

    target: ObjectRef
    disruption: Disruption
    what: str
    fingerprint: str


class Plan(Struct, frozen=True):
    """The whole decision of one pass."""

    generation: str
    actions: tuple[Action, ...]
    unmet: tuple[Unmet, ...]
    summary: Summary
    fingerprint: str
    """Short hash of the actions: the same plan has the same one."""
    unseen: tuple[str, ...] = ()
    """Hosts that could not be read."""
    dead: tuple[str, ...] = ()
    """Hosts that this plan takes for proven dead: what is done elsewhere on that account rests on it."""
    deletions: frozenset[Deletion] = frozenset()
    """All that the specs, and the time that is over, want deleted: now or once it can be."""
    mass_deletion: MassDeletion | None = None
    """Those of them that wait for a human's word."""
    wanted_approvals: tuple[WantedApproval, ...] = ()
    """What waits for an Approval."""
    held: tuple[str, ...] = ()
    """Ids of actions that would be here, had they not failed before, been under way, or been held by a brake."""

    @property
    def empty(self) -> bool:
        """Nothing to do now, though something may wait."""
        return not self.actions

    @property
    def worst(self) -> Disruption:
        """The worst disruption of any action."""
        return max((action.disruption for action in self.actions), key=DISRUPTIONS.index, default="none")
