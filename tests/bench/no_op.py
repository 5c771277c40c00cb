"""A pass that finds nothing to do, on a real host with real definitions of VMs that are off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench
from tests.bench.fleets import (
    POOL,
    Kind,
    domain_xml,
    loaded,
    volume_of,
    write_facilities,
    write_vms,
)
from tests.bench.measuring import Row, Target, by_turns, process_seconds, reconciler, virsh
from tests.lab.host import LabHost
from tests.lab.namespaces import run

_KIND: Final = Kind(strategy="Halted", domain_type="qemu", cpu_model="maximum", size="1GiB")
_TARGETS: Final = {10: Target(0.5, "value"), 100: Target(0.4, "value"), 1000: None}


def measure(bench: Bench) -> Iterator[Row]:
    """`reconciler plan` of 10, 100 and 1,000 VMs as they should be, beside one virsh that dumps the XML of all."""
    host = bench.fresh_lab().hosts[0]
    folder = bench.place("no-op")
    specs, state = folder / "specs", folder / "state"
    pool = bench.lab.shared / POOL
    write_facilities(
        specs,
        pool=f"{{type: dir, target: {pool}}}",
        network="{mode: isolated, subnet: 192.168.150.0/24}",
        uris=[host.uri],
    )
    process_seconds(reconciler("apply", specs, state, "--yes"))
    disk = folder / "disk.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1G"])
    names: list[str] = []
    for count, target in _TARGETS.items():
        if bench.quick and count > 100:
            return
        added = write_vms(specs, _KIND, range(len(names), count), 1)
        _define(host, specs, pool, disk, added)
        names += added
        # Once with control of the fleet, so that the ledger knows the VMs as it would after making them.
        process_seconds(reconciler("apply", specs, state, "--yes"))
        ours, theirs = by_turns(
            bench.many,
            partial(process_seconds, reconciler("plan", specs, state)),
            partial(process_seconds, virsh(host.uri, [f"dumpxml {name}" for name in names])),
        )
        yield Row(f"no-op plan, {count:,} VMs defined on one host", ours, target, "virsh dumpxml of all", theirs)


def _define(host: LabHost, specs: Path, pool: Path, disk: Path, names: list[str]) -> None:
    """Define VMs as the product would, without waiting for it to."""
    desired = loaded(specs)
    files = []
    for name in names:
        shutil.copy(disk, pool / volume_of(name))
        file = pool.parent / f"{name}.xml"
        file.write_text(domain_xml(desired, desired.vms[name], host.name, str(pool), "q35"))
        files.append(file)
    host.virsh("; ".join([f"pool-refresh {POOL}", *(f"define {file}" for file in files)]), timeout=300)
    for file in files:
        file.unlink()
