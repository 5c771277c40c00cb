"""Hand-made plans that show every kind of action and every reason once."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from reconciler.model.image import Image
from reconciler.model.inventory import UnreadHost
from reconciler.model.live_edit import SetVcpus
from reconciler.model.migration import DiskCopy, MigrationRules
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
    AdoptDomain,
    CreateVolume,
    DefineDomain,
    DefineNetwork,
    DefinePool,
    DeleteVersion,
    DeleteVolume,
    DrillImage,
    EditLive,
    EndDrill,
    FenceHost,
    FetchImage,
    GrowDisk,
    GrowVolume,
    MigrateDomain,
    NetworkConfig,
    PoolConfig,
    RedefineDomain,
    RenameDomain,
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
from tests.unit.cli.capture_steps import CAPTURING
from tests.unit.cli.restore_steps import RESTORING

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
        "VirtualMachine/old-db",
        AdoptDomain(domain_config("old-db"), "f00", (("root", "old-db.img"),)),
        sign="change",
        why="adopt",
        changes=(FieldChange("managed", "no", "by fleet default", "none"),),
    ),
    action(
        "VirtualMachine/web-8",
        RenameDomain(domain_config("shop"), "web-8", "f00"),
        sign="change",
        why="spec-change",
        changes=(FieldChange("name", "web-8", "shop", "none"),),
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
        "Image/gold",
        DrillImage(
            "gold",
            "20261122t020000z",
            "backups",
            domain_config("prod.drill.gold", mark=None),
            NetworkConfig("prod.drill.gold", UUID, "isolated", None, None, dhcp=False),
            "h1",
            (),
            300.0,
        ),
        sign="change",
        why="schedule",
    ),
    action(
        "Image/silver",
        EndDrill("silver", "prod.drill.silver", UUID, "prod.drill.silver", UUID, ()),
        sign="destroy",
        why="incomplete",
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
    *(action(f"Image/{name}", step, sign=sign, why=why) for name, step, sign, why in CAPTURING),
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
