"""What each reason of an unmet spec means, and what helps: `reconciler explain crash-loop`, and OPERATIONS' table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from reconciler.model.plan import UnmetReason


class ReasonInfo(Struct, frozen=True):
    """One reason, in a few words of Markdown."""

    reason: UnmetReason
    means: str
    remedy: str


_ALL: Final = (
    ReasonInfo(
        "host-unread",
        "its host could not be read, or left the specs",
        "`why Host/NAME`; mend the connection, or put the Host back",
    ),
    ReasonInfo(
        "fleet-not-seen",
        "never placed, and a host that was never read might run it",
        "bring that host up once, or take it out of the specs",
    ),
    ReasonInfo(
        "no-host-fits",
        "every host was rejected; the reason of each is told",
        "free or add memory, uncordon, change `placement` or the size",
    ),
    ReasonInfo(
        "no-room",
        (
            "its new memory or CPUs are more than its host has left; it stays as it is, and nothing is stopped or "
            "staged for them"
        ),
        "ask for less, or make room on that host",
    ),
    ReasonInfo(
        "image-unavailable",
        "not fetched yet, a wrong checksum, or refused by inspection",
        "`why Image/NAME`; correct file, `url` or `checksum`",
    ),
    ReasonInfo(
        "pool-unavailable",
        "pool missing or inactive, or a disk's volume is gone from it",
        "start or define the pool, mount its storage",
    ),
    ReasonInfo(
        "network-unavailable",
        "network missing or inactive on the host",
        "start or define it, or change its `mode`",
    ),
    ReasonInfo(
        "restart-pending",
        "staged, and the guest still runs as before",
        "restart the guest, or `updatePolicy: restart`",
    ),
    ReasonInfo(
        "rename-pending",
        "its spec names it otherwise than its domain is named, which runs, or can't be renamed for the reason given",
        "shut the guest down, or `updatePolicy: restart`; it goes on under its old name until then",
    ),
    ReasonInfo(
        "maybe-renamed",
        "a VM left the specs, and a new one is just like it: neither is removed or made",
        "`metadata.previousName` in the new one if it is the same; else remove the old one in a commit of its own",
    ),
    ReasonInfo(
        "adoption-refused",
        "`metadata.adopt` names a domain that is not there, or that the spec would change; the domain is left alone",
        "`reconciler adopt HOST DOMAIN` prints the spec that changes nothing of it; change it after it is taken over",
    ),
    ReasonInfo(
        "disk-not-its-own",
        "`disks[].volume` is a volume that this VM never had; what is there is only used by the VM that it belongs to",
        "leave `volume` out for a new disk; to take a VM over with its disks, adopt its domain",
    ),
    ReasonInfo(
        "conflict",
        "something unmanaged has the name, or there are two copies of a VM with one epoch",
        "rename one, remove the stale copy; `type`/`mode: existing` uses a pool or network as it is",
    ),
    ReasonInfo(
        "spec-invalid",
        "the spec or what it needs has a mistake; the last good form stands",
        "`reconciler validate`; for an image: see that it is there, and no larger than its disks",
    ),
    ReasonInfo(
        "paused",
        "held by command or annotation",
        (
            "`reconciler resume …`, or take the annotation out; a silent host has to answer first, for resumed it "
            "would be fenced"
        ),
    ),
    ReasonInfo(
        "backoff",
        "failed in a way that may pass; tried again after 5 s, 10 s … 10 min",
        "wait; once it is mended, `reconciler resume KIND/NAME` or `apply` tries at once",
    ),
    ReasonInfo(
        "disk-locked",
        "QEMU's lock: another QEMU has the disk open, maybe on the host that counted as dead, which the text names",
        "cut that host's power: whoever confirmed that it is off was wrong; then check the disks",
    ),
    ReasonInfo(
        "failed",
        "failed in a way that needs somebody; the text has the remedy",
        "mend it, then `reconciler resume KIND/NAME` or `apply`, which try at once; else every 10 min",
    ),
    ReasonInfo(
        "removal-waits",
        "left the specs while it was on its way to another host: removed there as soon as it has arrived, as told",
        "put its spec back before that, if it is to stay",
    ),
    ReasonInfo(
        "removal-held",
        "left the specs, but the specs can't be read in full",
        "mend the specs; remove it then",
    ),
    ReasonInfo(
        "specs-doubted",
        "another controller led before, by other specs, and these are not known to be newer: only what keeps the fleet"
        " running is done",
        "bring the specs to what the text names; if these are right: `reconciler leader --accept-specs`",
    ),
    ReasonInfo(
        "outside-window",
        "it would be shut down, rebuilt or removed, and its maintenance window is not open; the text says when it is",
        "wait; or change `windows` in the configuration",
    ),
    ReasonInfo(
        "approval-wanted",
        "it would hurt as much as `requireApproval` lists, and no Approval in the specs names it",
        "commit the Approval that `reconciler plan` prints; or take the change back",
    ),
    ReasonInfo(
        "rate-limited",
        "it would be shut down, rebuilt or removed, and as many VMs were of late as `rateLimit` allows; the text says"
        " when the next may be",
        "wait; or raise `rateLimit.disruptions` in the configuration",
    ),
    ReasonInfo(
        "mass-deletion",
        "more VMs would be removed, or what is kept of them deleted, at once than `massDeletion` allows",
        "put the specs back; if all of it is meant: `reconciler accept-deletions FINGERPRINT`, as told",
    ),
    ReasonInfo(
        "expires-soon",
        "its VM was removed, or the disk replaced: what is kept of it is deleted within a day, as told",
        "put its spec back, or `reconciler tombstone keep VM`",
    ),
    ReasonInfo(
        "expiry-held",
        "what is kept of it has had its time, and can't be deleted now; the text says why",
        "mend what the text names; `reconciler tombstone purge VM` deletes it all the same once that is safe",
    ),
    ReasonInfo(
        "prune-disabled",
        "left the specs, but is protected",
        "put it back without the annotation, apply, remove it",
    ),
    ReasonInfo(
        "immutable",
        "can't be changed on what exists: a smaller disk, another pool or format",
        "put the old value back, or make a new disk or VM",
    ),
    ReasonInfo(
        "shutting-down",
        "the guest was asked to stop and has not yet",
        "wait; it is forced off after `shutdownTimeout`",
    ),
    ReasonInfo(
        "crash-loop",
        "it ends by itself again and again: pauses grow, and at last it is left alone for `ha.restartWindow`",
        "mend the guest or its spec; `reconciler resume VirtualMachine/NAME` tries at once",
    ),
    ReasonInfo(
        "guest-not-answering",
        "it runs, and its agent has been silent for `guestAgent.liveness`",
        "look at its console; nothing is done to it",
    ),
    ReasonInfo(
        "disk-damaged",
        "a disk of it is gone from its pool, or is no image any more; it is not started, and no empty disk is put in"
        " its place",
        "look at the storage; `restore: {image: NAME}` in its spec brings the disk back from its newest version",
    ),
    ReasonInfo(
        "restore-waits",
        "its spec asks for a restore that can't be done now; it stays as it is",
        "mend what the text names, or take `restore` out of its spec",
    ),
    ReasonInfo(
        "drill-waits",
        "the newest version of the image is to be tried, and can't be now: no room, or others go first",
        "make room; it begins by itself",
    ),
    ReasonInfo(
        "drill-failed",
        "the newest version of the image was booted as a throw-away VM, and did not do what `drill.expect` says",
        "boot a VM from it and look (`disks[].image: NAME@latest`); the next drill is when its schedule says so",
    ),
    ReasonInfo(
        "disk-disguised",
        "something in the guest wrote the header of a disk image to the start of its raw disk, so that its host tells"
        " a wrong format and size of it; it is used as what it is, and neither grown nor copied",
        "find out in the guest what did that; wipe the header there",
    ),
    ReasonInfo(
        "guest-paused",
        "paused by somebody, an I/O error or its watchdog",
        "find out why, then `virsh resume`",
    ),
    ReasonInfo(
        "end-unknown",
        "`RerunOnFailure`, off, and nobody knows any more whether it failed",
        "`virsh start`, if it should run",
    ),
    ReasonInfo(
        "in-progress",
        "an earlier pass, or libvirt, is still at it",
        "wait",
    ),
    ReasonInfo(
        "not-wanted-here",
        "it is where `placement` or `maintenance` no longer wants it, and can't be moved",
        "make room, or change what stands in the way, as told; `onDrain: shutdown`",
    ),
    ReasonInfo(
        "move-waits",
        "it is to go to another host, and others go first, or something else is done to it; of a host: balance has had"
        " its moves of the hour",
        "wait; `migration.parallelPerSource` and `parallelFleet` say how many go at once, `balance.movesPerHour` how"
        " many in an hour",
    ),
    ReasonInfo(
        "below-baseline",
        "the host lacks some of the CPU that VMs with `cpu.model: fleet-baseline` have; it takes none of them",
        "nothing, or another `cpu.model` for those VMs",
    ),
    ReasonInfo(
        "migrating",
        "it is on its way to another host; the text says how far",
        "wait; `migration.deadlinePerGib` says how long at the most",
    ),
    ReasonInfo(
        "capture-waits",
        "a version is to be made of its VM, and something goes first, as told; or the VM waits until it is copied",
        "wait; `capture.parallelPerHost` and `parallelFleet` say how many are captured at once; else mend what is told",
    ),
    ReasonInfo(
        "capturing",
        "a version is being made of its VM; the text says how far",
        "wait, or `image cancel NAME`",
    ),
    ReasonInfo(
        "migration-unsettled",
        "it was on its way, and one of the two hosts can't be asked where it is now; it runs on the other",
        "have that host answer, or switch it off and `fence confirm` it",
    ),
    ReasonInfo(
        "host-lost",
        (
            "its host is lost: it waits for a proof, or, without HA, with disks of that host, or with no room "
            "elsewhere, for the host itself"
        ),
        "mend the host, make room, or see below",
    ),
    ReasonInfo(
        "fencing-held",
        "not fenced now: quiet period, too many hosts bad at once, or another one first",
        "wait; mend the network; `fence confirm` only a host that you know to be off",
    ),
    ReasonInfo(
        "fencing-failed",
        "no device confirmed that the host is off; tried again with pauses",
        "mend the device, or switch the host off and `fence confirm`",
    ),
    ReasonInfo(
        "not-armed",
        "no fence device, or none that passed its test as it is now",
        "`fence test HOST`, while all is well",
    ),
    ReasonInfo(
        "unsound",
        "what was planned for it breaks a rule that must hold: a mistake in the planner, which costs this object only",
        "report it, with the output of `reconciler plan --json`",
    ),
    ReasonInfo(
        "version-damaged",
        "files of a version of an image are gone from its pool, or of one that it rests on; nothing can be restored"
        " from it",
        "put the file back, or `image delete` it",
    ),
    ReasonInfo(
        "capacity-at-risk",
        "the fleet could not lose that host, as `hostFailuresToTolerate` asks",
        "add room, or ask for less",
    ),
)

REASONS: Final[Mapping[str, ReasonInfo]] = {info.reason: info for info in _ALL}
"""All of them, by name, in the order in which they are told."""
