"""What has expired is looked at once more just before it is deleted for good; a removal writes its tombstone first."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.ledger.counting import instant_of
from reconciler.model import steps
from reconciler.model.identity import vm_uuid
from reconciler.model.outcome import Outcome
from reconciler.model.tombstone import Tombstone
from tests.unit.executor.bench import FLEET, POOL, Bench, action, disk_volume, plan_of

ROOT = disk_volume("web")
DELETE = steps.DeleteVolume(POOL, ROOT)
WEEK = 7 * 86400.0


def bury(bench: Bench, *, purged: bool = True) -> None:
    """A disk that nobody has, and that is kept, or given up."""
    bench.with_pool_and_network()
    bench.h1.create_volume(POOL, ROOT, format="qcow2", capacity=5)
    now = instant_of(bench.clock)
    stone = Tombstone("web", "removed", now.wall, now.wall + WEEK, "h1", ((POOL, ROOT),))
    bench.ledger.bury(replace(stone, purged=purged), now)


def delete(bench: Bench, *, is_claimed: bool = False) -> Outcome:
    executor = replace(bench.executor, is_claimed=lambda _volume: is_claimed)
    plan = plan_of(replace(action(DELETE), why="expired"))
    return executor.execute(plan, bench.desired, stop=bench.stop)[0]


def test_what_was_given_up_is_deleted_and_so_is_its_tombstone(bench: Bench) -> None:
    bury(bench)

    assert delete(bench).status == "done"
    assert bench.h1.volume(POOL, ROOT) is None
    assert bench.ledger.view().tombstones == ()


def test_what_is_to_be_kept_longer_after_all_stays(bench: Bench) -> None:
    bury(bench, purged=False)
    bench.clock.jump(365 * 86400.0)

    outcome = delete(bench)

    assert outcome.status == "refused"
    assert "is to be kept longer" in outcome.message
    assert bench.h1.volume(POOL, ROOT) is not None


def test_what_was_kept_for_its_time_is_deleted(bench: Bench) -> None:
    bury(bench, purged=False)
    bench.clock.advance(WEEK)

    assert delete(bench).status == "done"


def test_what_the_newest_specs_have_again_stays(bench: Bench) -> None:
    bury(bench)

    outcome = delete(bench, is_claimed=True)

    assert outcome.status == "refused"
    assert "the VM is in the specs again" in outcome.message


def test_what_a_domain_has_stays_whatever_its_tombstone_says(bench: Bench) -> None:
    bench.with_vm()
    now = instant_of(bench.clock)
    bench.ledger.bury(Tombstone("web", "removed", now.wall, now.wall, "h1", ((POOL, ROOT),), purged=True), now)

    outcome = delete(bench)

    assert outcome.status == "refused"
    assert "is a disk of domain web" in outcome.message


def test_a_removal_writes_down_what_it_keeps_before_the_domain_goes(bench: Bench) -> None:
    bench.with_vm()
    keeps = steps.KeptParts(((POOL, ROOT),), ("52:00:00:00:00:01",), nvram=True, retention=WEEK)
    on_ledger_at_undefine: list[int] = []
    bench.fleet.on_mutation(lambda call, _phase: _note(bench, call.method, on_ledger_at_undefine))

    bench.run_one(steps.UndefineDomain("web", vm_uuid(FLEET, "web"), keep_nvram=True, keeps=keeps))

    assert on_ledger_at_undefine
    assert set(on_ledger_at_undefine) == {1}
    stone = bench.ledger.view().tombstones[0]
    assert (stone.host, stone.volumes, stone.macs, stone.nvram) == ("h1", keeps.volumes, keeps.macs, True)
    assert stone.retention == WEEK


def _note(bench: Bench, method: str, found: list[int]) -> None:
    if method == "undefine_domain":
        found.append(len(bench.ledger.view().tombstones))
