"""Which rule decides a VM: two copies, impostors, strangers, hosts out of sight, stale copies, there, nowhere."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.ledger import Failure
from reconciler.model.steps import DefineDomain
from reconciler.planner.fleet_status import fleet_status
from tests.support.fleets import (
    Story,
    host,
    mark,
    observed,
    ref,
    story,
    stranger,
    vm,
)


def running(**spec: Any) -> Story:
    """`web` runs on h1 of two hosts, on shared storage."""
    return story(vm(**spec), shared=True).converged()


def test_a_new_vm_gets_its_disk_its_definition_and_a_start_in_this_order() -> None:
    fleet = story(vm())

    kinds = fleet.kinds("VirtualMachine/web")

    assert kinds == ["create-volume", "define-domain", "start-domain"]


def test_once_applied_nothing_is_left_to_do() -> None:
    fleet = running()

    plan = fleet.plan()

    assert plan.empty
    assert plan.unmet == ()


def test_two_copies_are_a_conflict_and_neither_is_touched() -> None:
    fleet = running()
    fleet = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None), on="h2")

    conflict = fleet.unmet()["conflict"]

    assert fleet.plan().empty
    assert conflict.severity == "blocked"
    assert "h1 (epoch 1, running), h2 (epoch 1, shutoff)" in conflict.detail
    assert "h2.example/system undefine web" in conflict.hint


def test_of_two_copies_the_one_that_is_off_is_said_to_be_stale_whatever_its_epoch() -> None:
    fleet = running()
    mark = replace(fleet.domain().config.mark, epoch=3)  # type: ignore[type-var]
    of_before = replace(fleet.domain(), state="shutoff", live=None, config=replace(fleet.domain().config, mark=mark))
    both = fleet.with_domain(of_before, on="h2").noticed()

    assert both.plan().empty
    assert "h2.example/system undefine web" in both.unmet()["conflict"].hint


def test_a_clone_with_our_mark_is_reported_and_the_true_copy_is_converged_all_the_same() -> None:
    fleet = running()
    clone = replace(fleet.domain().config, name="web-clone", uuid="another", disks=(), nics=())
    fleet = fleet.with_domain(observed(clone)).edited(memory=1 << 29)

    plan = fleet.plan()

    assert [action.kind for action in plan.actions] == ["redefine-domain"]
    assert "web-clone on h1 carries this VM's mark" in fleet.unmet()["conflict"].detail


def test_a_renamed_domain_with_our_uuid_is_never_given_a_second_copy() -> None:
    fleet = running()
    renamed = replace(fleet.domain().config, name="web-old")
    fleet = fleet.without_domain().with_domain(observed(renamed))

    assert fleet.plan().empty
    assert "web-old on h1" in fleet.unmet()["conflict"].detail


def test_a_renamed_domain_that_lost_its_mark_is_a_conflict_by_its_uuid() -> None:
    fleet = running()
    renamed = replace(fleet.domain().config, name="web-old", mark=None)
    fleet = fleet.without_domain().with_domain(observed(renamed))

    conflict = fleet.unmet()["conflict"]

    assert fleet.plan().empty
    assert "domain web-old on h1 has this VM's UUID" in conflict.detail
    assert "domrename" not in conflict.hint
    assert "undefine web-old" in conflict.hint


def test_a_domain_that_lost_its_mark_is_told_as_that_with_a_way_back_that_works() -> None:
    fleet = running()
    without = replace(fleet.domain().config, mark=None)
    fleet = fleet.without_domain().with_domain(observed(without))
    conflict = fleet.unmet()["conflict"]

    assert "is this VM without its mark" in conflict.detail
    assert "domrename" not in conflict.hint
    assert "shutdown web, then: virsh -c" in conflict.hint
    assert conflict.hint.endswith("undefine web; to leave it so, take it out of the specs")
    assert "create-volume" not in fleet.without_domain().kinds()
    assert "define-domain" in fleet.without_domain().kinds()


def test_an_unmanaged_domain_of_the_same_name_is_a_conflict_and_left_alone() -> None:
    fleet = running()
    fleet = fleet.without_domain().with_domain(stranger("web", fleet.domain().config), on="h2")

    conflict = fleet.unmet()["conflict"]

    assert fleet.plan().empty
    assert conflict.severity == "blocked"
    assert "an unmanaged domain of this name is on h2" in conflict.detail


def test_beside_a_managed_copy_a_stranger_of_the_same_name_is_only_mentioned() -> None:
    fleet = running()
    fleet = fleet.with_domain(stranger("web", fleet.domain().config), on="h2")

    assert fleet.plan().empty
    assert fleet.unmet()["conflict"].severity == "info"


def test_a_domain_of_another_fleet_is_a_stranger() -> None:
    fleet = running()
    other = replace(fleet.domain().config, mark=mark(fleet="test"), uuid="another")
    fleet = fleet.without_domain().with_domain(observed(other))

    conflict = fleet.unmet()["conflict"]

    assert fleet.plan().empty
    assert "is managed as fleet test's, and this is fleet prod" in conflict.detail
    assert "write fleet: test into the configuration" in conflict.hint
    assert "domrename" not in conflict.hint


def test_a_domain_that_uses_a_vms_disk_keeps_the_vm_from_being_made_on_it() -> None:
    fleet = running()
    thief = stranger("thief", fleet.domain().config, disks=fleet.domain().config.disks)
    fleet = fleet.without_domain().with_domain(thief, on="h2")

    assert fleet.plan().empty
    assert "domain thief on h2 has disk root" in fleet.unmet()["conflict"].detail


def test_a_domain_that_uses_a_vms_disk_keeps_the_vm_from_being_started() -> None:
    fleet = running()
    thief = stranger("thief", fleet.domain().config, disks=fleet.domain().config.disks)
    fleet = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None)).with_domain(thief, on="h2")

    assert fleet.plan().empty
    assert "two writers" in fleet.unmet()["conflict"].detail


def test_a_foreign_domain_with_the_same_mac_is_mentioned() -> None:
    fleet = running()
    twin = stranger("twin", fleet.domain().config, nics=fleet.domain().config.nics)

    mention = fleet.with_domain(twin).unmet()["conflict"]

    assert mention.severity == "info"
    assert fleet.domain().config.nics[0].mac in mention.detail


def test_a_vm_whose_host_can_not_be_read_is_not_made_elsewhere() -> None:
    fleet = running().losing_sight_of("h1")

    plan = fleet.plan()

    assert plan.empty
    assert plan.unseen == ("h1",)
    assert "h1 can't be read" in fleet.unmet()["host-unread"].detail


def test_a_vm_whose_host_was_taken_over_by_another_machine_is_told_so() -> None:
    """The host answers, so that it can't be read would send people to the network."""
    fleet = running().in_state("h1", "quarantined")

    plan = fleet.plan()

    assert plan.empty
    assert "h1 is another machine now, so the VM is neither known to run" in fleet.unmet()["host-unread"].detail


def test_a_vm_whose_host_left_the_specs_is_not_made_elsewhere() -> None:
    fleet = running().with_specs(without=["Host/h1"])

    assert fleet.kinds("VirtualMachine/web") == []
    assert "no longer in the specs" in fleet.unmet()["host-unread"].detail


def test_a_vm_whose_hosts_spec_is_broken_is_not_made_elsewhere() -> None:
    problem = SpecProblem(SourceRef("h1.yaml", 3), "S001", "Host/h1", "spec.uri", "wrong")
    fleet = running().with_specs(without=["Host/h1"], unusable={ref("Host/h1"): problem})

    assert fleet.kinds("VirtualMachine/web") == []
    assert "whose spec can't be used" in fleet.unmet()["host-unread"].detail


def test_with_a_fresh_ledger_a_host_never_read_might_be_running_the_vm() -> None:
    fleet = story(vm()).losing_sight_of("h2").with_ledger(hosts_read=frozenset())

    assert fleet.kinds("VirtualMachine/web") == []
    assert "h2 was never read" in fleet.unmet()["fleet-not-seen"].detail


def test_with_a_fresh_ledger_a_host_whose_spec_is_broken_might_be_running_the_vm() -> None:
    problem = SpecProblem(SourceRef("h9.yaml", 3), "S001", "Host/h9", "spec.uri", "wrong")
    fleet = story(vm()).with_specs(unusable={ref("Host/h9"): problem})

    assert fleet.kinds("VirtualMachine/web") == []
    assert "h9" in fleet.unmet()["fleet-not-seen"].detail


def test_a_new_vm_is_made_while_a_host_known_from_before_is_down() -> None:
    fleet = story(vm()).losing_sight_of("h2")

    assert fleet.action("define-domain").host == "h1"


def test_an_idle_copy_is_not_started_while_the_host_of_the_true_one_is_out_of_sight() -> None:
    """`virsh migrate` without --undefinesource leaves an idle definition behind."""
    fleet = running()
    fleet = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None)).placed("web", "h2", 2)

    lost = fleet.losing_sight_of("h2")

    assert lost.plan().empty
    assert "the copy on h1 is off and stays so" in lost.unmet()["host-unread"].detail


def test_with_a_fresh_ledger_an_idle_copy_is_not_started_while_a_host_was_never_read() -> None:
    fleet = running()
    idle = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))

    lost = idle.losing_sight_of("h2").with_ledger(placements={}, hosts_read=frozenset())

    assert lost.plan().empty
    assert "fleet-not-seen" in lost.unmet()


def test_a_copy_that_runs_in_sight_is_converged_whoever_else_is_out_of_sight() -> None:
    fleet = running().placed("web", "h2").losing_sight_of("h2").edited(memory=1 << 29).noticed()

    assert fleet.kinds() == ["redefine-domain"]


def test_a_vm_that_is_gone_from_its_host_may_have_been_moved_to_one_out_of_sight() -> None:
    fleet = running().without_domain().losing_sight_of("h2")

    assert fleet.plan().empty
    assert "somebody may have moved it to h2" in fleet.unmet()["host-unread"].detail


def test_a_vm_that_was_surely_never_defined_does_not_wait_for_hosts_out_of_sight() -> None:
    fleet = story(vm(), hosts=3).losing_sight_of("h2").placed("web", "h1")
    failure = Failure("define-domain:VirtualMachine/web@h1", 1, "busy", permanent=False, not_before=0.0, inputs="x")

    retried = fleet.with_ledger(failures={failure.key: failure})

    assert retried.action("define-domain").host == "h1"


def test_a_stale_copy_is_never_started() -> None:
    fleet = running()
    stale = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None)).placed("web", "h2", 2)

    assert stale.plan().empty
    assert "the copy on h1 (epoch 1, shutoff) is stale" in stale.unmet()["conflict"].detail


def test_a_vm_that_may_be_on_its_recorded_host_too_is_left_alone() -> None:
    fleet = running()
    unmarked = replace(fleet.domain(), config=replace(fleet.domain().config, mark=None))
    both = fleet.with_domain(unmarked).with_domain(fleet.domain(), on="h2").edited(on="h2", memory=1 << 29).noticed()

    assert both.plan().empty
    assert "the VM was placed on h1" in both.unmet()["conflict"].detail


def test_a_vm_undefined_while_off_is_made_again_on_its_host_with_the_same_epoch() -> None:
    fleet = running().without_domain()

    define = fleet.action("define-domain")

    assert isinstance(define.step, DefineDomain)
    assert (define.host, define.why) == ("h1", "drift")
    assert define.step.config.mark is not None
    assert define.step.config.mark.epoch == 1


def test_the_epoch_grows_when_a_vm_is_made_on_another_host() -> None:
    fleet = running().without_domain().with_specs(host("h1", state="cordoned"))

    define = fleet.action("define-domain")

    assert isinstance(define.step, DefineDomain)
    assert define.host == "h2"
    assert define.step.config.mark is not None
    assert define.step.config.mark.epoch == 2


def test_a_vm_whose_local_disks_are_on_its_old_host_is_not_made_elsewhere() -> None:
    fleet = story(vm()).converged().without_domain().with_specs(host("h1", state="cordoned"))

    rejections = dict(fleet.unmet()["no-host-fits"].per_host)

    assert rejections == {"h1": "cordoned", "h2": "its disks are on h1"}


def test_retained_local_disks_bring_a_vm_back_to_their_host() -> None:
    fleet = story(vm(placement={"hosts": ["h2"]})).converged()
    gone = fleet.with_specs(without=["VirtualMachine/web"]).converged()

    back = gone.with_specs(vm())

    assert back.action("define-domain").host == "h2"
    assert back.kinds("VirtualMachine/web") == ["define-domain", "start-domain"]


def test_a_vm_that_is_off_on_a_host_that_its_placement_no_longer_allows_is_said_and_left() -> None:
    fleet = running().with_specs(vm(placement={"hosts": ["h2"]}, runStrategy="Halted"))
    fleet = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))

    assert fleet.plan().empty
    assert fleet.unmet()["not-wanted-here"].severity == "info"
    assert "asks for h2" in fleet.unmet()["not-wanted-here"].detail


def test_a_vm_on_a_host_without_the_wanted_label_is_said() -> None:
    fleet = running().with_specs(vm(placement={"nodeSelector": {"rack": "a"}}))

    assert "asks for rack=a" in fleet.unmet()["not-wanted-here"].detail


def test_a_vm_with_an_unusable_spec_is_neither_changed_nor_removed() -> None:
    problem = SpecProblem(SourceRef("web.yaml", 7, 3), "S014", "VirtualMachine/web", "spec.memory", "unknown field")
    fleet = running().with_specs(without=["VirtualMachine/web"], unusable={ref("VirtualMachine/web"): problem})

    assert fleet.plan().empty
    told = fleet.unmet()["spec-invalid"].detail
    assert told == "web.yaml:7:3: unknown field; nothing of it is changed or removed until that is mended"


def test_the_last_good_form_of_a_spec_is_spoken_of_where_there_is_one() -> None:
    problem = SpecProblem(SourceRef("web.yaml", 7, 3), "S014", "VirtualMachine/web", "spec.cpus", "unknown field")
    found = running().with_specs(unusable={ref("VirtualMachine/web"): problem}).unmet()["spec-invalid"]

    assert found.detail.endswith("until that is mended the last good form stands")
    assert found.hint == "reconciler validate"


def test_a_mistake_that_only_a_look_at_the_image_finds_does_not_send_anybody_to_validate() -> None:
    message = "32MiB is less than the 64MiB of Image/debian; write 1GiB or more, or leave size out"
    problem = SpecProblem(SourceRef("web.yaml", 7, 3), "S033", "VirtualMachine/web", "spec.disks[0].size", message)
    fleet = story(vm("other")).with_specs(unusable={ref("VirtualMachine/web"): problem}, problems=(problem,))

    assert fleet.unmet()["spec-invalid"].hint == ""
    told = fleet_status(fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, fleet.plan(), fleet.now).problems
    assert told == ("the specs have 1 mistake; last good forms stand (reconciler plan)",)


def test_what_waits_for_an_image_that_is_refused_is_sent_to_that_image() -> None:
    refused = SpecProblem(SourceRef("i.yaml", 1, 1), "S039", "Image/first", "spec.source.path", "has a backing file")
    waits = SpecProblem(
        SourceRef("web.yaml", 7, 3), "S044", "VirtualMachine/new", "spec.disks[0].image", "Image/first has errors"
    )
    fleet = story(vm("other")).with_specs(
        unusable={ref("Image/first"): refused, ref("VirtualMachine/new"): waits}, problems=(refused,)
    )

    hints = {str(item.target): item.hint for item in fleet.plan().unmet if item.reason == "spec-invalid"}

    assert hints == {"Image/first": "", "VirtualMachine/new": "reconciler why Image/first"}
