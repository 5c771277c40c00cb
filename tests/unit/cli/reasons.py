"""Every reason for which a spec stays unmet, once."""

from __future__ import annotations

from typing import Final

from reconciler.model.next_command import ACCEPT_SPECS, NextCommand
from reconciler.model.plan import FieldChange, Unmet
from tests.unit.cli.capture_steps import CAPTURE_REASONS
from tests.unit.cli.plans import ref
from tests.unit.cli.restore_steps import KEPT_REASONS


def unmet(target: str, reason: str, detail: str, **extra: object) -> Unmet:
    return Unmet(target=ref(target), reason=reason, detail=detail, **extra)  # type: ignore[arg-type]


EVERY_REASON: Final = (
    unmet("VirtualMachine/a1", "host-unread", "it is on h4, which could not be read", host="h4"),
    unmet("VirtualMachine/a2", "fleet-not-seen", "h4 was never read, and may run it", hint="make h4 reachable once"),
    unmet(
        "VirtualMachine/db-2",
        "no-host-fits",
        "none of 5 hosts",
        severity="blocked",
        per_host=(
            ("h1", "lacks 3GiB of memory"),
            ("h2", "spread app=db"),
            ("h3", "cordoned"),
            ("h5", "cordoned"),
            ("h6", "cordoned"),
            ("h7", "cordoned"),
        ),
        hint="free 3GiB on h1, or lower spec.memory",
    ),
    unmet("VirtualMachine/a3", "image-unavailable", "image debian-12 was not fetched yet"),
    unmet("VirtualMachine/a4", "pool-unavailable", "pool vms is not active on h1", host="h1"),
    unmet("VirtualMachine/a5", "network-unavailable", "network lan is not active on h1", host="h1"),
    unmet(
        "VirtualMachine/a6",
        "restart-pending",
        "staged; the guest has to stop and start",
        host="h1",
        changes=(FieldChange("memory", "2GiB", "4GiB", "reboot"),),
        hint="restart the guest, or set updatePolicy: restart",
    ),
    unmet(
        "VirtualMachine/a7", "conflict", "h2 has a domain of that name that is not ours", severity="blocked", host="h2"
    ),
    unmet("VirtualMachine/a8", "spec-invalid", "vms.yaml:4:3: its last good form stands", severity="blocked"),
    unmet("VirtualMachine/a9", "paused", "held; changes wait", hint=NextCommand("resume", "VirtualMachine/a9")),
    unmet("VirtualMachine/b1", "backoff", "define failed 3 times; next try in 40s", host="h1"),
    unmet("VirtualMachine/b2", "failed", "unsupported machine type 'q36'", severity="blocked", host="h1"),
    *(unmet("VirtualMachine/b3", why, said, severity=how) for why, said, how in KEPT_REASONS),
    unmet("VirtualMachine/b3", "removal-held", "would be removed, but vms.yaml could not be read", host="h1"),
    unmet(
        "VirtualMachine/b3b",
        "removal-waits",
        "not in the specs any more: once it has come to h2 it is shut down and undefined there, its disks are kept",
        host="h2",
        changes=(FieldChange("state", "on its way", "removed", "destroy"),),
        hint="put its spec back before that, if it is to stay",
    ),
    unmet(
        "VirtualMachine/b3a", "specs-doubted", "waits: shut down; the specs may be older", host="h1", hint=ACCEPT_SPECS
    ),
    unmet("VirtualMachine/b4", "prune-disabled", "left the specs and is protected", severity="info", host="h1"),
    unmet(
        "VirtualMachine/b5",
        "immutable",
        "the firmware of an existing VM is not changed",
        severity="blocked",
        host="h1",
        changes=(FieldChange("firmware", "bios", "uefi", "rebuild"),),
    ),
    unmet(
        "VirtualMachine/b5a",
        "unsound",
        "nothing is done to it, as what was planned breaks a rule: b5a was placed on h2, which was not read",
        severity="blocked",
        host="h1",
        hint="this is a mistake in the planner; report it with the output of `reconciler plan --json`",
    ),
    unmet("VirtualMachine/b6", "shutting-down", "the guest was asked 20s ago", host="h1"),
    unmet(
        "VirtualMachine/b6a",
        "crash-loop",
        "it crashed after 5 restarts within 10m: left alone for 599 s",
        severity="blocked",
        host="h1",
        hint=NextCommand("resume", "VirtualMachine/b6a"),
    ),
    unmet(
        "VirtualMachine/b6c",
        "disk-locked",
        "another QEMU has its disk open: h2, confirmed dead by ann, seems to run it (1 try, next in 5 s)",
        severity="blocked",
        host="h1",
        hint="cut the power of h2, or pull its cords: it is not dead; then check the VM's disks",
    ),
    unmet("VirtualMachine/b6b", "guest-not-answering", "guest not answering", severity="info", host="h1"),
    unmet("VirtualMachine/b6", "disk-disguised", "disk data is raw, and its content passes for qcow2", severity="info"),
    unmet("Image/b4", "drill-waits", "the drill of b4@2026-11-22T02:00Z is due: no host has room", severity="info"),
    unmet("Image/b5", "drill-failed", "the drill of b5@2026-11-22T02:00Z failed: it ended", severity="blocked"),
    unmet("VirtualMachine/b7", "guest-paused", "paused by an I/O error", severity="blocked", host="h1"),
    unmet("VirtualMachine/b7a", "end-unknown", "off, and whether it failed is not known", severity="info", host="h1"),
    unmet("VirtualMachine/b8", "in-progress", "upload is still at it", host="h1"),
    unmet(
        "VirtualMachine/b10",
        "no-room",
        "memory 100GiB does not fit on h2, which has 15.5GiB for it (of 15.5GiB); left at 128MiB",
        severity="blocked",
        host="h2",
        hint="ask for less, or make room on h2",
    ),
    unmet("VirtualMachine/b9", "not-wanted-here", "runs on h1, its placement allows h2", host="h1"),
    unmet("Host/h3", "below-baseline", "it takes no VMs with cpu.model fleet-baseline: no CPU feature avx2", host="h3"),
    unmet("VirtualMachine/b9c", "move-waits", "it is on h1, which is in maintenance: 2 at once leave h1", host="h1"),
    *(unmet(f"Image/{name}", reason, detail) for name, reason, detail in CAPTURE_REASONS),
    unmet("VirtualMachine/b9a", "migrating", "on its way from h1 to h2: 45 %, 1.2GiB left, 1GiB sent", host="h2"),
    unmet(
        "VirtualMachine/b9b",
        "migration-unsettled",
        "it was on its way from h1 to h2, and h2 can't be asked; it runs on h1",
        host="h2",
        hint=NextCommand("fence", "confirm", "h2"),
    ),
    unmet("VirtualMachine/c1", "host-lost", "h6 is lost, and its disk is on that host", host="h6"),
    unmet(
        "Host/h5",
        "fencing-held",
        "2 of 3 hosts are bad at once, so nobody is fenced",
        severity="blocked",
        host="h5",
        hint=NextCommand("fence", "confirm", "h5"),
    ),
    unmet("Host/h6", "fencing-failed", "h6 could not be proven dead: no answer", severity="blocked", host="h6"),
    unmet("Host/h7", "not-armed", "the fence devices of h7 were never tested", severity="info", host="h7"),
    unmet(
        "Image/web-golden",
        "version-damaged",
        "web-golden@2026-11-21T02:00Z: volume default.web-golden.20261121t020000z.root.qcow2 is gone from pool vms",
        severity="blocked",
        host="h1",
        hint=NextCommand("image", "delete", "web-golden@2026-11-21T02:00Z"),
    ),
    unmet("Host/h8", "capacity-at-risk", "if h8 failed, 1 VM would find no room: a1", severity="info", host="h8"),
)
