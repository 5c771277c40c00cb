"""The steps of a restore, for plans that hold every kind of step."""

from __future__ import annotations

from typing import Any

from reconciler.model.plan import FieldChange, Severity, UnmetReason
from reconciler.model.restores import ChainLink, DiskSwap, RestoreDisk, SwitchDisks, VersionSource
from reconciler.model.steps import Step
from tests.support.domains import domain_config

_SOURCE = VersionSource("golden@2026-01-01T00:00Z", "vms", "h1", (ChainLink("x", 1, ""),))
RESTORE = RestoreDisk(
    "vms", "default.web-4.root.r1.qcow2", "qcow2", 20 << 30, "root", _SOURCE, streamed=False, value="0"
)
SWITCH = SwitchDisks(
    domain_config("web-4"),
    "f00",
    "1-0",
    "golden@2026-01-01T00:00Z",
    (DiskSwap("root", "vms", "h1", "default.web-4.root.qcow2", "default.web-4.root.r1.qcow2"),),
    60.0,
)
_CHANGES = (FieldChange("disks[root]", "as it is now", "as of 2026-01-01T00:00Z (quiesced)", "rebuild"),)
KEPT_REASONS: tuple[tuple[UnmetReason, str, Severity], ...] = (
    ("mass-deletion", "would be removed: 3 VMs of 9 at once", "blocked"),
    ("outside-window", "shut down (reboot) waits for its maintenance window", "waiting"),
    ("approval-wanted", "shut down, undefine (destroy) waits for somebody's approval", "blocked"),
    ("rate-limited", "shut down (reboot) waits: rateLimit allows 2 VMs in 10m, and others go first", "waiting"),
    ("expires-soon", "what is kept of it is deleted for good in 23 h", "info"),
    ("expiry-held", "what is kept of it has expired, and stays for now", "info"),
    ("restore-waits", "its restore waits: there is no version of Image/golden", "waiting"),
    ("disk-damaged", "disk root is gone", "waiting"),
    ("rename-pending", "its spec names it shop; libvirt renames no domain that runs", "waiting"),
    ("maybe-renamed", "it is new and just like VirtualMachine/web-9, which is not in the specs any more", "blocked"),
    ("adoption-refused", "its spec would change domain old-db, which is taken over only as it is", "blocked"),
    ("disk-not-its-own", "disk root is volume payroll.qcow2 of pool vms, which this VM never had", "blocked"),
)
RESTORING: tuple[tuple[Step, dict[str, Any]], ...] = (
    (RESTORE, {"sign": "change", "why": "restore"}),
    (SWITCH, {"sign": "change", "why": "restore", "disruption": "rebuild", "changes": _CHANGES}),
)
"""Each with what else is said of its action."""
