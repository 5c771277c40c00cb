"""A hundred hosts on one machine: for each a libvirtd of its own, an ordinary user's, with libvirt's test driver.

Every call is a real round trip to a real daemon, which holds its domains in memory as any libvirtd does; only the
guests are made up. The test driver keeps what was defined for as long as a connection is open: one is held to each.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import libvirt

from reconciler.model import identity
from reconciler.model.desired_state import DesiredState
from reconciler.model.virtual_machine import VirtualMachine
from tests.bench.fleets import (
    FLEET,
    NETWORK,
    POOL,
    Kind,
    domain_xml,
    host_name,
    loaded,
    volume_of,
    write_facilities,
    write_vms,
)
from tests.lab.waiting import wait_for

_NOBODY: Final = 65534
_SECONDS: Final = 60
_TARGET: Final = "/srv/vms"
_MACHINE: Final = "pc-q35-7.2"
_KIND: Final = Kind(strategy="Always", domain_type="kvm", cpu_model="host-model")
_NETWORK_XML: Final = "<network><name>{name}</name><forward mode='bridge'/><bridge name='br0'/></network>"
_POOL_XML: Final = (
    "<pool type='dir'><name>{name}</name><uuid>{uuid}</uuid><target><path>{target}</path></target></pool>"
)
_VOLUME_XML: Final = (
    "<volume><name>{name}</name><capacity unit='GiB'>20</capacity><allocation>0</allocation>"
    "<target><path>{target}/{name}</path><format type='qcow2'/></target></volume>"
)


@dataclass(frozen=True, slots=True)
class FakeHosts:
    """URIs by host name, and the connections that keep what was defined there."""

    uris: Mapping[str, str]
    held: Mapping[str, libvirt.virConnect]

    def fill(self, desired: DesiredState) -> None:
        """Give every host the domains and volumes that its VMs should have, running."""
        by_host: dict[str, list[VirtualMachine]] = defaultdict(list)
        for vm in desired.vms.values():
            by_host[vm.spec.placement.hosts[0]].append(vm)

        def fill(host: str) -> None:
            _fill(self.held[host], desired, host, by_host[host])

        self._on_each(fill)

    def halt(self) -> None:
        """Every domain is off and stays defined."""

        def halt(host: str) -> None:
            for domain in self.held[host].listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                domain.destroy()

        self._on_each(halt)

    def _on_each(self, work: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, self.uris))


@contextmanager
def fake_hosts(folder: Path, count: int) -> Iterator[FakeHosts]:
    """Hosts h1 to hN; they are gone when the block ends, or this process does."""
    folder.mkdir(parents=True)
    folder.chmod(0o711)
    names = [host_name(number) for number in range(count)]
    with ExitStack() as stack:
        for name in names:
            process = _start(folder / name)
            stack.callback(process.wait)
            stack.callback(process.kill)
        sockets = {name: folder / name / "run" / "libvirt-sock" for name in names}
        uris = {name: f"test+unix:///default?socket={socket}" for name, socket in sockets.items()}
        held = {}
        for name, uri in uris.items():
            wait_for(sockets[name].exists, _SECONDS, f"libvirtd of {name} does not listen; see {folder / name}/log")
            held[name] = libvirt.open(uri)
            stack.callback(held[name].close)
        yield FakeHosts(uris, held)


def make_fake_fleet(specs: Path, hosts: FakeHosts, vms_per_host: int) -> DesiredState:
    """Specs of a fleet on these hosts, and the hosts as they should be: nothing is left to do."""
    write_facilities(
        specs, pool=f"{{type: dir, target: {_TARGET}}}", network="{mode: existing}", uris=hosts.uris.values()
    )
    write_vms(specs, _KIND, range(len(hosts.uris) * vms_per_host), len(hosts.uris))
    desired = loaded(specs)
    hosts.fill(desired)
    return desired


def halt_fake_fleet(specs: Path, hosts: FakeHosts, vms_per_host: int) -> None:
    """The same fleet halted, by its specs and on its hosts: again nothing is left to do."""
    write_vms(specs, replace(_KIND, strategy="Halted"), range(len(hosts.uris) * vms_per_host), len(hosts.uris))
    hosts.halt()


def _start(home: Path) -> subprocess.Popen[bytes]:
    for folder in (home, home / "run"):
        folder.mkdir()
        shutil.chown(folder, _NOBODY)
    conf = home / "libvirtd.conf"
    conf.write_text(f'unix_sock_dir = "{home / "run"}"\nauth_unix_rw = "none"\n')
    places = {name: str(home) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            ["setpriv", f"--reuid={_NOBODY}", "--clear-groups", "--pdeathsig=KILL", "libvirtd", "-f", str(conf)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **places},
        )


def _fill(connection: libvirt.virConnect, desired: DesiredState, host: str, vms: list[VirtualMachine]) -> None:
    (first,) = connection.listAllDomains(0)
    first.destroy()
    first.undefine()
    network = connection.networkLookupByName("default")
    network.destroy()
    network.undefine()
    network = connection.networkDefineXML(_NETWORK_XML.format(name=NETWORK))
    network.create()
    uuid = identity.pool_uuid(FLEET, POOL)
    pool = connection.storagePoolDefineXML(_POOL_XML.format(name=POOL, uuid=uuid, target=_TARGET), 0)
    pool.create(0)
    pool.setAutostart(True)
    for vm in vms:
        pool.createXML(_VOLUME_XML.format(name=volume_of(vm.name), target=_TARGET), 0)
        connection.defineXML(domain_xml(desired, vm, host, _TARGET, _MACHINE)).create()
