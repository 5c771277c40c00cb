"""A whole controller over a simulated fleet, without daemon or files of specs: look, plan, check, execute."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from reconciler.executor.executor import Executor
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.hypervisor.simulated_invariants import violations
from reconciler.ledger.rebuild import adopt_marks
from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.model.host import Host
from reconciler.model.image import Image
from reconciler.model.network import Network
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Plan
from reconciler.model.policy import Limits, Policy
from reconciler.model.resource import Resource
from reconciler.model.storage_pool import StoragePool
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.observe.collector import Collector
from reconciler.planner.plan_check import require_sound
from reconciler.planner.planner import plan
from tests.unit.executor.bench import FLEET, FakeImages

TARGET: Final = "/srv/vms"
LOCAL: Final = "/srv/local"
_PASSES: Final = 60


def spec(model: type[Resource], name: str, **content: Any) -> Any:
    return model.model_validate(
        {"apiVersion": "reconciler/v1", "kind": model.__name__, "metadata": {"name": name}, "spec": content}
    )


def vm(name: str, pool: str = "vms", **changes: Any) -> VirtualMachine:
    content = {
        "memory": "512MiB",
        "disks": [{"name": "root", "image": "debian", "pool": pool, "size": "10GiB"}],
        "networks": [{"network": "lan"}],
        **changes,
    }
    made: VirtualMachine = spec(VirtualMachine, name, **content)
    return made


def golden(name: str = "golden", **content: Any) -> Image:
    """An image that is captured from a VM."""
    made: Image = spec(Image, name, **{"source": {"vm": "web"}, "pool": "local", **content})
    return made


def with_images(desired: DesiredState, *images: Image) -> DesiredState:
    return replace(desired, images={**desired.images, **{image.name: image for image in images}})


def desired_state(generation: str, *vms: VirtualMachine) -> DesiredState:
    pools = {
        "vms": spec(StoragePool, "vms", type="dir", target=TARGET, shared=True),
        "local": spec(StoragePool, "local", type="dir", target=LOCAL),
    }
    return DesiredState(
        generation,
        hosts={name: spec(Host, name, uri="qemu:///system") for name in ("h1", "h2")},
        pools=pools,
        networks={"lan": spec(Network, "lan", mode="nat", subnet="192.168.150.0/24", dhcp=True)},
        images={"debian": spec(Image, "debian", source={"path": "/images/debian.qcow2"}, format="qcow2")},
        vms={made.name: made for made in vms},
    )


class HookedLedger(Ledger):
    """A ledger whose owner can be killed before and after each transaction that acting depends on."""

    hook: Callable[[str], None] | None = None

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        if self.hook and durable:
            self.hook("ledger before")
        with super()._writing(durable=False) as connection:  # a kill loses nothing that the kernel has
            yield connection
        if self.hook and durable:
            self.hook("ledger after")


class Controller:
    """One process of the controller; another one on the same fleet and state directory continues its work."""

    def __init__(self, fleet: SimulatedFleet, clock: FakeClock, state_dir: Path, images: FakeImages) -> None:
        self.fleet = fleet
        self.clock = clock
        self.ledger = HookedLedger(state_dir)
        self.images = images
        self.policy = Policy(fleet=FLEET, limits=Limits(actions_per_fleet=1))
        self.executor = Executor(fleet, self.ledger, images, self.policy, clock)
        self.collector = Collector(fleet, clock)

    def look(self, desired: DesiredState) -> Plan:
        facts = {name: self.images.facts(image) for name, image in desired.images.items() if not image.spec.is_captured}
        inventory = self.collector.finish(self.collector.begin(desired), desired, facts, timeout=30.0)
        adopt_marks(self.ledger, inventory, FLEET, self.clock.now())
        self.ledger.note_host_read(dict.fromkeys(inventory.hosts, 0.1))
        view = self.ledger.view()
        made = plan(desired, inventory, view, self.policy, self.clock.now())
        require_sound(made, desired, inventory, view, self.policy)
        return made

    def step(self, desired: DesiredState) -> tuple[Plan, tuple[Outcome, ...]]:
        made = self.look(desired)
        return made, self.executor.execute(made, desired, stop=threading.Event())

    def converge(self, desired: DesiredState) -> Plan:
        """Passes, waiting out every backoff, until nothing is left to do; the invariants hold after each."""
        for _ in range(_PASSES):
            made, _outcomes = self.step(desired)
            assert violations(self.fleet.world) == ()
            if made.empty and not made.held:
                return made
            if made.empty:
                self.clock.advance(600.0)
        raise AssertionError(f"does not converge: {made.actions} {made.unmet}")


def new_fleet(clock: FakeClock) -> SimulatedFleet:
    fleet = SimulatedFleet(clock)
    for name in ("h1", "h2"):
        fleet.add_host(name)
    fleet.share_directory(TARGET)
    return fleet


def end_state(fleet: SimulatedFleet) -> dict[str, Any]:
    """What a user would see: files, and domains with their configuration and state."""
    state: dict[str, Any] = {TARGET: fleet.people("h1").files(TARGET)}
    for name, host in fleet.world.hosts.items():
        state[f"{name}:{LOCAL}"] = fleet.people(name).files(LOCAL)
        for entry in sorted(host.domains.values(), key=lambda found: found.config.name):
            state[f"{name}:{entry.config.name}"] = (entry.state, entry.config, entry.live, entry.persistent)
        state[f"{name}:pools"] = sorted((pool.name, pool.active, pool.autostart) for pool in host.pools.values())
        state[f"{name}:networks"] = sorted((net.name, net.active, net.autostart) for net in host.networks.values())
    return state
