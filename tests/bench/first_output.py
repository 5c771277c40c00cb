"""How long it takes until the program has said anything at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from tests.bench.bench import Bench
from tests.bench.measuring import Row, Target, by_turns, process_seconds


def measure(bench: Bench) -> Iterator[Row]:
    """`--version` and `--help`, beside virsh's."""
    program = [sys.executable, "-m", "reconciler"]
    for option in ("--version", "--help"):
        ours, theirs = by_turns(
            2 * bench.many,
            partial(process_seconds, [*program, option]),
            partial(process_seconds, ["virsh", option]),
        )
        yield Row(f"reconciler {option}", ours, Target(0.1, "value"), f"virsh {option}", theirs)
