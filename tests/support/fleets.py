"""Small fleets in a line: specs as people write them, and hosts as they would be observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.ledger.rebuild import unrecorded_placements
from reconciler.model import identity
from reconciler.model.abilities import HostAbilities
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DomainConfig, DomainState, OwnershipMark
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import FenceProof, FenceTest, HostHealth, HostState, Incident
from reconciler.model.host import FencingLevel, Host
from reconciler.model.image import Image
from reconciler.model.inventory import (
    HostFacts,
    HostInventory,
    ImageFacts,
    Inventory,
    ObservedDomain,
    ObservedNetwork,
    ObservedPool,
    ObservedVolume,
    UnreadHost,
)
from reconciler.model.ledger import LedgerView, Placement
from reconciler.model.network import Network
from reconciler.model.plan import Action, Plan, Unmet
from reconciler.model.policy import Policy
from reconciler.model.resource import ObjectRef
from reconciler.model.storage_pool import StoragePool
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.plan_check import check
from reconciler.planner.planner import plan as make_plan
from tests.support.apply_plan import apply_plan
from tests.support.defined import domain_as_defined, fingerprint_of

FLEET: Final = "prod"
POLICY: Final = Policy(fleet=FLEET)
NOW: Final = 1_000_000.0
GIB: Final = 1 << 30
DIGEST: Final = "sha256:" + "ab" * 32
DESCRIPTION: Final = {"apiVersion": "reconciler/v1"}


def _document(kind: str, name: str, spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {**DESCRIPTION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": dict(spec)}


def _metadata(labels: Mapping[str, str] | None, annotations: Mapping[str, str] | None) -> dict[str, Any]:
    return {"labels": dict(labels or {}), "annotations": dict(annotations or {})}


def host(
    name: str, *, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None, **spec: Any
) -> Host:
    """A Host; `spec` in camelCase as in YAML."""
    full = {"uri": f"qemu+ssh://{name}.example/system", "reserved": {"memory": "0GiB"}, **spec}
    return Host.model_validate(_document("Host", name, full, _metadata(labels, annotations)))


def pool(name: str = "vms", *, annotations: Mapping[str, str] | None = None, **spec: Any) -> StoragePool:
    """A StoragePool, a local directory unless `spec` says otherwise."""
    full: dict[str, Any] = {"type": "dir", **spec}
    if full["type"] in ("dir", "netfs"):
        full.setdefault("target", f"/srv/{name}")
    return StoragePool.model_validate(_document("StoragePool", name, full, _metadata(None, annotations)))


def network(name: str = "lan", *, annotations: Mapping[str, str] | None = None, **spec: Any) -> Network:
    """A Network, isolated unless `spec` says otherwise."""
    full = spec or {"mode": "isolated"}
    return Network.model_validate(_document("Network", name, full, _metadata(None, annotations)))


def image(name: str = "debian", *, annotations: Mapping[str, str] | None = None, **spec: Any) -> Image:
    """An Image from a path, in qcow2."""
    full = {"source": {"path": f"{name}.qcow2"}, "format": "qcow2", **spec}
    return Image.model_validate(_document("Image", name, full, _metadata(None, annotations)))


def vm(
    name: str = "web",
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> VirtualMachine:
    """A VirtualMachine with 1 GiB, one linked disk of 10 GiB and one NIC unless `spec` says otherwise."""
    full = {
        "memory": "1GiB",
        "disks": [{"name": "root", "pool": "vms", "image": "debian", "size": "10GiB"}],
        "networks": [{"network": "lan"}],
        **spec,
    }
    return VirtualMachine.model_validate(_document("VirtualMachine", name, full, _metadata(labels, annotations)))


Spec = Host | StoragePool | Network | Image | VirtualMachine


def desired(*specs: Spec, generation: str = "g1", **more: Any) -> DesiredState:
    """All specs of one generation."""

    def of(kind: type) -> dict[str, Any]:
        return {spec.name: spec for spec in specs if isinstance(spec, kind)}

    return DesiredState(generation, of(Host), of(StoragePool), of(Network), of(Image), of(VirtualMachine), **more)


def observed_host(
    name: str,
    *,
    memory: int = 16 * GIB,
    cpus: int = 8,
    domain_types: tuple[str, ...] = ("kvm", "qemu"),
    domains: Iterable[ObservedDomain] = (),
    pools: Iterable[ObservedPool] = (),
    networks: Iterable[ObservedNetwork] = (),
) -> HostInventory:
    """A host that was read."""
    facts = HostFacts(f"uuid-{name}", name, memory, cpus, "x86_64", domain_types, 9_000_000)
    return HostInventory(
        name,
        NOW,
        facts,
        {domain.name: domain for domain in domains},
        {found.name: found for found in pools},
        {found.name: found for found in networks},
        HostAbilities(),
    )


def observed_pool(
    name: str = "vms",
    *,
    uuid: str | None = None,
    target: str | None = None,
    volumes: Iterable[ObservedVolume] | None = (),
    **fields: Any,
) -> ObservedPool:
    """A pool of ours, active and autostarted; `volumes=None` for one whose volumes were not read."""
    made = ObservedPool(
        name=name,
        uuid=uuid or identity.pool_uuid(FLEET, name),
        type="dir",
        target=target or f"/srv/{name}",
        active=True,
        autostart=True,
        capacity=1000 * GIB,
        available=500 * GIB,
        volumes=None if volumes is None else {volume.name: volume for volume in volumes},
    )
    return replace(made, **fields)


def observed_network(name: str = "lan", **fields: Any) -> ObservedNetwork:
    """A network of ours, isolated, active and autostarted."""
    made = ObservedNetwork(
        name=name,
        uuid=identity.network_uuid(FLEET, name),
        active=True,
        autostart=True,
        mode="isolated",
        bridge=None,
        subnet=None,
        dhcp=False,
    )
    return replace(made, **fields)


def observed(config: DomainConfig, state: DomainState = "running", **fields: Any) -> ObservedDomain:
    """A domain as libvirt would show it right after it was defined as `config` and brought to `state`."""
    return domain_as_defined(config, state, **fields)


def stranger(name: str, config: DomainConfig, **changes: Any) -> ObservedDomain:
    """Somebody else's domain, otherwise as `config`: without our mark and with a UUID of its own."""
    fields = {"mark": None, "name": name, "uuid": f"0000-{name}", "disks": (), "nics": (), "seed": None, **changes}
    return observed(replace(config, **fields))


def mark(name: str = "web", **fields: Any) -> OwnershipMark:
    """A mark of our fleet."""
    return replace(OwnershipMark(FLEET, name, 1, "0", "g0"), **fields)


def volume(name: str, pool_name: str = "vms", **fields: Any) -> ObservedVolume:
    """A volume of 10 GiB in the directory of `pool_name`."""
    made = ObservedVolume(name, f"/srv/{pool_name}/{name}", name.rpartition(".")[2], 10 * GIB, 1 << 20)
    return replace(made, **fields)


def unread(name: str) -> UnreadHost:
    """A host that did not answer."""
    return UnreadHost(name, "no answer within 10 s", "", None)


def facts(name: str = "debian", **fields: Any) -> ImageFacts:
    """An image that is in the controller's cache, 2 GiB large."""
    return replace(ImageFacts(name, DIGEST, cached=True, virtual_size=2 * GIB), **fields)


class Story(Struct, frozen=True):
    """A fleet at one moment; every method returns the next moment, or what the planner says about this one."""

    specs: DesiredState
    inventory: Inventory
    ledger: LedgerView = field(default_factory=LedgerView)
    now: float = NOW
    policy: Policy = POLICY

    # -- looking ---------------------------------------------------------------------------------------------------
    def plan(self) -> Plan:
        """The plan, which must be sound."""
        made = make_plan(self.specs, self.inventory, self.ledger, self.policy, self.now)
        violations = check(made, self.specs, self.inventory, self.ledger, self.policy, self.now)
        assert not violations, violations
        return made

    def kinds(self, target: str = "") -> list[str]:
        """Kinds of the planned actions in order, of one object (`Kind/name`) or of all."""
        return [action.kind for action in self.plan().actions if not target or str(action.target) == target]

    def action(self, kind: str, target: str = "") -> Action:
        """The one planned action of that kind."""
        found = [a for a in self.plan().actions if a.kind == kind and (not target or str(a.target) == target)]
        assert len(found) == 1, [a.id for a in self.plan().actions]
        return found[0]

    def unmet(self, target: str = "VirtualMachine/web") -> dict[str, Unmet]:
        """Reasons of one object, by reason."""
        return {u.reason: u for u in self.plan().unmet if str(u.target) == target}

    def domain(self, name: str = "web", on: str = "h1") -> ObservedDomain:
        return self.inventory.hosts[on].domains[name]

    # -- moving on -------------------------------------------------------------------------------------------------
    def applied(self) -> Story:
        """All actions of the plan have succeeded."""
        inventory, ledger = apply_plan(self.inventory, self.ledger, self.plan(), self.specs, self.now)
        return replace(self, inventory=inventory, ledger=ledger)

    def noticed(self) -> Story:
        """The controller has looked at the hosts, and remembers what it found there."""
        found = unrecorded_placements(self.ledger, self.inventory, FLEET, self.now)
        return self.with_ledger(placements={**self.ledger.placements, **{made.vm: made for made in found}})

    def converged(self, rounds: int = 6) -> Story:
        """Passes until nothing is left to do."""
        story = self
        for _ in range(rounds):
            if story.plan().empty:
                return story
            story = story.applied()
        raise AssertionError([action.id for action in story.plan().actions])

    def with_specs(self, *specs: Spec, without: Iterable[str] = (), **more: Any) -> Story:
        """Specs replaced or added, and those of `without` (`Kind/name`) left out, as a new generation."""
        left_out = set(without)

        def kept(kind: str, known: Mapping[str, Any]) -> list[Any]:
            return [spec for name, spec in known.items() if f"{kind}/{name}" not in left_out]

        old = [
            *kept("Host", self.specs.hosts),
            *kept("StoragePool", self.specs.pools),
            *kept("Network", self.specs.networks),
            *kept("Image", self.specs.images),
            *kept("VirtualMachine", self.specs.vms),
        ]
        return replace(self, specs=desired(*old, *specs, generation=f"{self.specs.generation}+", **more))

    def with_host(self, name: str, **fields: Any) -> Story:
        """The observed host changed; unknown hosts are added."""
        known = self.inventory.hosts.get(name) or observed_host(name)
        return replace(
            self, inventory=replace(self.inventory, hosts={**self.inventory.hosts, name: replace(known, **fields)})
        )

    def with_domain(self, domain: ObservedDomain, on: str = "h1") -> Story:
        return self.with_host(on, domains={**self.inventory.hosts[on].domains, domain.name: domain})

    def edited(self, name: str = "web", on: str = "h1", *, live: bool = False, **changes: Any) -> Story:
        """`virsh edit`: fields of the persistent configuration, with `live` of the running guest too."""
        config = replace((domain := self.domain(name, on)).config, **changes)
        running = replace(domain.live, **changes) if domain.live and live else domain.live
        return self.with_domain(replace(domain, config=config, live=running, fingerprint=fingerprint_of(config)), on)

    def without_domain(self, name: str = "web", on: str = "h1") -> Story:
        domains = self.inventory.hosts[on].domains
        return self.with_host(on, domains={key: found for key, found in domains.items() if key != name})

    def with_pool(self, found: ObservedPool, on: str = "h1") -> Story:
        return self.with_host(on, pools={**self.inventory.hosts[on].pools, found.name: found})

    def with_network(self, found: ObservedNetwork, on: str = "h1") -> Story:
        return self.with_host(on, networks={**self.inventory.hosts[on].networks, found.name: found})

    def with_volumes(self, *volumes: ObservedVolume, pool_name: str = "vms", without: Iterable[str] = ()) -> Story:
        """Volumes added to the pool on every host that has it, and those of `without` gone."""
        story = self
        for name, known in self.inventory.hosts.items():
            if pool_name in known.pools:
                there = known.pools[pool_name]
                kept = {key: found for key, found in (there.volumes or {}).items() if key not in set(without)}
                added = {found.name: found for found in volumes}
                story = story.with_pool(replace(there, volumes={**kept, **added}), name)
        return story

    def losing_sight_of(self, *names: str) -> Story:
        """Hosts that can't be read any more."""
        return replace(
            self,
            inventory=replace(
                self.inventory,
                hosts={name: known for name, known in self.inventory.hosts.items() if name not in names},
                unread={**self.inventory.unread, **{name: unread(name) for name in names}},
            ),
        )

    # -- lost hosts ------------------------------------------------------------------------------------------------
    def in_state(self, name: str, state: HostState, rule: str = "rule") -> Story:
        """The controller has written down what it takes the host for."""
        health = HostHealth(name, state, rule, f"{name} is {state}", self.now, None)
        return self.with_ledger(health={**self.ledger.health, name: health})

    def lost(self, *names: str, state: HostState = "unreachable") -> Story:
        """Hosts that were silent for longer than the grace: each has an incident, and no proof that it is dead."""
        story = self.losing_sight_of(*names)
        for name in names:
            incident = Incident(f"i-{name}", name, self.now, None)
            story = story.in_state(name, state)
            story = story.with_ledger(incidents={**story.ledger.incidents, name: incident})
        return story

    def armed(self, *names: str) -> Story:
        """Hosts with a fence device that has passed its test."""
        story = self
        for name in names:
            level = FencingLevel(agent="fence_ipmilan", parameters={"ip": f"bmc-{name}"})
            known = self.specs.hosts[name]
            armed = known.model_copy(update={"spec": known.spec.model_copy(update={"fencing": (level,)})})
            test = FenceTest(name, self.now, passed=True, devices=devices_hash(armed), message="on")
            story = story.with_specs(armed, without=[f"Host/{name}"])
            story = story.with_ledger(fence_tests={**story.ledger.fence_tests, name: test})
        return story

    def proven(self, *names: str) -> Story:
        """Lost hosts of which a human is sure that they are off."""
        proofs = {name: FenceProof(name, f"i-{name}", "human", self.now, "it is unplugged", "ann") for name in names}
        return self.with_ledger(proofs={**self.ledger.proofs, **proofs})

    def returned(self, before: Story, *names: str) -> Story:
        """Lost hosts that answer again, with all that they had in `before`; a proof that was is worth nothing now."""
        hosts = {**self.inventory.hosts, **{name: before.inventory.hosts[name] for name in names}}
        unread = {name: why for name, why in self.inventory.unread.items() if name not in names}
        story = replace(self, inventory=replace(self.inventory, hosts=hosts, unread=unread))
        for name in names:
            story = story.in_state(name, "returning")
        return story.with_ledger(proofs={name: p for name, p in self.ledger.proofs.items() if name not in names})

    def over(self, *names: str) -> Story:
        """The incidents of hosts that are back and clean are closed."""
        story = self
        for name in names:
            story = story.in_state(name, "online")
        return story.with_ledger(incidents={key: i for key, i in self.ledger.incidents.items() if key not in names})

    def with_ledger(self, **fields: Any) -> Story:
        return replace(self, ledger=replace(self.ledger, **fields))

    def placed(self, name: str, on: str, epoch: int = 1) -> Story:
        return self.with_ledger(placements={**self.ledger.placements, name: Placement(name, on, epoch, NOW)})

    def with_image(self, found: ImageFacts) -> Story:
        return replace(self, inventory=replace(self.inventory, images={**self.inventory.images, found.name: found}))


def story(*specs: Spec, hosts: int = 2, shared: bool = False, **host_fields: Any) -> Story:
    """`hosts` bare hosts with a pool `vms`, a network `lan` and an image `debian` in the specs beside `specs`."""
    names = [f"h{number + 1}" for number in range(hosts)]
    given = {(type(spec), spec.name) for spec in specs}
    defaults: list[Spec] = [*(host(name) for name in names), pool(shared=shared), network(), image()]
    kept = [spec for spec in defaults if (type(spec), spec.name) not in given]
    return Story(
        desired(*kept, *specs),
        Inventory(hosts={name: observed_host(name, **host_fields) for name in names}, images={"debian": facts()}),
        LedgerView(hosts_read=frozenset(names)),
    )


def ref(text: str) -> ObjectRef:
    """`Kind/name` as a reference."""
    return ObjectRef(*text.split("/"))  # type: ignore[arg-type]
