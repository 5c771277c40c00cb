"""A small simulated fleet with a ledger and images, and shorthand for hand-written plans."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from msgspec.structs import replace

from reconciler.executor.executor import Executor
from reconciler.executor.interface import ActionEvent, FetchProgress
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.hypervisor.simulated_host import SimulatedHost
from reconciler.ledger.store import Ledger
from reconciler.model import identity, steps
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DiskConfig, DomainConfig, OwnershipMark
from reconciler.model.host import Host
from reconciler.model.image import Image
from reconciler.model.inventory import ImageFacts
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan, Summary
from reconciler.model.policy import Limits, Policy
from reconciler.model.resource import Kind, ObjectRef
from reconciler.model.storage_pool import StoragePool
from tests.support.domains import domain_config

FLEET: Final = "f"
RUN_ID: Final = "p1"
MIB: Final = 1 << 20
GIB: Final = 1 << 30
DIGEST: Final = "sha256:" + "ab" * 32
BASE: Final = identity.base_volume(FLEET, DIGEST, "qcow2")
MARKER: Final = identity.base_marker(BASE)
POOL: Final = "vms"
TARGET: Final = "/srv/vms"
QCOW2: Final = b"QFI\xfb" + bytes(20) + (2 * GIB).to_bytes(8, "big") + bytes(3 * MIB)
POOL_CONFIG: Final = steps.PoolConfig(POOL, identity.pool_uuid(FLEET, POOL), "dir", TARGET)
NETWORK_CONFIG: Final = steps.NetworkConfig(
    "lan", identity.network_uuid(FLEET, "lan"), "nat", None, "192.168.150.0/24", dhcp=True
)
SEED_CONTENT: Final = steps.SeedContent("i-1", "web", "#cloud-config\npassword: hunter2\n", None)
IMAGE: Final = Image.model_validate(
    {
        "apiVersion": "reconciler/v1",
        "kind": "Image",
        "metadata": {"name": "debian"},
        "spec": {"source": {"path": "/images/debian.qcow2"}, "format": "qcow2"},
    }
)


def pool_spec(*, shared: bool) -> StoragePool:
    return StoragePool.model_validate(
        {
            "apiVersion": "reconciler/v1",
            "kind": "StoragePool",
            "metadata": {"name": POOL},
            "spec": {"type": "dir", "target": TARGET, "shared": shared},
        }
    )


def host_spec(name: str) -> Host:
    return Host.model_validate(
        {
            "apiVersion": "reconciler/v1",
            "kind": "Host",
            "metadata": {"name": name},
            "spec": {"uri": f"qemu+ssh://{name}.example/system"},
        }
    )


def desired(*, shared: bool = True) -> DesiredState:
    hosts = {name: host_spec(name) for name in ("h1", "h2")}
    return DesiredState("g1", hosts=hosts, images={"debian": IMAGE}, pools={POOL: pool_spec(shared=shared)})


@dataclass
class FakeImages:
    """Images in memory: `debian` is there, with a digest that may be changed."""

    content: bytes = QCOW2
    digest: str = DIGEST
    cached: bool = True
    fetched: list[str] = field(default_factory=list)
    while_compressing: Callable[[], object] = lambda: None
    """What somebody does meanwhile."""

    def facts(self, image: Image) -> ImageFacts:
        return ImageFacts(image.name, self.digest, cached=self.cached, virtual_size=2 * GIB)

    def fetch(self, image: Image, progress: FetchProgress, stop: threading.Event) -> ImageFacts:  # noqa: ARG002
        self.fetched.append(image.name)
        self.cached = True
        progress(len(self.content), len(self.content))
        return self.facts(image)

    def open(self, image: Image) -> tuple[BinaryIO, int]:  # noqa: ARG002
        return io.BytesIO(self.content), len(self.content)

    def compressed(self, content: BinaryIO, stop: threading.Event, look: Callable[[int], None]) -> tuple[BinaryIO, int]:
        assert not stop.is_set()
        whole = content.read()
        self.while_compressing()
        look(len(whole))
        return io.BytesIO(whole), len(whole)

    def seed_iso(self, content: steps.SeedContent) -> bytes:
        return content.user_data.encode() * 100


def disk_volume(vm: str) -> str:
    return identity.disk_volume(FLEET, vm, "root", "qcow2")


def config(vm: str, *, epoch: int = 1, spec: str = "s1", **changes: Any) -> DomainConfig:
    ours = {
        "disks": (DiskConfig("vda", f"{TARGET}/{disk_volume(vm)}", "qcow2"),),
        "mark": OwnershipMark(FLEET, vm, epoch, spec, "g1"),
    }
    return domain_config(vm, **{**ours, **changes})


def action(
    step: steps.Step,
    target: str = "VirtualMachine/web",
    *,
    host: str | None = "h1",
    id: str | None = None,
    after: Sequence[str] = (),
) -> Action:
    kind, _, name = target.partition("/")
    reference = ObjectRef(_kind(kind), name)
    return Action(
        id=id or f"{type(step).__name__} {target} {host}",
        kind=type(step).__name__,
        sign="create",
        target=reference,
        host=host,
        why="missing",
        detail="",
        disruption="none",
        step=step,
        after=tuple(after),
    )


def _kind(text: str) -> Kind:
    assert text in ("Host", "StoragePool", "Network", "Image", "VirtualMachine")
    return text  # type: ignore[return-value]


def plan_of(*actions: Action, unseen: tuple[str, ...] = (), dead: tuple[str, ...] = ()) -> Plan:
    return Plan("g1", actions, (), Summary(0, 0, 0, 0, 0, 0, 0), "x", unseen, dead)


class Bench:
    """Two hosts with a shared directory, an executor over them, and what they told."""

    def __init__(self, state_dir: Path, *, serial: bool = True, shared: bool = True) -> None:
        self.clock = FakeClock()
        self.fleet = SimulatedFleet(self.clock)
        self.h1: SimulatedHost = self.fleet.add_host("h1")
        self.h2: SimulatedHost = self.fleet.add_host("h2")
        if shared:
            self.fleet.share_directory(TARGET)
        self.desired = desired(shared=shared)
        self.ledger = Ledger(state_dir)
        self.images = FakeImages()
        self.stop = threading.Event()
        self.events: list[ActionEvent] = []
        self.progress: list[tuple[str, int, int | None]] = []
        limits = Limits(actions_per_fleet=1) if serial else Limits()
        self.executor = Executor(
            self.fleet,
            self.ledger,
            self.images,
            Policy(fleet=FLEET, limits=limits),
            self.clock,
            on_event=self.events.append,
            on_progress=lambda *told: self.progress.append(told),
        )

    def run(self, *actions: Action, unseen: tuple[str, ...] = (), dead: tuple[str, ...] = ()) -> tuple[Outcome, ...]:
        plan = plan_of(*actions, unseen=unseen, dead=dead)
        return self.executor.execute(plan, self.desired, stop=self.stop, pass_id=RUN_ID)

    def run_one(
        self,
        step: steps.Step,
        target: str = "VirtualMachine/web",
        host: str | None = "h1",
        *,
        dead: tuple[str, ...] = (),
    ) -> Outcome:
        return self.run(action(step, target, host=host), dead=dead)[0]

    def with_pool_and_network(self) -> Bench:
        for host in (self.h1, self.h2):
            host.define_pool(POOL_CONFIG)
            host.define_network(NETWORK_CONFIG)
        return self

    def with_base(self) -> Bench:
        self.with_pool_and_network()
        outcome = self.run_one(upload_step(), "Image/debian")
        assert outcome.status == "done", outcome
        self.h2.pool(POOL, refresh=True)
        return self

    def with_vm(self, vm: str = "web", *, running: bool = False) -> Bench:
        self.with_base()
        wanted: list[steps.Step] = [create_step(vm), steps.DefineDomain(config(vm))]
        if running:
            wanted.append(steps.StartDomain(vm, identity.vm_uuid(FLEET, vm)))
        for step in wanted:
            outcome = self.run_one(step, f"VirtualMachine/{vm}")
            assert outcome.status == "done", outcome
        return self

    def volumes(self) -> tuple[str, ...]:
        return self.fleet.people("h1").files(TARGET)


def upload_step() -> steps.UploadImage:
    return steps.UploadImage("debian", POOL, BASE, MARKER, "qcow2")


def create_step(vm: str = "web", **changes: Any) -> steps.CreateVolume:
    made = steps.CreateVolume(POOL, disk_volume(vm), "qcow2", 10 * GIB, BASE, "qcow2", "linked")
    return replace(made, **changes)
