"""Disks that nobody claims are kept for their time from when they are found; what is in use is no matter of time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from reconciler.ledger.unclaimed import Found, find
from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.ledger import DoomedVolume, VolumeIntent
from tests.support.fleets import NOW, Story, ref, story, vm, volume

WEB = "VirtualMachine/web"
ROOT = "prod.web.root.qcow2"
WEEK = 7 * 86400.0
PROBLEM = SpecProblem(SourceRef("x.yaml", 1), "S001", "VirtualMachine/other", "", "not YAML")


def looked(fleet: Story) -> Found:
    return find(fleet.ledger, fleet.inventory, fleet.specs, fleet.policy, fleet.now)


def gone(*, shared: bool = False) -> Story:
    """`web` is removed, its disk is there, and the ledger is lost."""
    fleet = story(vm(), shared=shared).converged().with_specs(without=[WEB]).converged()
    return fleet.with_ledger(tombstones=(), removed={})


@pytest.mark.parametrize("shared", [False, True])
def test_disks_of_a_vm_that_nobody_has_are_kept_from_now_on_for_the_whole_time(shared: bool) -> None:
    found = looked(gone(shared=shared))

    assert [(stone.vm, stone.host, stone.volumes) for stone in found.new] == [("web", "h1", (("vms", ROOT),))]
    assert (found.new[0].since, found.new[0].retention) == (NOW, WEEK)


def test_what_has_a_tombstone_gets_no_other_one() -> None:
    fleet = gone()

    assert not looked(fleet.with_ledger(tombstones=looked(fleet).new))


CLAIMS: dict[str, Callable[[Story], Story]] = {
    "spec": lambda fleet: fleet.with_specs(vm()),
    "unusable spec": lambda fleet: fleet.with_specs(unusable={ref(WEB): PROBLEM}),
    "uncertain specs": lambda fleet: fleet.with_specs(removal_hold="the directory is empty"),
    "mistakes": lambda fleet: fleet.with_specs(problems=(PROBLEM,)),
    "placement": lambda fleet: fleet.placed("web", "h9"),
    "domain": lambda fleet: fleet.with_domain(story(vm()).converged().domain()),
    "overlay": lambda fleet: fleet.with_volumes(volume("theirs.qcow2", backing_path=f"/srv/vms/{ROOT}")),
    "deletion": lambda fleet: fleet.with_ledger(doomed=frozenset({DoomedVolume("web", "vms", ROOT, "h1")})),
    "making": lambda fleet: fleet.with_ledger(intents=frozenset({VolumeIntent("vms", ROOT, "h1")})),
    "work": lambda fleet: fleet.with_ledger(in_flight=frozenset({WEB})),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_somebody_may_claim_gets_no_tombstone(claim: str) -> None:
    assert looked(CLAIMS[claim](gone())).new == ()


def test_in_a_shared_pool_nothing_is_nobodys_while_a_host_is_out_of_sight() -> None:
    assert looked(gone(shared=True).losing_sight_of("h2")).new == ()


def test_what_a_domain_refers_to_again_or_what_is_gone_has_no_tombstone_any_more() -> None:
    fleet = gone()
    stone = replace(looked(fleet).new[0], volumes=(("vms", "prod.web.gone.qcow2"), ("vms", ROOT)))
    back = fleet.with_ledger(tombstones=(stone,)).with_domain(story(vm()).converged().domain())

    assert set(looked(back).over) == {("vms", "prod.web.gone.qcow2", "h1"), ("vms", ROOT, "h1")}


def test_what_can_not_be_seen_keeps_its_tombstone() -> None:
    fleet = gone()
    buried = fleet.with_ledger(tombstones=looked(fleet).new)

    assert not looked(buried.losing_sight_of("h1"))
    assert not looked(buried.with_ledger(in_flight=frozenset({WEB})))


def test_who_only_looks_sees_what_would_be_written() -> None:
    fleet = gone()
    found = looked(fleet)

    assert found.applied((), 50.0) == (replace(found.new[0], counted_from=50.0),)
    over = Found(over=(("vms", ROOT, "h1"),))
    assert over.applied(found.new, 0.0) == ()


def test_bases_and_volumes_of_other_fleets_are_no_vms() -> None:
    fleet = (
        story(hosts=1)
        .converged()
        .with_volumes(volume(f"prod.base-{'0' * 32}.qcow2"), volume("other.web.root.qcow2"), volume("mine.qcow2"))
    )

    assert not looked(fleet)
