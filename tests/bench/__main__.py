"""`make bench`: ours beside virsh doing the same, in the same run, by turns.

python -m tests.bench [--rows no-op,upload] [--quick] [--json]

Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.bench import (
    big_fleet,
    capture,
    creating,
    draining,
    first_output,
    ha,
    hung_host,
    loading,
    no_op,
    upload,
    versions,
)
from tests.bench.bench import Bench
from tests.bench.measuring import BenchError, Row, Target
from tests.bench.table import as_json, render

GROUPS: Final[Mapping[str, Callable[[Bench], Iterator[Row]]]] = {
    "first-output": first_output.measure,
    "loading": loading.measure,
    "no-op": no_op.measure,
    "hung": hung_host.measure,
    "upload": upload.measure,
    "capture": capture.measure,
    "versions": versions.measure,
    "creating": creating.measure,
    "draining": draining.measure,
    "big-fleet": big_fleet.measure,
    "ha": ha.measure,
}


def main() -> int:
    """Measure the groups that were asked for; 1 where a target is missed."""
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="reconciler-bench-", dir="/var/tmp"))
    rows: list[Row] = []
    try:
        with closing(Bench(folder, quick=arguments.quick)) as bench:
            for name in arguments.rows:
                rows += _measured(name, bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        print(as_json(rows))
    else:
        print(f"\n{_machine()}\n\n{render(rows)}", end="")
    return 1 if any(row.reached is False for row in rows) else 0


def _measured(name: str, bench: Bench) -> list[Row]:
    begun = time.monotonic()
    print(f"measuring {name} …", end="", file=sys.stderr, flush=True)
    try:
        rows = list(GROUPS[name](bench))
    except BenchError as error:
        # One group that can't be measured must not take the others' figures along.
        print(f" failed: {error}", file=sys.stderr, flush=True)
        return [Row(f"{name}: could not be measured", (math.inf,), Target(0, "value"))]
    print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=_groups, default=list(GROUPS), help=f"some of {','.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and no 1,000 VMs")
    parser.add_argument("--json", action="store_true", help="every sample, for programs")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("the bench needs root: it brings up hosts")
    return arguments


def _groups(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no rows named {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return names


def _machine() -> str:
    version = subprocess.run(["virsh", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    load = os.getloadavg()[0]
    python = platform.python_version()
    return f"{os.cpu_count()} CPUs, load {load:.1f} · Python {python} · libvirt {version} · medians of n rounds"


if __name__ == "__main__":
    sys.exit(main())
