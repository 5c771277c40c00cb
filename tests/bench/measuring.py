"""Rows of the table, and stop watches: ours and theirs by turns, so that a noisy machine is noisy to both."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

REPOSITORY = Path(__file__).parents[2]
Unit = Literal["s", "MiB"]


class BenchError(Exception):
    """What was to be measured did not do what it should; the text says what it did."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached: a value at most (in the row's unit), or a multiple of theirs at most."""

    limit: float
    of: Literal["value", "ratio"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; samples in `unit`."""

    what: str
    ours: tuple[float, ...]
    target: Target | None
    beside: str = ""
    """What theirs is, such as `virsh dumpxml of all`."""
    theirs: tuple[float, ...] = ()
    unit: Unit = "s"

    @property
    def value(self) -> float:
        return median(self.ours)

    @property
    def their_value(self) -> float:
        return median(self.theirs)

    @property
    def ratio(self) -> float | None:
        """Ours as a multiple of theirs: the median over the rounds, each of which measured both."""
        pairs = [mine / other for mine, other in zip(self.ours, self.theirs, strict=False) if other > 0]
        return median(pairs) if pairs else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        measured = self.value if self.target.of == "value" else self.ratio
        return measured is not None and measured <= self.target.limit


def by_turns(
    rounds: int, ours: Callable[[], float], theirs: Callable[[], float], *, between: Callable[[], None] | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Samples of both, taken by turns, who goes first changing each round; `between` cleans up after each."""
    mine: list[float] = []
    other: list[float] = []
    for number in range(rounds):
        first, second = ((ours, mine), (theirs, other)) if number % 2 == 0 else ((theirs, other), (ours, mine))
        for measure, samples in (first, second):
            samples.append(measure())
            if between is not None:
                between()
    return tuple(mine), tuple(other)


def stopwatch(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def process_seconds(argv: Sequence[str], *, exits: Iterable[int] = (0,)) -> float:
    """Seconds of a whole process; raises BenchError for another exit code."""
    begun = time.perf_counter()
    done = subprocess.run(
        argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, cwd=REPOSITORY, env=environment()
    )
    seconds = time.perf_counter() - begun
    if done.returncode not in tuple(exits):
        said = (done.stderr + done.stdout).decode(errors="replace")[-2000:]
        raise BenchError(f"{' '.join(argv)[:200]}: exit {done.returncode}\n{said}")
    return seconds


def environment() -> dict[str, str]:
    """This process's environment without settings of the product."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RECONCILER_")}


def reconciler(command: str, specs: Path, state: Path, *words: str) -> list[str]:
    """The words that run the product on a fleet."""
    return [sys.executable, "-m", "reconciler", command, str(specs), "--state-dir", str(state), *words]


def virsh(uri: str, commands: Iterable[str]) -> list[str]:
    """The words of one virsh process that does all of `commands`."""
    return ["virsh", "-q", "-c", uri, "; ".join(commands)]
