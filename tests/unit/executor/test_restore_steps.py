"""Disks are made from versions, and given to VMs; cut off anywhere, nothing is lost and nothing is done twice."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.hypervisor.simulated_host import SimulatedHost
from reconciler.model import identity
from reconciler.model.domain import DiskConfig
from reconciler.model.outcome import Outcome
from reconciler.model.restores import ChainLink, DiskSwap, RestoreDisk, SwitchDisks, VersionSource
from reconciler.model.steps import StartDomain
from tests.unit.executor.bench import FLEET, GIB, POOL, TARGET, Bench, config, disk_volume

_FILE = f"{FLEET}.golden.20260101t000000z.root.qcow2"
_NEW = identity.disk_volume(FLEET, "web", "root", "qcow2", 1)
_CONTENT = b"QFI\xfb" + bytes(20) + (10 * GIB).to_bytes(8, "big") + b"what was captured"
_VALUE = "0123456789abcdef"


def put_version(host: SimulatedHost, content: bytes = _CONTENT) -> None:
    host.create_volume(POOL, _FILE, format="raw", capacity=len(content))
    host.upload_volume(POOL, _FILE, io.BytesIO(content), len(content), lambda _more: None)


def step(host: str = "h1", **changes: Any) -> RestoreDisk:
    link = ChainLink(_FILE, len(_CONTENT), f"sha256:{hashlib.sha256(_CONTENT).hexdigest()}")
    made = RestoreDisk(
        pool=POOL,
        volume=_NEW,
        format="qcow2",
        capacity=12 * GIB,
        disk="root",
        source=VersionSource("golden@2026-01-01T00:00Z", POOL, host, (link,)),
        streamed=host != "h1",
        value=_VALUE,
    )
    return replace(made, **changes)


def switch(bench: Bench, **changes: Any) -> SwitchDisks:
    mark = config("web").mark
    assert mark is not None
    domain = bench.h1.domain(identity.vm_uuid(FLEET, "web"))
    disks = (DiskConfig("vda", f"{TARGET}/{_NEW}", "qcow2"),)
    made = SwitchDisks(
        config=replace(domain.config, disks=disks, mark=replace(mark, restore=f"1-{_VALUE}")),
        expect_fingerprint=domain.fingerprint,
        done=f"1-{_VALUE}",
        source="golden@2026-01-01T00:00Z",
        swaps=(DiskSwap("root", POOL, "h1", disk_volume("web"), _NEW),),
        retention=60.0,
        starts=True,
    )
    return replace(made, **changes)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, shared=False).with_vm()
    put_version(made.h1)
    return made


def done(outcome: Outcome) -> None:
    assert outcome.status == "done", outcome


def test_a_copy_of_a_version_stands_on_nothing_and_counts_as_unfinished_until_the_vm_has_it(bench: Bench) -> None:
    done(bench.run_one(step()))

    made = bench.h1.volume(POOL, _NEW)
    assert made is not None
    assert (made.backing_path, made.capacity) == (None, 12 * GIB)
    assert [intent.volume for intent in bench.ledger.view().intents] == [_NEW]
    assert [disk.copied for disk in bench.ledger.restoring("web")] == [True]


def test_a_version_on_another_host_is_sent_through_the_controller(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shared=False).with_vm()
    put_version(bench.h2)

    done(bench.run_one(step("h2")))

    sent = io.BytesIO()
    bench.h1.download_volume(POOL, _NEW, sent, lambda _more: None)
    assert sent.getvalue()[32:] == _CONTENT[32:]


def test_what_was_changed_since_it_was_captured_is_not_given_to_the_vm(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shared=False).with_vm()
    put_version(bench.h2, _CONTENT[:-1] + b"!")

    outcome = bench.run_one(step("h2"))

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert "its content has changed" in outcome.message
    assert not any(disk.copied for disk in bench.ledger.restoring("web"))


def test_a_version_of_another_format_is_put_into_one_file_before_it_is_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shared=False).with_vm()
    put_version(bench.h2)
    raw = identity.disk_volume(FLEET, "web", "root", "raw", 1)

    done(bench.run_one(step("h2", format="raw", volume=raw)))

    assert bench.h1.volume(POOL, raw) is not None
    assert bench.h2.volume(POOL, raw) is None
    assert [intent.volume for intent in bench.ledger.view().intents] == [raw]


def test_a_chain_that_is_not_as_on_record_is_refused(bench: Bench) -> None:
    wanted = step()
    more = ChainLink(f"{FLEET}.golden.20251231t000000z.root.qcow2", 1, "")
    longer = replace(wanted, source=replace(wanted.source, chain=(*wanted.source.chain, more)))

    outcome = bench.run_one(longer)

    assert outcome.status == "refused"
    assert bench.h1.volume(POOL, _NEW) is None


def test_what_an_earlier_attempt_left_is_replaced_and_nothing_else(bench: Bench) -> None:
    bench.h1.create_volume(POOL, _NEW, format="qcow2", capacity=GIB)
    assert bench.run_one(step(replace_partial=True)).status == "refused"

    bench.ledger.begin_volume(POOL, _NEW, "h1")
    done(bench.run_one(step(replace_partial=True)))


def test_the_vm_gets_the_new_disk_and_the_old_one_is_kept(bench: Bench) -> None:
    done(bench.run_one(step()))
    done(bench.run_one(switch(bench)))

    domain = bench.h1.domain(identity.vm_uuid(FLEET, "web"))
    assert domain.config.disks[0].path == f"{TARGET}/{_NEW}"
    view = bench.ledger.view()
    assert [tombstone.volumes for tombstone in view.tombstones] == [((POOL, disk_volume("web")),)]
    assert view.disk_volumes == {("web", "root"): _NEW}
    assert (view.restores["web"].done, view.restores["web"].starts) == (f"1-{_VALUE}", True)
    assert (view.intents, view.restoring) == (frozenset(), {})


def test_switching_twice_changes_nothing(bench: Bench) -> None:
    done(bench.run_one(step()))
    wanted = switch(bench)
    done(bench.run_one(wanted))
    done(bench.run_one(wanted))

    assert len(bench.ledger.view().tombstones) == 1


def test_a_vm_that_runs_again_keeps_its_disks(bench: Bench) -> None:
    done(bench.run_one(step()))
    wanted = switch(bench)
    done(bench.run_one(StartDomain("web", identity.vm_uuid(FLEET, "web"))))

    assert bench.run_one(wanted).status == "refused"
    assert bench.ledger.view().tombstones == ()


def test_a_volume_that_is_not_known_to_be_whole_is_not_given_to_the_vm(bench: Bench) -> None:
    bench.h1.create_volume(POOL, _NEW, format="qcow2", capacity=GIB)

    assert bench.run_one(switch(bench)).status == "refused"


def test_the_old_disk_comes_back_and_is_no_tombstone_any_more(bench: Bench) -> None:
    done(bench.run_one(step()))
    done(bench.run_one(switch(bench)))
    back = switch(bench)
    old = (DiskConfig("vda", f"{TARGET}/{disk_volume('web')}", "qcow2"),)
    mark = back.config.mark
    assert mark is not None
    back = replace(
        back,
        config=replace(back.config, disks=old, mark=replace(mark, restore="2-x")),
        done="2-x",
        swaps=(DiskSwap("root", POOL, "h1", _NEW, disk_volume("web")),),
        made=False,
    )
    done(bench.run_one(back))

    assert [tombstone.volumes for tombstone in bench.ledger.view().tombstones] == [((POOL, _NEW),)]
