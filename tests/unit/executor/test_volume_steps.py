"""Volumes are complete or absent, and nothing in use is deleted."""

from __future__ import annotations

import pytest

from reconciler.errors import HostBusy
from reconciler.model import steps
from reconciler.model.identity import seed_volume, vm_uuid
from reconciler.model.ledger import VolumeIntent
from tests.unit.executor.bench import (
    BASE,
    FLEET,
    GIB,
    MARKER,
    POOL,
    QCOW2,
    SEED_CONTENT,
    TARGET,
    Bench,
    config,
    create_step,
    disk_volume,
    upload_step,
)

SEED = seed_volume(FLEET, "web", "0" * 16)


def test_uploaded_base_is_whole_and_marked(bench: Bench) -> None:
    bench.with_pool_and_network()

    outcome = bench.run_one(upload_step(), "Image/debian")

    base = bench.h1.volume(POOL, BASE)
    assert outcome.status == "done"
    assert base is not None
    assert (base.format, base.capacity) == ("qcow2", 2 * GIB)
    assert bench.fleet.people("h1").file(f"{TARGET}/{BASE}").written == len(QCOW2)
    assert bench.h1.volume(POOL, MARKER) is not None
    assert bench.ledger.view().intents == frozenset()
    assert bench.progress[-1][1:] == (len(QCOW2), len(QCOW2))


def test_marked_base_is_not_uploaded_again(bench: Bench) -> None:
    bench.with_base()
    before = bench.fleet.calls

    assert bench.run_one(upload_step(), "Image/debian").status == "done"
    assert bench.fleet.calls == before


def test_leftover_of_a_cut_off_upload_is_replaced(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.h1.create_volume(POOL, BASE, format="raw", capacity=5)

    assert bench.run_one(upload_step(), "Image/debian").status == "done"
    assert bench.fleet.people("h1").file(f"{TARGET}/{BASE}").written == len(QCOW2)


def test_marker_without_a_base_is_not_believed(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.h1.create_volume(POOL, MARKER, format="raw", capacity=0)

    assert bench.run_one(upload_step(), "Image/debian").status == "done"
    assert bench.fleet.people("h1").file(f"{TARGET}/{BASE}").written == len(QCOW2)


def test_base_in_use_that_lost_its_marker_is_never_replaced(bench: Bench) -> None:
    bench.with_vm()
    bench.h1.delete_volume(POOL, MARKER)

    outcome = bench.run_one(upload_step(), "Image/debian")

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert "vol-create-as" in outcome.hint
    assert bench.h1.volume(POOL, BASE) is not None


def test_image_that_changed_since_the_plan_is_not_uploaded(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.images.digest = "sha256:" + "cd" * 32

    assert bench.run_one(upload_step(), "Image/debian").status == "refused"
    assert bench.volumes() == ()


def test_stop_during_an_upload_hands_back_an_unmarked_base(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.fleet.on_mutation(lambda _call, phase: bench.stop.set() if phase == "during" else None)

    outcome = bench.run_one(upload_step(), "Image/debian")

    assert outcome.status == "handed-back"
    assert bench.h1.volume(POOL, MARKER) is None
    assert bench.ledger.view().failures == {}


def test_full_pool_fails_for_good_and_leaves_no_mark(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.fleet.fill_disk("h1", TARGET)

    outcome = bench.run_one(upload_step(), "Image/debian")

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert bench.h1.volume(POOL, MARKER) is None


def test_lost_reply_to_the_marker_counts_once_it_is_seen(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.fleet.on_mutation(
        lambda call, phase: (
            bench.fleet.lose_reply("h1", "create_volume") if (call.target, phase) == (MARKER, "before") else None
        )
    )

    assert bench.run_one(upload_step(), "Image/debian").status == "done"


def test_linked_disk_stands_on_its_base(bench: Bench) -> None:
    bench.with_base()

    assert bench.run_one(create_step()).status == "done"

    made = bench.h1.volume(POOL, disk_volume("web"))
    assert made is not None
    assert (made.capacity, made.backing_path) == (10 * GIB, f"{TARGET}/{BASE}")
    assert bench.ledger.view().intents == frozenset()


def test_full_clone_stands_on_nothing(bench: Bench) -> None:
    bench.with_base()

    assert bench.run_one(create_step(clone="full")).status == "done"

    made = bench.h1.volume(POOL, disk_volume("web"))
    assert made is not None
    assert (made.capacity, made.backing_path) == (10 * GIB, None)


def test_disk_is_not_made_from_an_unmarked_base(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.h1.create_volume(POOL, BASE, format="qcow2", capacity=GIB)

    assert bench.run_one(create_step()).status == "refused"
    assert bench.volumes() == (BASE,)


def test_existing_disk_is_never_overwritten(bench: Bench) -> None:
    bench.with_base()
    bench.h1.create_volume(POOL, disk_volume("web"), format="qcow2", capacity=GIB)

    outcome = bench.run_one(create_step(replace_partial=True))

    assert outcome.status == "refused"
    assert bench.fleet.people("h1").file(f"{TARGET}/{disk_volume('web')}").capacity == GIB


def test_partial_disk_with_an_intent_is_replaced(bench: Bench) -> None:
    bench.with_base()
    bench.h1.create_volume(POOL, disk_volume("web"), format="qcow2", capacity=GIB)
    bench.ledger.begin_volume(POOL, disk_volume("web"), "h2")

    assert bench.run_one(create_step(replace_partial=True)).status == "done"
    assert bench.fleet.people("h1").file(f"{TARGET}/{disk_volume('web')}").capacity == 10 * GIB
    assert bench.ledger.view().intents == frozenset()


def test_disk_that_a_domain_refers_to_is_not_replaced_whatever_the_ledger_says(bench: Bench) -> None:
    bench.with_vm()
    bench.ledger.begin_volume(POOL, disk_volume("web"), "h1")

    assert bench.run_one(create_step(replace_partial=True)).status == "refused"


def test_lost_reply_to_a_creation_leaves_an_intent_for_the_next_pass(bench: Bench) -> None:
    """What is seen may still be written to, so it is not taken for done."""
    bench.with_base()
    bench.fleet.lose_reply("h1", "create_volume")

    outcome = bench.run_one(create_step())

    assert (outcome.status, outcome.transient) == ("failed", True)
    assert bench.ledger.view().intents == {VolumeIntent(POOL, disk_volume("web"), "h1")}
    assert bench.run_one(create_step(replace_partial=True)).status == "done"


def test_busy_pool_is_waited_for(bench: Bench) -> None:
    bench.with_base()
    bench.fleet.fail_next("h1", "create_volume", HostBusy("pool has asynchronous jobs running", host="h1"))

    assert bench.run_one(create_step()).status == "done"


def test_volume_grows(bench: Bench) -> None:
    bench.with_vm()

    assert bench.run_one(steps.GrowVolume(POOL, disk_volume("web"), 20 * GIB, "qcow2")).status == "done"
    assert bench.fleet.people("h1").file(f"{TARGET}/{disk_volume('web')}").capacity == 20 * GIB


@pytest.mark.parametrize("capacity", [5 * GIB])
def test_volume_never_shrinks(bench: Bench, capacity: int) -> None:
    bench.with_vm()

    assert bench.run_one(steps.GrowVolume(POOL, disk_volume("web"), capacity, "qcow2")).status == "refused"


def test_volume_of_a_running_domain_is_not_grown_behind_its_back(bench: Bench) -> None:
    bench.with_vm(running=True)

    assert bench.run_one(steps.GrowVolume(POOL, disk_volume("web"), 20 * GIB, "qcow2")).status == "refused"


def test_disk_of_a_running_domain_grows_live(bench: Bench) -> None:
    bench.with_vm(running=True)
    path = f"{TARGET}/{disk_volume('web')}"

    outcome = bench.run_one(steps.GrowDisk("web", vm_uuid(FLEET, "web"), path, 20 * GIB))

    assert outcome.status == "done"
    assert bench.fleet.people("h1").file(path).capacity == 20 * GIB


def test_unused_volume_is_deleted(bench: Bench) -> None:
    bench.with_base()
    bench.run_one(create_step())
    bench.ledger.begin_volume(POOL, disk_volume("web"), "h1")

    assert bench.run_one(steps.DeleteVolume(POOL, disk_volume("web"))).status == "done"
    assert disk_volume("web") not in bench.volumes()
    assert bench.ledger.view().intents == frozenset()


def test_deleted_volume_is_deleted(bench: Bench) -> None:
    bench.with_base()

    assert bench.run_one(steps.DeleteVolume(POOL, disk_volume("web"))).status == "done"


def test_disk_of_a_domain_is_not_deleted(bench: Bench) -> None:
    bench.with_vm()

    outcome = bench.run_one(steps.DeleteVolume(POOL, disk_volume("web")))

    assert outcome.status == "refused"
    assert disk_volume("web") in bench.volumes()


def test_disk_of_a_domain_on_another_host_of_a_shared_pool_is_not_deleted(bench: Bench) -> None:
    bench.with_base()
    bench.run_one(create_step())
    bench.fleet.people("h2").define(config("web"))

    outcome = bench.run_one(steps.DeleteVolume(POOL, disk_volume("web")))

    assert outcome.status == "refused"
    assert "web on h2" in outcome.message
    assert disk_volume("web") in bench.volumes()


def test_disk_in_a_shared_pool_is_not_deleted_while_a_host_of_the_pool_is_silent(bench: Bench) -> None:
    bench.with_base()
    bench.run_one(create_step())
    bench.fleet.cut_network("h2")

    outcome = bench.run_one(steps.DeleteVolume(POOL, disk_volume("web")))

    assert (outcome.status, outcome.transient) == ("failed", True)
    assert disk_volume("web") in bench.volumes()


def test_base_of_a_disk_is_not_deleted(bench: Bench) -> None:
    bench.with_base()
    bench.run_one(create_step())

    assert bench.run_one(steps.DeleteVolume(POOL, BASE), "Image/debian").status == "refused"
    assert BASE in bench.volumes()


def test_seed_is_private_and_whole(bench: Bench) -> None:
    bench.with_pool_and_network()

    assert bench.run_one(steps.WriteSeed(POOL, SEED, SEED_CONTENT)).status == "done"

    seed = bench.fleet.people("h1").file(f"{TARGET}/{SEED}")
    assert (seed.mode, seed.written) == (0o600, len(bench.images.seed_iso(SEED_CONTENT)))


def test_partial_seed_is_written_anew(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.h1.create_volume(POOL, SEED, format="raw", capacity=1)

    assert bench.run_one(steps.WriteSeed(POOL, SEED, SEED_CONTENT)).status == "done"
    assert bench.fleet.people("h1").file(f"{TARGET}/{SEED}").written > 1


def test_seed_in_use_is_not_rewritten(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.run_one(steps.WriteSeed(POOL, SEED, SEED_CONTENT))
    made = config("web")
    bench.fleet.people("h1").define(config("web", seed=made.disks[0].__class__("vdb", f"{TARGET}/{SEED}", "raw")))

    assert bench.run_one(steps.WriteSeed(POOL, SEED, SEED_CONTENT)).status == "refused"


def test_no_secret_of_a_seed_is_in_what_is_told(bench: Bench) -> None:
    bench.run_one(steps.WriteSeed(POOL, SEED, SEED_CONTENT))  # fails: there is no pool

    assert "hunter2" not in repr(bench.events) + repr(bench.ledger.events()) + repr(bench.ledger.view())


def test_fetch_brings_the_image_into_the_cache(bench: Bench) -> None:
    bench.images.cached = False
    image = bench.desired.images["debian"]

    assert bench.run_one(steps.FetchImage(image), "Image/debian", host=None).status == "done"
    assert bench.images.cached
