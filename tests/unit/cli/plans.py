"""Hand-made plans that show every kind of action and every reason once."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from reconciler.model.image import Image
from reconciler.model.inventory import UnreadHost
from reconciler.model.live_edit import SetVcpus
from reconciler.model.migration import DiskCopy, MigrationRules
from reconciler.model.next_command import ACCEPT_SPECS, NextCommand
from reconciler.model.plan import (
    Action,
    Disruption,
    FieldChange,
    Plan,
    Sign,
    Summary,
    Unmet,
    Why,
)
from reconciler.model.resource import KINDS, ObjectRef
from reconciler.model.steps import (
    CreateVolume,
    DefineDomain,
    DefineNetwork,
    DefinePool,
    DeleteVersion,
    DeleteVolume,
    EditLive,
    FenceHost,
    FetchImage,
    GrowDisk,
    GrowVolume,
    MigrateDomain,
    NetworkConfig,
    PoolConfig,
    RedefineDomain,
    SeedContent,
    SetAutostart,
    StartDomain,
    StartNetwork,
    StartPool,
    Step,
    StopDomain,
    UndefineDomain,
    UploadImage,
    WriteSeed,
)
from tests.support.domains import domain_config
from tests.unit.cli.restore_steps import KEPT_REASONS, RESTORING

GIB: Final = 1 << 30
NOW: Final = 1_795_400_000.0
GENERATION: Final = "7f3c9a1e5b2d4c6f8a90b1c2d3e4f5a6b7c8d9e0"
UUID: Final = "6a1f9c2e-0000-4000-8000-000000000001"
SECRET: Final = "never-to-be-shown"  # noqa: S105  # bait


def ref(text: str) -> ObjectRef:
    kind, _, name = text.partition("/")
    return ObjectRef(next(known for known in KINDS if known == kind), name)


def kebab(step: Step) -> str:
    name = type(step).__name__
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


def action(
    target: str,
    step: Step,
    *,
    sign: Sign = "create",
    why: Why = "missing",
    host: str | None = "h1",
    disruption: Disruption = "none",
    changes: tuple[FieldChange, ...] = (),
    after: tuple[str, ...] = (),
) -> Action:
    kind = kebab(step)
    return Action(
        id=f"{kind}:{target.partition('/')[2]}:{host or 'controller'}",
        kind=kind,
        sign=sign,
        target=ref(target),
        host=host,
        why=why,
        detail="",
        disruption=disruption,
        step=step,
        changes=changes,
        after=after,
    )


def plan(
    *actions: Action, unmet: tuple[Unmet, ...] = (), summary: Summary | None = None, unseen: tuple[str, ...] = ()
) -> Plan:
    return Plan(
        generation=GENERATION,
        actions=actions,
        unmet=unmet,
        summary=summary or Summary(0, 0, 0, 0, 0, 0, 41),
        fingerprint="5d1e07ac93b2",
        unseen=unseen,
    )


def image(name: str = "debian-12") -> Image:
    return Image.model_validate(
        {
            "apiVersion": "reconciler/v1",
            "kind": "Image",
            "metadata": {"name": name},
            "spec": {
                "source": {"url": "https://images.example/debian-12.qcow2"},
                "checksum": f"sha256:{'ab' * 32}",
                "format": "qcow2",
            },
        }
    )


POOL: Final = PoolConfig("vms", UUID, "dir", "/srv/vms")
NETWORK: Final = NetworkConfig("lan", UUID, "nat", None, "192.168.150.0/24", dhcp=True)
SEED: Final = SeedContent("i-1", "web-3", f"#cloud-config\npassword: {SECRET}\n", None)

EVERY_ACTION: Final = (
    action("Host/h3", FenceHost("h3", "i-1"), sign="change", why="host-lost", host=None, disruption="reboot"),
    action("VirtualMachine/mail", DefineDomain(domain_config("mail")), sign="move", why="host-lost", host="h2"),
    action("VirtualMachine/mail", StartDomain("mail", UUID), sign="move", why="host-lost", host="h2"),
    action("StoragePool/vms", DefinePool(POOL)),
    action("StoragePool/vms", DefinePool(POOL), host="h2"),
    action("StoragePool/old", StartPool("old", start=True, autostart=True), sign="change", why="drift"),
    action("Network/lan", DefineNetwork(NETWORK)),
    action(
        "Network/dmz",
        DefineNetwork(replace(NETWORK, name="dmz"), redefine=True),
        sign="change",
        why="spec-change",
        disruption="live",
        changes=(FieldChange("subnet", "192.168.149.0/24", "192.168.150.0/24", "live"),),
    ),
    action("Network/up", StartNetwork("up", start=False, autostart=True), sign="change", why="drift"),
    action("Image/debian-12", FetchImage(image()), host=None),
    action(
        "Image/debian-12",
        UploadImage("debian-12", "vms", "default.base-ab.qcow2", "default.base-ab.qcow2.complete", "qcow2"),
        after=("fetch-image:debian-12:controller",),
    ),
    action(
        "Image/web-golden",
        DeleteVersion("web-golden", "20261120t020000z", "vms", "default.web-golden.x", ("default.web-golden.y",)),
        sign="destroy",
        why="retention",
    ),
    action("Image/debian-11", DeleteVolume("vms", "default.base-cd.qcow2"), sign="destroy", why="unused"),
    action(
        "VirtualMachine/web-3",
        CreateVolume("vms", "default.web-3.root.qcow2", "qcow2", 4 * GIB, "default.base-ab.qcow2", "qcow2", "linked"),
        host="h2",
        after=("upload-image:debian-12:h1",),
    ),
    action("VirtualMachine/web-3", WriteSeed("vms", "default.web-3.seed-0123456789abcdef.iso", SEED), host="h2"),
    action("VirtualMachine/web-3", DefineDomain(domain_config("web-3")), host="h2"),
    action("VirtualMachine/web-3", StartDomain("web-3", UUID), host="h2"),
    action(
        "VirtualMachine/web-1",
        GrowVolume("vms", "default.web-1.data.qcow2", 20 * GIB, "qcow2"),
        sign="change",
        why="spec-change",
        changes=(FieldChange("disks[data].size", "10GiB", "20GiB", "none"),),
    ),
    *(action("VirtualMachine/web-6", step, **words) for step, words in RESTORING),
    action(
        "VirtualMachine/web-1",
        RedefineDomain(domain_config("web-1"), "f00"),
        sign="change",
        why="spec-change",
        changes=(FieldChange("memory", "2GiB", "4GiB", "reboot"), FieldChange("cpu.count", "2", "4", "reboot")),
    ),
    action(
        "VirtualMachine/web-1",
        StopDomain("web-1", UUID, 120.0, force=True),
        sign="change",
        why="spec-change",
        disruption="reboot",
    ),
    action("VirtualMachine/web-1", StartDomain("web-1", UUID), sign="change", why="spec-change"),
    action(
        "VirtualMachine/web-2",
        SetAutostart("web-2", UUID, autostart=False),
        sign="change",
        why="drift",
        changes=(FieldChange("autostart", "on", "off", "none"),),
    ),
    action(
        "VirtualMachine/web-2",
        GrowDisk("web-2", UUID, "/srv/vms/default.web-2.root.qcow2", 8 * GIB),
        sign="change",
        why="spec-change",
        disruption="live",
        changes=(FieldChange("disks[root].size", "4GiB", "8GiB", "live"),),
    ),
    action(
        "VirtualMachine/web-2",
        EditLive("web-2", UUID, SetVcpus(4)),
        sign="change",
        why="spec-change",
        disruption="live",
        changes=(FieldChange("cpu.count", "2", "4", "live"),),
    ),
    action(
        "VirtualMachine/web-5",
        MigrateDomain(
            "web-5",
            UUID,
            "h1",
            "h2",
            2,
            "qemu+ssh://h2.example/system",
            MigrationRules(1200.0, 30.0),
            disks=(DiskCopy("vda", "local", "prod.web-5.root.qcow2", "qcow2", 20 * GIB, "/srv/prod.web-5.root.qcow2"),),
        ),
        sign="move",
        why="placement-rule",
        host="h2",
        disruption="migrate",
        changes=(FieldChange("host", "h1", "h2", "migrate"),),
    ),
    action("VirtualMachine/web-4", StartDomain("web-4", UUID, resume=True), sign="change", why="run-strategy"),
    action(
        "VirtualMachine/old-1",
        StopDomain("old-1", UUID, 30.0, force=False),
        sign="destroy",
        why="removed",
        disruption="destroy",
        host="h3",
    ),
    action(
        "VirtualMachine/old-1",
        UndefineDomain("old-1", UUID, keep_nvram=True),
        sign="destroy",
        why="removed",
        disruption="destroy",
        host="h3",
    ),
    action(
        "VirtualMachine/old-1",
        DeleteVolume("vms", "default.old-1.root.qcow2"),
        sign="destroy",
        why="removed",
        disruption="data-loss",
        host="h3",
    ),
)

UNREAD: Final = UnreadHost(
    "h4",
    "no connection to 10.0.0.14:16509",
    "see whether libvirtd runs there: ssh h4 systemctl status libvirtd",
    NOW - 240,
)


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
