"""Which machine is which host: what a fence device that tells whose it is is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from reconciler.cli.outside import Outside
from reconciler.config import Settings
from reconciler.errors import HostError
from reconciler.model.fencing_devices import GUID_ANNOTATION
from reconciler.model.host import Host

_AT_ONCE: Final = 16


def known_machines(
    doors: Outside, settings: Settings, *, asked: Iterable[Host], fleet: Sequence[Host]
) -> dict[str, str]:
    """UUID of the machine by host: as it was first read; hosts that are `asked`, or were never read, say it now."""
    with doors.read_ledger(settings) as ledger:
        known = dict(ledger.view().identities)
    wanted = {host.name for host in asked} | {host.name for host in fleet if host.name not in known}
    with doors.open_session(settings, None) as session, ThreadPoolExecutor(_AT_ONCE) as pool:
        session.fleet.update({host.name: host.spec.uri for host in fleet if host.name in wanted})
        reads = {name: pool.submit(session.fleet.host(name).read) for name in sorted(wanted)}
        for name, read in reads.items():
            error = read.exception()
            if error is None:
                known[name] = read.result().facts.uuid
            elif not isinstance(error, HostError):
                raise error
    return known


def others_of(host: Host, fleet: Iterable[Host], machines: Mapping[str, str]) -> dict[str, str]:
    """By UUID: the other hosts of the fleet, by what is known of their machines and named of their BMCs."""
    others = [other for other in fleet if other.name != host.name]
    named = {other.metadata.annotations.get(GUID_ANNOTATION, ""): other.name for other in others}
    return named | {machines[other.name]: other.name for other in others if other.name in machines}
