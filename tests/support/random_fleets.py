"""Hypothesis strategies: fleets as people write them, and what may have happened to them meanwhile."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.health import FenceProof, HostState, Incident
from reconciler.model.identity import vm_uuid
from reconciler.model.inventory import HostInventory, Inventory, ObservedDomain
from reconciler.model.ledger import Migration, Placement
from reconciler.model.migration import MigrationRules
from reconciler.model.steps import MigrateDomain
from reconciler.model.virtual_machine import VirtualMachine
from tests.support.defined import fingerprint_of
from tests.support.fleets import (
    FLEET,
    GIB,
    Spec,
    Story,
    desired,
    facts,
    host,
    image,
    network,
    observed_host,
    pool,
    vm,
)

HOSTS: Final = ("h1", "h2", "h3")
_MODES: Final[tuple[dict[str, Any], ...]] = ({"mode": "isolated"}, {"mode": "nat", "subnet": "10.0.0.0/24"})
_PLACEMENTS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {},
    {"hosts": ["h1"]},
    {"spread": {"app": "web"}},
    {"preferSpread": {"app": "db"}},
    {"nodeSelector": {"rack": "x"}},
)
VMS: Final = ("a", "base-b", "c", "d", "e")

_labels = st.fixed_dictionaries({}, optional={"app": st.sampled_from(["web", "db"]), "rack": st.sampled_from("xy")})
_notes = st.sampled_from([{}, {}, {}, {"reconciler/paused": "true"}, {"reconciler/prune": "disabled"}])
_selector = st.sampled_from([{}, {}, {"names": ["h1", "h2"]}, {"matchLabels": {"rack": "x"}}])


@st.composite
def _hosts(draw: st.DrawFn) -> list[Spec]:
    states = st.sampled_from(["active", "active", "active", "cordoned", "maintenance"])
    uris = st.sampled_from(["qemu+ssh://x/system", "qemu:///session"])
    names = HOSTS[: draw(st.integers(1, len(HOSTS)))]
    return [host(name, labels=draw(_labels), state=draw(states), uri=draw(uris)) for name in names]


@st.composite
def _machine(draw: st.DrawFn, name: str) -> VirtualMachine:
    disks: list[dict[str, Any]] = []
    for disk in draw(st.lists(st.sampled_from(["root", "data", "log"]), max_size=3, unique=True)):
        made: dict[str, Any] = {"name": disk, "pool": draw(st.sampled_from(["vms", "fast"]))}
        made["image"] = draw(st.sampled_from([None, "debian", "other"]))
        made["size"] = draw(st.sampled_from(["1GiB", "3GiB", "5GiB"]))
        made["clone"] = draw(st.sampled_from(["linked", "full"]))
        made["format"] = "qcow2" if made["clone"] == "linked" else draw(st.sampled_from(["qcow2", "raw"]))
        made["bus"] = draw(st.sampled_from(["virtio", "scsi", "sata"]))
        disks.append(made)
    spec: dict[str, Any] = {
        "memory": draw(st.sampled_from(["512MiB", "1GiB", "6GiB"])),
        "cpu": {"count": draw(st.integers(1, 4))},
        "disks": disks,
        "networks": draw(st.lists(st.sampled_from([{"network": "lan"}, {"network": "wan"}]), max_size=2)),
        "runStrategy": draw(st.sampled_from(["Always", "Always", "RerunOnFailure", "Manual", "Halted"])),
        "updatePolicy": draw(st.sampled_from(["live", "stage", "restart"])),
        "deletionPolicy": draw(st.sampled_from(["retain", "delete"])),
        "ha": {
            "enabled": draw(st.sampled_from([True, True, False])),
            "priority": draw(st.sampled_from([1, 100])),
            "onHostLoss": draw(st.sampled_from(["wait", "rebuild"])),
        },
        "placement": draw(st.sampled_from(_PLACEMENTS)),
    }
    seeded: bool = draw(st.booleans())
    if disks and seeded:
        text = draw(st.sampled_from(["#cloud-config\n", "#cloud-config\n# again\n"]))
        spec["cloudInit"] = {"userData": text, "onChange": draw(st.sampled_from(["ignore", "reseed"]))}
    return vm(name, labels=draw(_labels), annotations=draw(_notes), **spec)


@st.composite
def specs(draw: st.DrawFn) -> DesiredState:
    """A directory of specs that validates."""
    networks: list[Spec] = [
        network("lan", hosts=draw(_selector), **draw(st.sampled_from(_MODES))),
        network("wan", mode="bridge", bridge="br0"),
    ]
    pools: list[Spec] = [pool("vms", shared=draw(st.booleans())), pool("fast", hosts=draw(_selector))]
    images: list[Spec] = [image("debian"), image("other", annotations=draw(_notes))]
    names = draw(st.lists(st.sampled_from(VMS), unique=True, max_size=len(VMS)))
    machines: list[Spec] = [draw(_machine(name)) for name in names]
    return desired(*draw(_hosts()), *pools, *networks, *images, *machines, generation=draw(st.sampled_from("xyz")))


@st.composite
def new_fleets(draw: st.DrawFn) -> Story:
    """Specs, and bare hosts."""
    wanted = draw(specs())
    fleet = Story(wanted, Inventory())
    for name in HOSTS:
        bare = observed_host(name, memory=draw(st.sampled_from([4, 16])) * GIB, cpus=draw(st.sampled_from([2, 8])))
        fleet = fleet.with_host(name, domains=bare.domains, facts=bare.facts)
    other = facts("other", digest="sha256:" + "ef" * 32, cached=draw(st.booleans()))
    fleet = fleet.with_image(facts()).with_image(other)
    return fleet.with_ledger(hosts_read=frozenset(HOSTS))


@st.composite
def changed_specs(draw: st.DrawFn, fleet: Story) -> Story:
    """The fleet with other specs; that storage is shared is a fact, which no spec changes."""
    wanted = draw(specs())
    shared = {name: spec.spec.shared for name, spec in fleet.specs.pools.items()}
    pools = {
        name: spec.model_copy(update={"spec": spec.spec.model_copy(update={"shared": shared[name]})})
        for name, spec in wanted.pools.items()
    }
    return replace(fleet, specs=replace(wanted, pools=pools))


@st.composite
def meddled(draw: st.DrawFn, fleet: Story) -> Story:
    """The fleet after people and accidents were at its domains."""
    for host_name, known in fleet.inventory.hosts.items():
        domains = {}
        for domain in known.domains.values():
            for changed in draw(_meddling(domain)):
                domains[changed.name] = changed
        fleet = fleet.with_host(host_name, domains=domains)
    return fleet


def _meddling(domain: ObservedDomain) -> st.SearchStrategy[tuple[ObservedDomain, ...]]:
    """What becomes of one domain: usually it stays as it is."""
    config = domain.config

    def edited(**changes: Any) -> tuple[ObservedDomain, ...]:
        fresh = replace(config, **changes)
        return (replace(domain, config=fresh, fingerprint=fingerprint_of(fresh)),)

    off = replace(domain, state="shutoff", live=None, reason="crashed")
    options = [
        (domain,),
        (domain,),
        edited(memory=config.memory // 2),
        edited(vcpus=1, max_vcpus=1),
        edited(disks=config.disks[:-1]),
        edited(nics=config.nics[:-1]),
        edited(autostart=not config.autostart),
        edited(mark=None),
        (off,) if domain.persistent else (domain,),
        (domain, replace(domain, name=f"{domain.name}-clone", uuid=f"clone-{domain.uuid}")),
    ]
    options += [(replace(domain, persistent=False),)] if domain.active else [()]
    return st.sampled_from(options)


def shuffled(draw: st.DrawFn, fleet: Story) -> Story:
    """The same facts, read in another order."""

    def mixed(mapping: Any) -> dict[Any, Any]:
        return dict(draw(st.permutations(list(mapping.items()))))

    def one(known: HostInventory) -> HostInventory:
        pools = {
            name: replace(found, volumes=None if found.volumes is None else mixed(found.volumes))
            for name, found in mixed(known.pools).items()
        }
        return replace(known, domains=mixed(known.domains), pools=pools, networks=mixed(known.networks))

    wanted = fleet.specs
    return replace(
        fleet,
        specs=replace(
            wanted,
            hosts=mixed(wanted.hosts),
            pools=mixed(wanted.pools),
            networks=mixed(wanted.networks),
            images=mixed(wanted.images),
            vms=mixed(wanted.vms),
        ),
        inventory=replace(
            fleet.inventory,
            hosts={name: one(known) for name, known in mixed(fleet.inventory.hosts).items()},
            unread=mixed(fleet.inventory.unread),
            images=mixed(fleet.inventory.images),
        ),
        ledger=replace(fleet.ledger, placements=mixed(fleet.ledger.placements)),
    )


_STATES: Final[tuple[HostState, ...]] = (
    "online",
    "suspect",
    "unreachable",
    "unreachable",
    "fencing",
    "fenced",
    "returning",
    "quarantined",
    "unknown",
)


@st.composite
def in_trouble(draw: st.DrawFn, fleet: Story) -> Story:
    """The fleet with hosts out of sight, and any mixture of what may be on record about hosts, right or wrong."""
    story = fleet.armed(*draw(st.sets(st.sampled_from(sorted(fleet.specs.hosts)))))
    story = story.losing_sight_of(*draw(st.sets(st.sampled_from(HOSTS))))
    for name in sorted(story.specs.hosts):
        known: bool = draw(st.booleans())
        if known:
            story = story.in_state(name, draw(st.sampled_from(_STATES)))
        open_: bool = draw(st.booleans())
        if open_:
            incident = Incident(f"i-{name}", name, story.now, None)
            story = story.with_ledger(incidents={**story.ledger.incidents, name: incident})
        of = draw(st.sampled_from(["", f"i-{name}", "another"]))
        if of:
            proof = FenceProof(name, of, draw(st.sampled_from(["fenced", "human"])), story.now, "it is off", "x")
            story = story.with_ledger(proofs={**story.ledger.proofs, name: proof})
    others = draw(st.sets(st.sampled_from(HOSTS), max_size=1))
    story = story.with_ledger(identities=dict.fromkeys(sorted(others), "another machine"))
    in_flight = draw(st.sets(st.sampled_from(["Host/h1", "Host/h2", "VirtualMachine/a"]), max_size=1))
    return story.with_ledger(quiet=draw(st.sampled_from([False, False, True])), in_flight=frozenset(in_flight))


@st.composite
def on_their_way(draw: st.DrawFn, fleet: Story) -> Story:
    """The fleet with migrations on record, and whatever may be seen of each on both sides."""
    story = fleet
    for name, placement in sorted(fleet.ledger.placements.items()):
        target = draw(st.sampled_from(HOSTS))
        is_moving: bool = draw(st.booleans())
        if not is_moving or target == placement.host:
            continue
        story = _with_move(draw, story, name, placement, target)
    return story


def _with_move(draw: st.DrawFn, story: Story, name: str, placement: Placement, target: str) -> Story:
    step = MigrateDomain(
        domain=name,
        uuid=vm_uuid(FLEET, name),
        source=placement.host,
        target=target,
        epoch=placement.epoch + 1,
        peer_uri="qemu+ssh://x/system",
        rules=MigrationRules(60.0, 30.0),
    )
    move = Migration(name, story.now, step, draw(st.sampled_from(["placement-rule", "drain"])))
    story = story.with_ledger(migrations={**story.ledger.migrations, name: move})
    source = story.inventory.hosts.get(placement.host)
    domain = source.domains.get(name) if source is not None else None
    if domain is None or target not in story.inventory.hosts or name in story.inventory.hosts[target].domains:
        return story
    seen = draw(st.sampled_from(["nothing", "half", "arrived", "arrived", "both"]))
    mark = domain.config.mark and replace(domain.config.mark, epoch=step.epoch)
    config = replace(domain.config, mark=mark)
    if seen == "half":
        half = replace(domain, config=config, live=config, state="paused", reason="migration", persistent=False)
        return story.with_domain(half, target)
    if seen == "nothing":
        return story
    arrived = replace(domain, config=config, live=config, state="running", reason="", persistent=True)
    story = story.with_domain(arrived, target)
    return story if seen == "both" else story.without_domain(name, placement.host)
