"""A domain gets another name: only ours, only while it is off, and from then on it is that other VM."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model import steps
from reconciler.model.domain import OwnershipMark
from reconciler.model.identity import vm_uuid
from tests.unit.executor.bench import FLEET, Bench

UUID = vm_uuid(FLEET, "web")
START = steps.StartDomain("web", UUID)


def _renamed(bench: Bench) -> steps.RenameDomain:
    """What gives `web` the name `shop`."""
    domain = bench.h1.domain(UUID)
    mark = OwnershipMark(FLEET, "shop", 1, "s1", "g1", adopted=UUID, origin="web")
    return steps.RenameDomain(replace(domain.config, name="shop", mark=mark), "web", domain.fingerprint)


def test_renamed_domain_is_another_vm_of_the_ledger_too(bench: Bench) -> None:
    bench.with_vm()

    outcome = bench.run_one(_renamed(bench))

    assert outcome.status == "done"
    assert (bench.h1.domain(UUID).name, {*bench.ledger.view().placements}) == ("shop", {"shop"})


def test_domain_that_runs_is_not_renamed(bench: Bench) -> None:
    bench.with_vm()
    step = _renamed(bench)
    bench.run_one(START)

    assert bench.run_one(step).status == "refused"
    assert bench.h1.domain(UUID).name == "web"


@pytest.mark.parametrize("step", [steps.StopDomain("web", UUID, 1.0, True), steps.UndefineDomain("web", UUID, True)])
def test_domain_that_is_another_vm_by_now_is_left_alone(bench: Bench, step: steps.Step) -> None:
    """The plan was made from what its host told before it was renamed."""
    bench.with_vm()
    bench.run_one(_renamed(bench))
    if isinstance(step, steps.StopDomain):
        bench.fleet.people("h1").start("shop")

    outcome = bench.run_one(step)

    assert outcome.status == "refused"
    assert bench.h1.domain(UUID).active == isinstance(step, steps.StopDomain)
