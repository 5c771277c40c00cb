"""What is checked before a fleet is relied on; each fault comes with its remedy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from reconciler.cli.command_line import CommandLine
from reconciler.cli.words import count
from reconciler.clock import Clock
from reconciler.config import Settings
from reconciler.daemon.view import View
from reconciler.errors import HostError, StateError
from reconciler.hypervisor.interface import Hypervisor
from reconciler.ledger.controller_lock import controller_holder
from reconciler.ledger.left_etcd import left_etcd
from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import HostInventory, ObservedPool
from reconciler.model.quantities import approximate_size

if TYPE_CHECKING:
    from reconciler.cli.shared import Sharing

_TLS_FILES: Final = (Path("/etc/pki/CA/cacert.pem"), Path("/etc/pki/libvirt/clientcert.pem"))
_LITTLE_SPACE: Final = 0.1
_SLOW_CALL: Final = 100.0
"""Milliseconds."""
_CACHE_SPACE: Final = 2 << 30


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    result: Literal["good", "warn", "bad"]
    subject: str
    text: str
    remedy: str = ""


# -- the controller ----------------------------------------------------------------------------------------------------


def controller_checks(settings: Settings, desired: DesiredState | None) -> Iterator[Check]:
    """What this machine needs, whatever the hosts are."""
    yield _versions()
    yield _state_directory(settings.state_dir)
    yield _space(settings.state_dir)
    yield from _controller(settings)
    if desired is not None:
        yield from _transports({urlsplit(host.spec.uri).scheme for host in desired.hosts.values()})
        if settings.policy.migration.tls and len(desired.hosts) > 1:
            yield _migration_certificates()


def _controller(settings: Settings) -> Iterator[Check]:
    if settings.etcd is not None:
        yield from _controllers(settings)
        return
    try:
        holder = controller_holder(settings.state_dir)
    except StateError as error:
        yield Check("bad", "controller", error.message, error.hint)
        return
    yield _at_work(f"{holder} is at work" if holder else "")
    for doubt in left_etcd(settings.state_dir):
        yield Check("bad", "ledger", doubt)


def _controllers(settings: Settings) -> Iterator[Check]:
    """Of several that share a ledger."""
    module = import_module("reconciler.cli.shared")
    try:
        with import_module("reconciler.daemon.shared_ledger").shared_ledger(settings) as shared:
            sharing: Sharing = module.look(shared)
    except StateError as error:
        yield Check("bad", "controller", error.message, error.hint)
        return
    if sharing.is_over:
        yield Check("warn", "controller", f"nobody leads until the lease of {sharing.leader} ends", "look again")
    else:
        yield _at_work(f"{sharing.leader} leads by etcd, and is at work" if sharing.leader else "")
    if sharing.standbys:
        yield Check("good", "standby", "; ".join(map(str, sharing.standbys)))
    elif sharing.leader is not None and sharing.leader.command == "run":
        yield Check("warn", "standby", "nobody stands by", "reconciler run on another machine, with the same etcd")
    for name in sharing.namesakes:
        remedy = "give each a ledger.etcd.name of its own"
        yield Check("warn", "controller", f"more than one is called {name}", remedy)
    for doubt in sharing.doubts:
        yield Check("bad", "ledger", doubt)
    if sharing.difference:
        remedy = "bring the specs of all controllers to the same commit"
        yield Check("warn", "specs", sharing.difference, remedy)


def _at_work(leads: str) -> Check:
    return Check("good", "controller", leads or "none runs: apply and run are free to start")


def _versions() -> Check:
    python = f"Python {platform.python_version()}"
    try:
        return Check("good", "program", f"{python}, libvirt-python {importlib.metadata.version('libvirt-python')}")
    except importlib.metadata.PackageNotFoundError:
        return Check("bad", "program", f"{python} without libvirt's binding", "apt install python3-libvirt")


def _state_directory(path: Path) -> Check:
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Check(
            "bad", "state directory", f"{path} can't be written by this user", "run as its owner, or name --state-dir"
        )
    return Check("good", "state directory", str(path) if path.exists() else f"{path} will be made")


def _space(path: Path) -> Check:
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(nearest).free
    if free < _CACHE_SPACE:
        return Check(
            "warn",
            "image cache",
            f"only {approximate_size(free)} free below {nearest}",
            "make room: fetched images are kept there",
        )
    return Check("good", "image cache", f"{approximate_size(free)} free")


def _migration_certificates() -> Check:
    """They are files of the hosts, which libvirt shows to nobody."""
    text = "migration.tls: each host needs certificates of its own for QEMU, which can't be seen from here"
    remedy = "look on each host: virt-pki-validate, and the five files in /etc/pki/qemu (migrate_tls_x509_cert_dir)"
    return Check("warn", "tls of moves", text, remedy)


def _transports(schemes: set[str]) -> Iterator[Check]:
    if "qemu+ssh" in schemes:
        yield (
            Check("good", "ssh", shutil.which("ssh") or "")
            if shutil.which("ssh")
            else Check("bad", "ssh", "the program is missing", "apt install openssh-client")
        )
    if "qemu+tls" in schemes:
        missing = [str(file) for file in _TLS_FILES if not file.exists()]
        yield (
            Check("bad", "tls", f"missing: {', '.join(missing)}", "see libvirt's TLS set-up: virt-pki-validate")
            if missing
            else Check("good", "tls", "certificates are in place")
        )
    if "qemu+tcp" in schemes:
        yield Check(
            "warn", "tcp", "qemu+tcp is neither encrypted nor authenticated", "use qemu+tls or qemu+ssh outside a lab"
        )


def specs_check(desired: DesiredState, directory: Path, commands: CommandLine) -> Check:
    """Whether the specs can be used as they are."""
    errors = sum(problem.severity == "error" for problem in desired.problems)
    if errors:
        return Check("bad", "specs", f"{count(errors, 'mistake')} in {directory}", commands.call("validate"))
    if desired.removal_hold:
        return Check("warn", "specs", f"nothing would be removed: {desired.removal_hold}")
    things = [
        count(len(desired.hosts), "host"),
        count(len(desired.pools), "pool"),
        count(len(desired.networks), "network"),
        count(len(desired.images), "image"),
        count(len(desired.vms), "VM"),
    ]
    return Check("good", "specs", ", ".join(things))


# -- hosts -------------------------------------------------------------------------------------------------------------


def host_checks(name: str, view: View) -> Iterator[Check]:
    """What is known of one host after a look at it."""
    unread = view.inventory.unread.get(name)
    host = view.inventory.hosts.get(name)
    if host is None:
        text = unread.error if unread else "it was not asked"
        yield Check("bad", name, text, unread.hint if unread else "run check again")
        return
    yield Check("good", name, f"answers: libvirt {version_words(host.facts.libvirt_version)}, {_size_of(host)}")
    yield from _virtualisation(name, host, view.desired)
    for pool in sorted(view.desired.pools):
        observed = host.pools.get(pool)
        if observed is not None:
            yield _pool(name, observed)
        elif view.desired.pools[pool].spec.type == "existing" and _has_pool(name, pool, view.desired):
            yield Check(
                "bad", name, f"there is no pool {pool}", f"make it on {name}, or give it a type other than existing"
            )


def latency_check(name: str, host: Hypervisor, clock: Clock) -> Check:
    """How long two calls take: what every action waits for, several times over."""
    began = clock.monotonic()
    try:
        host.sweep()
    except HostError as error:
        return Check("bad", name, error.message, error.hint)
    milliseconds = (clock.monotonic() - began) * 500
    if milliseconds > _SLOW_CALL:
        return Check("warn", name, f"a call takes {milliseconds:.0f} ms", "put the controller nearer to its hosts")
    return Check("good", name, f"a call takes {milliseconds:.1f} ms")


def _has_pool(host: str, pool: str, desired: DesiredState) -> bool:
    return desired.pools[pool].spec.hosts.matches(host, desired.hosts[host].metadata.labels)


def version_words(version: int) -> str:
    """`9.0.0` of libvirt's 9000000."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"


def _size_of(host: HostInventory) -> str:
    return (
        f"{host.facts.arch}, {count(host.facts.cpus, 'CPU')}, {approximate_size(host.facts.memory)},"
        f" {count(len(host.domains), 'domain')}"
    )


def _virtualisation(name: str, host: HostInventory, desired: DesiredState) -> Iterator[Check]:
    if not host.facts.domain_types or "kvm" in host.facts.domain_types:
        return
    wants = sorted(vm.name for vm in desired.vms.values() if vm.spec.domain_type == "kvm")
    if wants:
        yield Check(
            "warn",
            name,
            f"no KVM here, and {count(len(wants), 'VM')} such as {wants[0]} can only run with it",
            "switch virtualisation on in the firmware and load kvm_intel or kvm_amd; or write domainType: qemu",
        )


def _pool(name: str, pool: ObservedPool) -> Check:
    if not pool.active:
        return Check("warn", name, f"pool {pool.name} is not active", "apply starts pools of its own; virsh pool-start")
    free = f"pool {pool.name}: {approximate_size(pool.available)} of {approximate_size(pool.capacity)} free"
    if pool.capacity and pool.available < pool.capacity * _LITTLE_SPACE:
        return Check("warn", name, free, "make room, or give the pool another target")
    return Check("good", name, free)
