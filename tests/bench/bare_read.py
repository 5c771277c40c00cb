"""What the cold plan is measured beside: connect to every host and ask for everything once, and forget it.

python -m tests.bench.bare_read FILE    (its lines `uri: …` are the hosts)

One process with sixteen threads.
"""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import libvirt

_THREADS: Final = 16


def read(connection: libvirt.virConnect) -> None:
    """List, state and XML of every domain: inactive, and live where it runs; nothing is parsed."""
    connection.listAllDomains(0)
    for domain, stats in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE):
        domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        if stats["state.state"] == libvirt.VIR_DOMAIN_RUNNING:
            domain.XMLDesc(0)


def read_volumes(connection: libvirt.virConnect) -> None:
    """The XML of every volume."""
    for pool in connection.listAllStoragePools(0):
        for volume in pool.listAllVolumes(0):
            volume.XMLDesc(0)


def main() -> None:
    """Read all."""

    def work(uri: str) -> None:
        connection = libvirt.open(uri)
        read(connection)
        read_volumes(connection)
        connection.close()

    uris = re.findall(r"uri: (\S+)", Path(sys.argv[1]).read_text())
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work, uris))


if __name__ == "__main__":
    main()
