"""Ten thousand specs from nothing: read, parsed, validated, checked against one another."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.measuring import Row, Target, process_seconds, reconciler
from tests.bench_fleet import write_fleet


def measure(bench: Bench) -> Iterator[Row]:
    """`reconciler validate`, a whole process; nobody else's tool does the same."""
    folder = bench.place("loading")
    write_fleet(folder / "specs", vms=10_000, hosts=100)
    (folder / "specs" / "images").mkdir()
    argv = reconciler("validate", folder / "specs", folder / "state")
    ours = tuple(process_seconds(argv) for _ in range(bench.many))
    yield Row("validate 10,000 specs, cold", ours, Target(2.5, "value"))
