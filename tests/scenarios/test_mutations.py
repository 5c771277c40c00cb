"""A test of the tests: for each promise the code is broken in one way, and the promise's watch notices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec.structs import replace

from reconciler.daemon import health_keeper
from reconciler.daemon.specs_judge import SpecsJudge
from reconciler.executor import preconditions
from reconciler.executor.handlers import domains, power, volumes
from reconciler.executor.handlers import fencing as fencing_handler
from reconciler.fencing import proof
from reconciler.leadership.lead import Lead
from reconciler.ledger.controller_lock import ControllerLock
from reconciler.model import identity
from reconciler.model.domain import OwnershipMark
from reconciler.planner import fencing, placement, removal, soundness, world
from reconciler.simulator.invariants.watch import PROMISES
from reconciler.simulator.play import play
from reconciler.simulator.scenario import load_scenario
from reconciler.simulator.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.model.inventory import HostInventory

pytestmark = pytest.mark.no_cover  # a tracer makes it three times as long, and adds no line

FOLDER: Final = Path(__file__).parent


def _nothing(*_: Any, **__: Any) -> None:
    """In place of a check."""


def no_plan_check(patch: pytest.MonkeyPatch) -> None:
    """Plans are not looked at again: what is seeded would not get past that."""
    patch.setattr(soundness, "check", lambda *_: ())


def silence_is_death(patch: pytest.MonkeyPatch) -> None:
    """The planner recovers from hosts that do not answer, and nobody rechecks."""
    patch.setattr(world, "dead_hosts", lambda _ledger, hosts, read: frozenset(h for h in hosts if h not in read))
    patch.setattr(domains, "check_nowhere_else", _nothing)
    patch.setattr(power, "check_runs_nowhere_else", _nothing)
    no_plan_check(patch)


def timeout_is_success(patch: pytest.MonkeyPatch) -> None:
    """A fence device that does not answer in time is taken for one that switched off."""
    confirmed = proof._Confirmed("fenced", "the device did not object")
    patch.setattr(proof.Fencer, "_try", lambda *_: confirmed)


def retain_is_delete(patch: pytest.MonkeyPatch) -> None:
    """Every disk goes with its VM."""
    losing = property(lambda _: True)
    patch.setattr(next(kind for kind in vars(removal).values() if hasattr(kind, "_losing")), "_losing", losing)
    no_plan_check(patch)


def no_marker_needed(patch: pytest.MonkeyPatch) -> None:
    """A base counts as complete as soon as it is there."""
    patch.setattr(identity, "base_marker", lambda base: base)
    patch.setattr(volumes, "base_marker", lambda base: base)


def name_is_ownership(patch: pytest.MonkeyPatch) -> None:
    """A domain that has a VM's UUID is ours, whatever its mark says."""
    sort = world.sort_domains

    def adopted(hosts: Mapping[str, HostInventory], fleet: str, to_rename: Mapping[str, str]) -> Any:
        named = {name: replace(host, domains=_marked(host, fleet)) for name, host in hosts.items()}
        return sort(named, fleet, to_rename)

    patch.setattr(world, "sort_domains", adopted)
    patch.setattr(preconditions, "check_ownership", _nothing)
    no_plan_check(patch)


def _marked(host: HostInventory, fleet: str) -> dict[str, Any]:
    return {
        name: replace(domain, config=replace(domain.config, mark=OwnershipMark(fleet, name, 1, "", "")))
        if domain.config.mark is None
        else domain
        for name, domain in host.domains.items()
    }


def no_lock(patch: pytest.MonkeyPatch) -> None:
    """Whoever comes controls the fleet."""
    patch.setattr(ControllerLock, "_take", _nothing)


def lead_for_life(patch: pytest.MonkeyPatch) -> None:
    """Who leads once takes itself for the leader ever after, whatever its deadline and etcd say."""
    patch.setattr(Lead, "check", _nothing)
    patch.setattr(Lead, "_changed", lambda *_: True)


def no_doubt(patch: pytest.MonkeyPatch) -> None:
    """Whoever leads acts by its own specs, however old."""
    patch.setattr(SpecsJudge, "is_in_doubt", lambda *_: False)


def no_brake(patch: pytest.MonkeyPatch) -> None:
    """Hosts are fenced however many are bad."""
    patch.setattr(fencing, "brake", lambda *_: "")
    patch.setattr(fencing_handler, "brake", lambda *_: "")
    patch.setattr(health_keeper, "brake", lambda *_: "")
    no_plan_check(patch)


def no_reserve(patch: pytest.MonkeyPatch) -> None:
    """Memory is promised without end."""
    patch.setattr(placement, "_FILTERS", ())
    no_plan_check(patch)


def undone_is_done(patch: pytest.MonkeyPatch) -> None:
    """An action says that it was done, and did nothing."""
    patch.setattr(domains, "set_autostart", _nothing)


MUTATIONS: Final = (
    ("one-copy", silence_is_death, "data-would-be-lost-with-a-blind-restart"),
    ("proof-first", timeout_is_success, "device-dead-and-host-alive"),
    ("accepted-deletion", retain_is_delete, "all-vms-removed-at-once"),
    ("wanted-stays", no_doubt, "stale-specs-take-the-lead"),
    ("sound-disks", no_marker_needed, "killed-during-upload-volume"),
    ("unmanaged-untouched", name_is_ownership, "virsh-unmark"),
    ("lock-held", no_lock, "two-controllers"),
    ("lock-held", lead_for_life, "leader-paused-past-its-lease"),
    ("brakes-held", no_brake, "rack-lost-above-the-brake"),
    ("capacity-kept", no_reserve, "memory-filled-to-the-brim"),
    ("empty-at-rest", undone_is_done, "virsh-autostart"),
)


@pytest.mark.parametrize(("promise", "mutation", "scenario"), MUTATIONS, ids=[name for name, *_ in MUTATIONS])
def test_a_seeded_mistake_is_noticed(
    promise: str, mutation: Callable[[pytest.MonkeyPatch], None], scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)

    broken = {violation.promise for violation in play(load_scenario(FOLDER / scenario, VERBS)).violations}

    assert promise in broken


def test_each_promise_has_a_mistake_that_it_notices() -> None:
    assert {name for name, *_ in MUTATIONS} == {promise.name for promise in PROMISES}
