"""`make soak`: many random schedules; those that go wrong are written down as folders."""

from __future__ import annotations

import argparse
import logging
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import structlog

from tests.scenarios.schedules import faults_of, write_down


def main() -> int:
    """Play the schedules; 1 where one went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=10_000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.number)
    wrong = 0
    with ProcessPoolExecutor(options.workers, initializer=_be_quiet) as pool:
        for seed, faults in zip(seeds, pool.map(faults_of, seeds, chunksize=20), strict=True):
            if faults:
                wrong += 1
                print(f"seed {seed}: {write_down(seed, faults)}", *faults, sep="\n  ", flush=True)
    print(f"{options.number} schedules from seed {options.first} on: {wrong} went wrong")
    return 1 if wrong else 0


_be_quiet = partial(structlog.configure, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

if __name__ == "__main__":
    sys.exit(main())
