"""What a libvirtd that is stopped costs the others."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.fleets import POOL, write_facilities
from tests.bench.measuring import Row, Target, process_seconds, reconciler


def measure(bench: Bench) -> Iterator[Row]:
    """`reconciler plan` with one host of three stopped, beside the same with all of them well."""
    lab = bench.fresh_lab()
    folder = bench.place("hung")
    specs, state = folder / "specs", folder / "state"
    write_facilities(
        specs,
        pool=f"{{type: dir, target: {lab.shared / POOL}, shared: true}}",
        network="{mode: isolated, subnet: 192.168.150.0/24}",
        uris=[host.uri for host in lab.hosts],
    )
    process_seconds(reconciler("apply", specs, state, "--yes"))
    plan = reconciler("plan", specs, state, "--exit-zero")
    well, hung = [], []
    for _ in range(bench.many):
        well.append(process_seconds(plan))
        lab.hosts[2].hang()
        try:
            hung.append(process_seconds(plan))
        finally:
            lab.hosts[2].resume()
            lab.hosts[2].virsh("hostname")
    yield Row("plan with one host of three hung", tuple(hung), Target(1.1, "ratio"), "the same, all well", tuple(well))
