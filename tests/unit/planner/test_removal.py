"""What left the specs: VMs go, their disks stay unless asked otherwise, and nothing that may be in use is deleted."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.domain import DeletionPolicy
from reconciler.model.ledger import DoomedVolume, Failure, RemovedVm, VolumeIntent
from reconciler.model.outcome import action_inputs
from tests.support.fleets import (
    DIGEST,
    NOW,
    Story,
    facts,
    image,
    observed,
    observed_pool,
    ref,
    story,
    stranger,
    vm,
    volume,
)

WEB = "VirtualMachine/web"
ROOT = "prod.web.root.qcow2"
BASE = f"prod.base-{DIGEST[7:39]}.qcow2"
OLD_BASE = f"prod.base-{'0' * 32}.qcow2"
PROBLEM = SpecProblem(SourceRef("x.yaml", 1), "S001", "VirtualMachine/other", "", "not YAML")


def removed(*, shared: bool = False, **spec: Any) -> Story:
    """`web` ran on h1, and its spec is gone."""
    return story(vm(**spec), shared=shared).converged().with_specs(without=[WEB])


def deleted(fleet: Story) -> list[str]:
    return [action.id.split(":")[2].split("@")[0] for action in fleet.plan().actions if action.kind == "delete-volume"]


def with_volumes(fleet: Story, *names: str) -> Story:
    return fleet.with_volumes(*(volume(name) for name in names))


# -- VMs ---------------------------------------------------------------------------------------------------------------
def test_a_removed_vm_is_stopped_and_undefined_and_its_disks_are_kept() -> None:
    fleet = removed()

    assert fleet.kinds() == ["stop-domain", "undefine-domain"]
    assert fleet.plan().worst == "destroy"
    assert ROOT in (fleet.converged().inventory.hosts["h1"].pools["vms"].volumes or {})


def test_with_deletion_policy_delete_the_disks_go_after_the_domain() -> None:
    fleet = removed(deletionPolicy="delete")

    assert fleet.kinds() == ["stop-domain", "undefine-domain", "delete-volume"]
    assert fleet.plan().worst == "data-loss"
    assert fleet.action("delete-volume").after == ("undefine-domain:VirtualMachine/web@h1",)


def last_said(fleet: Story, policy: DeletionPolicy | None) -> Story:
    """The specs last said so of `web`, whatever its mark says."""
    placements = {"web": replace(fleet.ledger.placements["web"], deletion_policy=policy)}
    return fleet.with_ledger(placements=placements)


def test_disks_stay_where_the_specs_last_said_so_though_the_mark_is_of_before() -> None:
    fleet = last_said(removed(deletionPolicy="delete"), "retain")

    assert fleet.kinds() == ["stop-domain", "undefine-domain"]
    assert fleet.action("undefine-domain").disruption == "destroy"


def test_disks_stay_where_the_mark_says_so_though_the_specs_last_said_otherwise() -> None:
    fleet = last_said(removed(deletionPolicy="retain"), "delete")

    assert deleted(fleet) == []


def test_with_a_new_ledger_the_mark_decides() -> None:
    fleet = last_said(removed(deletionPolicy="delete"), None)

    assert deleted(fleet) == [ROOT]


def test_with_a_new_ledger_no_disk_goes_with_a_copy_whose_host_was_lost() -> None:
    fleet = last_said(removed(deletionPolicy="delete"), None)
    back = fleet.lost("h1").returned(fleet, "h1")

    assert back.kinds() == ["stop-domain", "undefine-domain"]


def test_disks_stay_with_an_old_copy_that_is_found_after_the_vm_was_removed_from_another_host() -> None:
    fleet = removed(deletionPolicy="delete")
    elsewhere = RemovedVm("web", "h2", 2, "delete")

    old = fleet.with_ledger(placements={}, removed={"web": elsewhere})

    assert old.kinds() == ["stop-domain", "undefine-domain"]


def test_the_seed_of_a_removed_vm_stays_while_a_clone_of_it_refers_to_it() -> None:
    before = story(vm(cloudInit={"userData": "#cloud-config\n"})).converged()
    clone = replace(before.domain(), name="web-clone", uuid="0000-clone")
    moment = before.with_domain(clone).with_specs(without=["VirtualMachine/web"])

    assert moment.kinds("VirtualMachine/web") == ["stop-domain", "undefine-domain"]


def test_all_old_copies_of_a_removed_vm_go_and_what_they_leave_is_kept_for_its_time() -> None:
    fleet = removed(shared=True, deletionPolicy="delete", cloudInit={"userData": "#cloud-config\n"})
    doubled = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None), on="h2")
    old = doubled.with_ledger(placements={}, removed={"web": RemovedVm("web", "h2", 7, "delete")})

    assert {(action.kind, action.host) for action in old.plan().actions} == {
        ("stop-domain", "h1"),
        ("undefine-domain", "h1"),
        ("undefine-domain", "h2"),
    }
    assert deleted(old.applied()) == []


def test_the_seed_of_a_removed_vm_stays_with_its_disks() -> None:
    fleet = removed(cloudInit={"userData": "#cloud-config\n"}).converged()

    kept = [name.rpartition(".")[2] for _pool, name in fleet.ledger.tombstones[0].volumes]
    assert kept == ["qcow2", "iso"]


def test_a_transient_vm_that_was_removed_is_only_stopped() -> None:
    fleet = removed()
    transient = fleet.with_domain(replace(fleet.domain(), persistent=False))

    assert transient.kinds() == ["stop-domain"]


def test_a_removed_vm_that_is_protected_stays_and_says_so() -> None:
    fleet = story(vm(annotations={"reconciler/prune": "disabled"})).converged().with_specs(without=[WEB])

    assert fleet.plan().empty
    assert "prune-disabled" in fleet.unmet()


def test_while_the_specs_are_uncertain_nothing_is_removed() -> None:
    held = with_volumes(removed(), OLD_BASE).with_specs(removal_hold="the directory is empty")

    assert held.plan().empty
    assert "the directory is empty" in held.unmet()["removal-held"].detail


def test_a_removed_vm_that_is_held_stays() -> None:
    assert "paused" in removed().with_ledger(paused=frozenset({WEB})).unmet()


def test_a_copy_under_another_name_is_never_removed_with_its_original() -> None:
    fleet = removed(deletionPolicy="delete")
    clone = replace(fleet.domain().config, name="web-clone", uuid="another", disks=())
    cloned = fleet.with_domain(observed(clone))

    assert cloned.kinds() == ["stop-domain", "undefine-domain", "delete-volume"]
    assert "web-clone on h1 carries the mark" in cloned.unmet()["conflict"].detail
    assert cloned.converged().domain("web-clone").active


def test_of_two_copies_none_is_removed() -> None:
    fleet = removed(shared=True, deletionPolicy="delete")
    doubled = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None), on="h2")

    assert doubled.plan().empty
    assert "copies on h1 and h2" in doubled.unmet()["removal-held"].detail


def test_an_idle_copy_is_not_removed_while_the_true_one_may_run_out_of_sight() -> None:
    fleet = removed(shared=True, deletionPolicy="delete")
    idle = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None)).placed("web", "h2", 2)

    assert idle.losing_sight_of("h2").plan().empty
    assert "may run there" in idle.losing_sight_of("h2").unmet()["removal-held"].detail


def test_a_removed_vm_on_a_host_out_of_sight_is_said() -> None:
    fleet = removed().losing_sight_of("h1")

    assert "h1, which it was placed on, can't be read" in fleet.unmet()["host-unread"].detail


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (lambda f: f.losing_sight_of("h2"), "h2 can't be read and may use its disks"),
        (lambda f: f.with_pool(observed_pool(volumes=None)), "could not be read"),
        (lambda f: f.with_specs(without=["StoragePool/vms"]), "is in no pool of the specs"),
        (
            lambda f: f.with_domain(stranger("thief", f.domain().config, disks=f.domain().config.disks), on="h2"),
            "domain thief on h2 refers to its disk",
        ),
        (
            lambda f: f.with_volumes(volume("theirs.qcow2", backing_path=f"/srv/vms/{ROOT}")),
            "is the base of theirs.qcow2",
        ),
    ],
)
def test_disks_that_may_be_in_use_or_lost_track_of_hold_up_their_removal(trouble: Any, words: str) -> None:
    fleet = trouble(removed(shared=True, deletionPolicy="delete"))

    assert fleet.kinds(WEB) == []
    assert words in fleet.unmet()["removal-held"].detail


def test_a_removal_that_was_cut_off_after_the_domain_is_finished() -> None:
    fleet = removed(deletionPolicy="delete").without_domain().with_ledger(placements={})
    cut_off = fleet.with_ledger(doomed=frozenset({DoomedVolume("web", "vms", ROOT, "h1")}))

    assert fleet.plan().empty
    assert [action.id for action in cut_off.plan().actions] == [f"delete-volume:{WEB}:{ROOT}@h1"]
    assert cut_off.plan().worst == "data-loss"


def test_a_vm_that_is_back_in_the_specs_keeps_its_doomed_disks() -> None:
    fleet = removed(deletionPolicy="delete").without_domain().with_ledger(placements={})
    back = fleet.with_ledger(doomed=frozenset({DoomedVolume("web", "vms", ROOT, "h1")})).with_specs(vm())

    assert deleted(back) == []


# -- volumes -----------------------------------------------------------------------------------------------------------
def test_a_base_that_no_image_names_and_nothing_uses_goes_its_mark_first() -> None:
    fleet = with_volumes(story(hosts=1).converged(), OLD_BASE, f"{OLD_BASE}.complete")

    assert deleted(fleet) == [f"{OLD_BASE}.complete", OLD_BASE]
    assert fleet.converged().plan().empty


def test_a_base_with_overlays_stays() -> None:
    fleet = with_volumes(story(hosts=1).converged(), OLD_BASE)
    used = fleet.with_volumes(volume("prod.old.root.qcow2", backing_path=f"/srv/vms/{OLD_BASE}"))

    assert deleted(used) == []


def test_a_base_that_a_domain_refers_to_stays() -> None:
    fleet = with_volumes(story(vm(), hosts=1).converged(), OLD_BASE)
    disk = replace(fleet.domain().config.disks[0], path=f"/srv/vms/{OLD_BASE}")

    assert deleted(fleet.with_domain(stranger("theirs", fleet.domain().config, disks=(disk,)))) == []


def test_a_base_of_an_image_of_the_specs_stays_though_nothing_uses_it() -> None:
    assert deleted(removed().converged()) == []


def test_while_an_images_content_is_not_known_no_base_is_deleted() -> None:
    fleet = with_volumes(story(hosts=1).converged(), OLD_BASE)

    assert deleted(fleet.with_image(facts(digest=None, error="no such file"))) == []


def test_while_a_host_of_a_shared_pool_is_out_of_sight_nothing_of_it_is_deleted() -> None:
    fleet = with_volumes(story(shared=True).converged(), OLD_BASE)

    assert deleted(fleet) == [OLD_BASE]
    assert deleted(fleet.losing_sight_of("h2")) == []


def test_while_any_spec_is_unusable_no_volume_is_collected() -> None:
    fleet = with_volumes(story(hosts=1).converged(), OLD_BASE)

    assert deleted(fleet.with_specs(unusable={ref("VirtualMachine/other"): PROBLEM})) == []


def test_a_base_is_not_deleted_while_an_upload_is_under_way() -> None:
    fleet = with_volumes(story(hosts=1).converged(), OLD_BASE)

    assert deleted(fleet.with_ledger(in_flight=frozenset({"Image/debian"}))) == []


def test_nothing_is_collected_in_a_pool_that_is_held() -> None:
    fleet = with_volumes(story(hosts=1).converged(), OLD_BASE)

    assert deleted(fleet.with_ledger(paused=frozenset({"StoragePool/vms"}))) == []


def test_volumes_that_are_not_ours_are_never_collected() -> None:
    names = ["base-1.qcow2", f"test.base-{'0' * 32}.qcow2", "prod.qcow2", "prod.base-short.qcow2"]

    assert deleted(with_volumes(story(hosts=1).converged(), *names)) == []


def test_the_retained_disk_of_a_vm_that_is_called_like_a_base_is_no_base() -> None:
    fleet = with_volumes(story(hosts=1).converged(), "prod.base-web.root.qcow2", f"prod.base-{'0' * 32}.root.qcow2")

    assert deleted(fleet) == []


def test_what_was_begun_for_a_vm_that_left_the_specs_is_cleared_away() -> None:
    fleet = with_volumes(story(hosts=1).converged(), ROOT)
    begun = fleet.with_ledger(intents=frozenset({VolumeIntent("vms", ROOT, "h1")}))

    assert deleted(fleet) == []
    assert deleted(begun) == [ROOT]


def test_a_seed_that_was_written_for_a_vm_not_yet_defined_stays() -> None:
    fleet = story(vm(cloudInit={"userData": "#cloud-config\n"}), image(), hosts=1).converged()
    undefined = fleet.without_domain()

    assert deleted(undefined) == []
    assert "write-seed" not in undefined.kinds()


def test_a_new_seed_that_waits_for_its_redefinition_is_not_cleared_away() -> None:
    first, second = ({"userData": f"#cloud-config\n# {n}\n", "onChange": "reseed"} for n in (1, 2))
    changed = story(vm(cloudInit=first), hosts=1).converged().with_specs(vm(cloudInit=second))
    redefine = changed.action("redefine-domain")
    failure = Failure(redefine.id, 1, "busy", permanent=False, not_before=NOW + 5, inputs=action_inputs(redefine))

    waiting = changed.with_ledger(failures={failure.key: failure}).applied()

    assert waiting.plan().empty


def test_no_seed_is_written_for_a_vm_whose_disks_can_not_be_had() -> None:
    first, second = ({"userData": f"#cloud-config\n# {n}\n", "onChange": "reseed"} for n in (1, 2))
    fleet = story(vm(cloudInit=first), hosts=1).converged().with_volumes(without=[ROOT])

    assert fleet.with_specs(vm(cloudInit=second)).kinds(WEB) == []


def test_what_is_off_stays_while_it_may_run_on_a_host_that_was_never_seen() -> None:
    there = removed()
    idle = there.with_domain(replace(there.domain(), state="shutoff", live=None))

    fresh = idle.losing_sight_of("h2").with_ledger(placements={}, hosts_read=frozenset())

    assert fresh.kinds(WEB) == []
    assert "h2 was never read" in fresh.unmet(WEB)["removal-held"].detail
