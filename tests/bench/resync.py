"""Reading a fleet again in one process, beside libvirt's own calls; prints the samples of both as JSON.

python -m tests.bench.resync SPECS ROUNDS

Both sides read everything once before the first sample.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import libvirt
from msgspec.structs import replace

from reconciler.clock import SystemClock
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.model.desired_state import DesiredState
from reconciler.observe.collector import Collector
from tests.bench.bare_read import read
from tests.bench.fleets import loaded
from tests.bench.measuring import by_turns, stopwatch

_THREADS: Final = 16
_TIMEOUT: Final = 120.0


def main() -> None:
    """Measure."""
    specs, rounds = Path(sys.argv[1]), int(sys.argv[2])
    desired = loaded(specs)
    # Volumes are no part of this row: domains beside domains.
    domains_only = replace(desired, pools={}, vms={})
    uris = {name: host.spec.uri for name, host in desired.hosts.items()}
    fleet = LibvirtFleet(uris)
    collector = Collector(fleet, SystemClock())
    bare = {name: libvirt.open(uri) for name, uri in uris.items()}
    _ours(collector, domains_only)
    _theirs(bare)
    ours, theirs = by_turns(
        rounds, lambda: stopwatch(lambda: _ours(collector, domains_only)), lambda: stopwatch(lambda: _theirs(bare))
    )
    print(json.dumps({"ours": ours, "theirs": theirs}))
    for connection in bare.values():
        connection.close()
    fleet.close()


def _ours(collector: Collector, desired: DesiredState) -> None:
    inventory = collector.finish(collector.begin(desired), desired, {}, timeout=_TIMEOUT)
    assert not inventory.unread, next(iter(inventory.unread.values()))


def _theirs(connections: Mapping[str, libvirt.virConnect]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(read, connections.values()))


if __name__ == "__main__":
    main()
