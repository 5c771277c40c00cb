"""What a plan may not do to a VM whose disks are being copied."""

from __future__ import annotations

import pytest

from reconciler.model.capture_steps import CaptureImage
from reconciler.model.ledger import Capture, CapturePhase
from reconciler.planner.plan_check import check
from tests.support.fleets import NOW, POLICY, Story, host, story, vm


def draining() -> Story:
    there = story(vm(), host("h2", state="cordoned"), shared=True).converged()
    return there.with_specs(host("h2"), host("h1", state="maintenance"), without=["Host/h1", "Host/h2"])


def captured(of: Story, phase: CapturePhase) -> Story:
    step = CaptureImage(
        image="golden",
        stamp="20260101t000000z",
        domain="web",
        uuid=of.domain().uuid,
        host="h1",
        pool="vms",
        pool_host="h1",
        shared=True,
        copy_pool="vms",
        folder="/srv/vms",
        manifest="",
        disks=(),
    )
    return of.with_ledger(captures={"golden": Capture("golden", NOW, step, "requested", phase)})


@pytest.mark.parametrize("phase", ["begun", "frozen", "copying"])
def test_a_vm_whose_disks_are_being_copied_sets_out_nowhere(phase: CapturePhase) -> None:
    plan, there = draining().plan(), captured(draining(), phase)

    assert "migrate-domain" in [action.kind for action in plan.actions]
    assert any(
        "being copied for Image/golden" in violation
        for violation in check(plan, there.specs, there.inventory, there.ledger, POLICY)
    )
    assert "migrate-domain" not in there.kinds()


def test_once_all_is_copied_it_may_go() -> None:
    there = captured(draining(), "sealing")

    assert "migrate-domain" in there.kinds()
    assert check(there.plan(), there.specs, there.inventory, there.ledger, POLICY) == ()
