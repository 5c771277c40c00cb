"""A VM that ran on two hosts at once is told of, until a human has seen to its disks."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from reconciler.model import steps
from reconciler.model.identity import vm_uuid
from tests.unit.executor.bench import FLEET, Bench, action, config

UUID: Final = vm_uuid(FLEET, "web")


@pytest.mark.parametrize(("beside", "is_told"), [("running", True), ("off", False), ("silent", True)])
def test_an_old_copy_that_ran_beside_the_true_one_is_told_of_until_a_human_resumes_the_vm(
    bench: Bench, beside: str, *, is_told: bool
) -> None:
    bench.with_vm(running=True).fleet.people("h2").define(config("web", epoch=2))
    bench.ledger.record_placement("web", "h2", 2, 0.0)
    entry = bench.fleet.people("h2").entry("web")
    if beside == "running":
        entry.state, entry.live = "running", entry.config  # its lock would keep people from starting it
    elif beside == "silent":
        bench.fleet.power_off("h2")

    stop = action(steps.StopDomain("web", UUID, timeout=0.0, force=True))
    bench.run(replace(stop, why="host-lost"))

    assert bench.h1.domain_state(UUID) == "shutoff"
    told = bench.ledger.view().ran_twice
    assert told == ({"web": "VirtualMachine/web ran on h1 and on h2 at once, so check its disks"} if is_told else {})


def test_a_guest_that_is_shut_down_where_it_belongs_has_not_run_twice(bench: Bench) -> None:
    bench.with_vm(running=True)

    bench.run(replace(action(steps.StopDomain("web", UUID, timeout=0.0, force=True)), why="host-lost"))

    assert bench.ledger.view().ran_twice == {}
