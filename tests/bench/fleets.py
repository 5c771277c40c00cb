"""Fleets to measure with: specs, and domains that match them to the letter, so that a plan of them is empty.

specs ──desired_domain──▶ configuration ──render──▶ the XML of a domain that needs no change

Nobody has to create ten thousand VMs to plan them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from reconciler.hypervisor.domain_xml import render
from reconciler.model import identity
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DomainConfig
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.vm_domain import PoolOnHost, desired_domain, marked
from reconciler.specfiles.loader import load

FLEET: Final = "default"
POOL: Final = "vms"
NETWORK: Final = "lan"

_FACILITIES = """\
apiVersion: reconciler/v1
kind: StoragePool
metadata: {{name: vms}}
spec: {pool}
---
apiVersion: reconciler/v1
kind: Network
metadata: {{name: lan}}
spec: {network}
"""

_HOST = """\
---
apiVersion: reconciler/v1
kind: Host
metadata: {{name: {name}, labels: {{rack: {rack}}}}}
spec:
  uri: {uri}
  reserved: {{memory: 1MiB}}
"""

# As long as what people write: 25 lines.
_VIRTUAL_MACHINE = """\
apiVersion: reconciler/v1
kind: VirtualMachine
metadata:
  name: {name}
  labels: {{app: {app}, tier: "{tier}"}}
  annotations:
    contact: {app}@example.org
spec:
  runStrategy: {strategy}
  domainType: {domain_type}
  cpu: {{count: 2, max: 4, model: {cpu_model}}}
  memory: {memory}MiB
  disks:
    - name: root   # grows, never shrinks
      size: {size}
      pool: vms
      format: qcow2
  networks:
    - network: lan
      mac: {mac}   # among 10,000 derived ones of 24 bits some two would be equal
  placement:
    hosts: [{host}]
    nodeSelector: {{rack: {rack}}}
    preferSpread: {{app: {app}}}
  ha: {{enabled: true, priority: 100}}
  deletionPolicy: retain
"""

_APPS = ("web", "api", "queue", "database", "cache")
_RACKS = "abcdefgh"


@dataclass(frozen=True, slots=True)
class Kind:
    """What all VMs of a fleet have in common."""

    strategy: str
    domain_type: str
    cpu_model: str
    size: str = "20GiB"


def rack(number: int) -> str:
    """Rack of the host with that number."""
    return _RACKS[number % len(_RACKS)]


def host_name(number: int) -> str:
    """`h1` is number 0, as in the lab."""
    return f"h{number + 1}"


def write_facilities(specs: Path, *, pool: str, network: str, uris: Iterable[str]) -> None:
    """Write the pool, the network (their `spec`, in YAML's flow style) and a Host for each URI."""
    specs.mkdir(parents=True, exist_ok=True)
    hosts = [_HOST.format(name=host_name(number), rack=rack(number), uri=uri) for number, uri in enumerate(uris)]
    text = _FACILITIES.format(pool=pool, network=network) + "".join(hosts)
    (specs / "facilities.yaml").write_text(text, encoding="utf-8")


def write_vms(specs: Path, kind: Kind, numbers: Iterable[int], hosts: int) -> list[str]:
    """Write a file for each VM and return their names; VM n belongs on host n modulo `hosts`."""
    names = []
    for number in numbers:
        app, host = _APPS[number % len(_APPS)], number % hosts
        name = f"{app}-{number:05d}"
        text = _VIRTUAL_MACHINE.format(
            name=name,
            app=app,
            tier="front" if app == "web" else "back",
            strategy=kind.strategy,
            domain_type=kind.domain_type,
            cpu_model=kind.cpu_model,
            memory=128 * (1 + number % 4),
            size=kind.size,
            host=host_name(host),
            rack=rack(host),
            mac="52:54:00:" + number.to_bytes(3, "big").hex(":"),
        )
        (specs / f"vm-{number:05d}.yaml").write_text(text, encoding="utf-8")
        names.append(name)
    return names


def loaded(specs: Path) -> DesiredState:
    """The specs; they have no mistakes."""
    desired = load(specs, fleet=FLEET)
    errors = [problem for problem in desired.problems if problem.severity == "error"]
    assert not errors, errors[:3]
    return desired


def applied(desired: DesiredState, vm: VirtualMachine, host: str, target: str, machine: str) -> DomainConfig:
    """What the product makes of a VM on `host` whose pool is at `target`, as libvirt gives it back."""
    pools: Mapping[str, PoolOnHost] = {POOL: PoolOnHost(target, block=False)}
    volumes = {disk.name: identity.disk_volume(FLEET, vm.name, disk.name, disk.format) for disk in vm.spec.disks}
    config = desired_domain(FLEET, vm, desired.hosts[host], pools, volumes=volumes)
    return replace(marked(config, vm, fleet=FLEET, epoch=1, generation=desired.generation), machine=machine)


def domain_xml(desired: DesiredState, vm: VirtualMachine, host: str, target: str, machine: str) -> str:
    """The XML of `applied`."""
    return render(applied(desired, vm, host, target, machine))


def volume_of(vm: str) -> str:
    """Name of a VM's one volume."""
    return identity.disk_volume(FLEET, vm, "root", "qcow2")
