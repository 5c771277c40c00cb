"""A VM's disks are brought back to a version, once for each value that its spec says, and back again."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.ledger.restored_disks import unrecorded_restores, with_restores
from reconciler.model.identity import version_manifest
from reconciler.model.ledger import Failure, LedgerView
from reconciler.model.outcome import action_inputs
from reconciler.model.restores import RestoreDisk, SwitchDisks
from reconciler.model.steps import DefineDomain
from reconciler.model.version import ImageVersion, VersionDisk
from tests.support.apply_plan import apply_plan
from tests.support.fleets import FLEET, GIB, NOW, Story, image, observed_pool, pool, story, vm, volume

_STAMP = "20260101t000000z"
_ROOT, _RESTORED = f"{FLEET}.web.root.qcow2", f"{FLEET}.web.root.r1.qcow2"
_VERSION_DISK = f"{FLEET}.golden.{_STAMP}.root.qcow2"


def version(stamp: str = _STAMP, host: str | None = "h1", **fields: Any) -> ImageVersion:
    disks = (VersionDisk("root", f"{FLEET}.golden.{stamp}.root.qcow2", 10 * GIB, 1 << 20, "sha256:11"),)
    made = ImageVersion("golden", stamp, NOW - 11_520, "web", "uuid", "vms", host, "g0", "0", "quiesced", disks=disks)
    return replace(made, **fields)


def kept(before: Story, *versions: ImageVersion, on: str = "h1") -> Story:
    """The versions are on record, and their files there."""
    files = [volume(disk.volume, found.pool) for found in versions for disk in found.disks]
    files += [volume(version_manifest(FLEET, found.image, found.stamp), found.pool) for found in versions]
    there = before.inventory.hosts[on].pools[versions[0].pool]
    volumes = {**(there.volumes or {}), **{file.name: file for file in files}}
    return before.with_pool(replace(there, volumes=volumes), on).with_ledger(versions={"golden": versions})


def running(**spec: Any) -> Story:
    return story(vm(**spec), hosts=1).converged()


def asked(before: Story, **restore: Any) -> Story:
    return before.with_specs(vm(restore=restore), without=["VirtualMachine/web"])


def restored() -> Story:
    return asked(kept(running(), version()), image="golden").converged()


def disk_of(found: Story) -> str:
    return found.domain().config.disks[0].path.rpartition("/")[2]


def test_the_new_disk_is_made_while_the_guest_runs_and_is_taken_while_it_is_off() -> None:
    plan = asked(kept(running(), version()), image="golden").plan()

    assert [action.kind for action in plan.actions] == ["restore-disk", "stop-domain", "switch-disks", "start-domain"]
    assert [len(action.after) for action in plan.actions] == [0, 1, 1, 1]


def test_the_plan_says_what_is_lost_and_for_how_long_it_is_kept() -> None:
    switch = asked(kept(running(), version()), image="golden").action("switch-disks")

    assert switch.disruption == "rebuild"
    assert "golden@2026-01-01T00:00Z: what was written in the last 3 h 12 min is lost" in switch.detail
    assert "what it has now is kept for 7d" in switch.detail


def test_afterwards_it_is_the_same_vm_with_another_disk_and_nothing_is_left_to_do() -> None:
    before = running()
    after = asked(kept(before, version()), image="golden").converged()

    assert disk_of(after) == _RESTORED
    assert after.domain().state == "running"
    assert after.domain().config.nics == before.domain().config.nics
    assert after.domain().config.disks[0].target == before.domain().config.disks[0].target
    assert after.plan().empty


def test_the_replaced_disk_is_kept_as_a_tombstone() -> None:
    (tombstone,) = restored().ledger.tombstones

    assert (tombstone.kind, tombstone.volumes) == ("replaced", (("vms", _ROOT),))
    assert tombstone.expires_at == NOW + 7 * 86_400


def test_the_same_value_is_never_done_again_whatever_is_captured_since() -> None:
    later = kept(restored(), version(), version("20260102t000000z", taken_at=NOW))

    assert later.plan().empty


def test_a_lost_ledger_never_restores_again() -> None:
    lost = replace(restored(), ledger=LedgerView(hosts_read=frozenset({"h1"}), versions={"golden": (version(),)}))

    assert "restore-disk" not in lost.noticed().kinds()
    assert disk_of(lost.noticed().converged()) == _RESTORED


def test_a_lost_ledger_learns_from_the_definition_which_disk_the_vm_has_and_what_was_done() -> None:
    after = restored()
    found = unrecorded_restores(LedgerView(), after.inventory, FLEET, NOW)
    learned = with_restores(LedgerView(), found)

    assert learned.disk_volumes == {("web", "root"): _RESTORED}
    assert learned.restores["web"].done == after.ledger.restores["web"].done


def test_a_vm_that_was_removed_and_is_back_is_not_restored_again_by_a_lost_ledger() -> None:
    gone = restored().with_specs(without=["VirtualMachine/web"]).converged()
    back = gone.with_specs(vm(restore={"image": "golden"})).converged()
    lost = replace(back, ledger=LedgerView(hosts_read=frozenset({"h1"}), versions={"golden": (version(),)}))

    assert disk_of(back) == _RESTORED
    assert lost.noticed().kinds() == []


def test_a_vm_that_is_recovered_elsewhere_says_there_which_restore_was_done() -> None:
    there = kept(story(vm(), hosts=2, shared=True).converged(), version(host=None))
    after = asked(there, image="golden").converged()
    mark = after.domain().config.mark

    define = after.lost("h1").proven("h1").action("define-domain").step

    assert isinstance(define, DefineDomain)
    assert define.config.mark is not None
    assert mark is not None
    assert define.config.mark.restore == mark.restore != ""


def test_what_was_read_before_the_restore_teaches_nothing() -> None:
    before, after = asked(kept(running(), version()), image="golden"), restored()

    assert unrecorded_restores(after.ledger, before.inventory, FLEET, NOW) == ()
    assert "restore-disk" not in replace(after, inventory=before.inventory).kinds()


def test_another_value_is_another_restore() -> None:
    again = asked(restored(), image="golden", again=1)

    assert disk_of(again.converged()) == f"{FLEET}.web.root.r2.qcow2"


def test_it_is_undone_by_its_tombstone_and_that_is_undone_by_the_next() -> None:
    undone = asked(restored(), tombstone="latest").converged()
    assert disk_of(undone) == _ROOT
    assert [kept_.volumes for kept_ in undone.ledger.tombstones] == [(("vms", _RESTORED),)]

    redone = asked(undone, tombstone="latest", again=1).converged()
    assert disk_of(redone) == _RESTORED


def test_undoing_it_copies_nothing() -> None:
    kinds = asked(restored(), tombstone="latest").kinds()

    assert kinds == ["stop-domain", "switch-disks", "start-domain"]


def test_a_version_on_another_host_comes_through_the_controller() -> None:
    two = story(vm(placement={"hosts": ["h1"]}), pool("backups"), hosts=2).converged()
    two = two.with_pool(observed_pool("backups"), "h2")
    there = kept(two, version(host="h2", pool="backups"), on="h2")
    step = (
        there.with_specs(vm(placement={"hosts": ["h1"]}, restore={"image": "golden"}), without=["VirtualMachine/web"])
        .action("restore-disk")
        .step
    )

    assert isinstance(step, RestoreDisk)
    assert step.streamed
    assert step.source.host == "h2"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backing_path": "/etc/shadow"}, "stands on /etc/shadow, not on nothing"),
        ({"format": "raw"}, "is raw"),
        ({"backing_path": f"/srv/vms/{_ROOT}"}, "not on nothing"),
    ],
)
def test_a_version_that_is_not_as_on_record_is_not_read(changes: dict[str, Any], said: str) -> None:
    tampered = kept(running(), version()).with_volumes(volume(_VERSION_DISK, **changes))
    found = asked(tampered, image="golden")

    assert said in found.unmet()["restore-waits"].detail
    assert found.plan().empty


def test_what_has_lost_its_manifest_is_no_version() -> None:
    manifest = version_manifest(FLEET, "golden", _STAMP)
    found = asked(kept(running(), version()).with_volumes(without=[manifest]), image="golden")

    assert f"its manifest {manifest} is gone" in found.unmet()["restore-waits"].detail


def test_a_difference_is_restored_with_all_that_it_stands_on() -> None:
    low, high = version(), version("20260102t000000z")
    high = replace(high, parent=_STAMP, disks=(replace(high.disks[0], parent_volume=_VERSION_DISK),))
    files = kept(running(), low, high)
    broken = asked(files, image="golden")
    sound = asked(
        files.with_volumes(volume(high.disks[0].volume, backing_path=f"/srv/vms/{_VERSION_DISK}")), image="golden"
    )

    assert "stands on nothing" in broken.unmet()["restore-waits"].detail
    step = sound.action("restore-disk").step
    assert isinstance(step, RestoreDisk)
    assert [link.volume for link in step.source.chain] == [high.disks[0].volume, _VERSION_DISK]


@pytest.mark.parametrize(
    ("restore", "said"),
    [
        ({"image": "other"}, "there is no version of Image/other"),
        ({"image": "golden", "version": "2025-01-01T00:00Z"}, "there is no version golden@2025-01-01T00:00Z"),
        ({"tombstone": "latest"}, "no disk of it that was replaced is kept"),
    ],
)
def test_what_is_not_there_is_told_and_the_vm_stays_as_it_is(restore: dict[str, Any], said: str) -> None:
    found = asked(kept(running(), version()), **restore)

    assert said in found.unmet()["restore-waits"].detail
    assert found.plan().empty


def test_a_vm_that_is_off_and_stays_off_is_restored_without_being_started() -> None:
    off = kept(story(vm(runStrategy="Halted"), hosts=1).converged(), version())
    found = off.with_specs(vm(runStrategy="Halted", restore={"image": "golden"}), without=["VirtualMachine/web"])

    assert found.kinds() == ["restore-disk", "switch-disks"]


def test_what_ran_runs_again_where_the_switch_fails() -> None:
    found = asked(kept(running(), version()), image="golden")
    switch = found.action("switch-disks")
    domain = replace(found.domain(), state="shutoff", live=None, reason="shutdown")
    failure = Failure(switch.id, 1, "no", permanent=False, not_before=NOW + 60, inputs=action_inputs(switch))
    stopped = found.with_domain(domain).with_ledger(failures={switch.id: failure})

    assert stopped.kinds() == ["start-domain"]
    assert "the VM is as it was" in stopped.unmet()["restore-waits"].detail


def test_what_was_made_for_a_restore_that_is_not_wanted_any_more_goes() -> None:
    begun = asked(kept(running(), version()), image="golden")
    plan = begun.plan()
    only_copied = replace(plan, actions=plan.actions[:1])
    inventory, ledger = apply_plan(begun.inventory, begun.ledger, only_copied, begun.specs, NOW)
    copied = replace(begun, inventory=inventory, ledger=ledger)
    assert copied.kinds() == ["stop-domain", "switch-disks", "start-domain"]

    dropped = copied.with_specs(vm(), without=["VirtualMachine/web"])
    assert [action.id for action in dropped.plan().actions] == [f"delete-volume:StoragePool/vms:{_RESTORED}@h1"]


def test_the_mark_says_the_restore_that_was_done_and_keeps_it() -> None:
    after = restored()
    switch = asked(kept(running(), version()), image="golden").action("switch-disks").step
    assert isinstance(switch, SwitchDisks)
    changed = after.with_specs(vm(memory="2GiB"), without=["VirtualMachine/web"]).converged()

    found = changed.domain().config.mark
    assert found is not None
    assert found.restore == switch.done


def from_version(**disk: Any) -> Story:
    """A new VM whose disk is to start as a version."""
    full = {"name": "root", "pool": "vms", "image": "golden@latest", **disk}
    bare = story(vm("clone", disks=[full], placement={"hosts": ["h1"]}), pool(), hosts=1)
    return kept(
        bare.with_pool(observed_pool()).with_specs(image("golden", source={"vm": "web"}, pool="vms")), version()
    )


def test_a_disk_of_a_new_vm_is_a_copy_of_the_version_and_stays_what_it_is() -> None:
    made = from_version().converged()
    later = kept(made, version(), version("20260102t000000z", taken_at=NOW))

    assert made.domain("clone").config.disks[0].path == f"/srv/vms/{FLEET}.clone.root.qcow2"
    assert later.plan().empty


def test_the_only_disk_of_a_version_is_meant_whatever_it_is_called_unless_another_is_named() -> None:
    only = from_version(name="system")
    wrong = from_version(imageDisk="data")

    assert "restore-disk" in only.kinds()
    assert "has no disk data (it has root)" in wrong.unmet("VirtualMachine/clone")["image-unavailable"].detail


def test_local_disks_that_died_with_their_host_are_made_from_the_newest_version_that_can_be_read() -> None:
    spec = vm(ha={"onHostLoss": "rebuild"}, placement={})
    two = story(spec, pool("backups"), hosts=2).converged()
    home = next(name for name, host in two.inventory.hosts.items() if "web" in host.domains)
    other = "h2" if home == "h1" else "h1"
    unreadable = version("20260103t000000z", host=home, pool="backups", taken_at=NOW)
    two = two.with_pool(observed_pool("backups"), other)
    there = kept(two, version(host=other, pool="backups"), on=other)
    there = there.with_ledger(versions={"golden": (version(host=other, pool="backups"), unreadable)})
    action = there.lost(home).proven(home).action("restore-disk")

    assert "golden@2026-01-01T00:00Z, 3 h 12 min old" in action.detail
    assert (action.host, action.disruption) == (other, "data-loss")
    assert action.changes[0].new == "golden@2026-01-01T00:00Z, 3 h 12 min old"
