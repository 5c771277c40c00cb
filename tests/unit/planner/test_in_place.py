"""A VM that is there: every edit behind our back is seen with field, old and new, and is gone after the next pass."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, DomainState, NicConfig
from reconciler.model.ledger import Failure
from reconciler.model.plan import FieldChange
from reconciler.model.steps import RedefineDomain, StopDomain
from tests.support.fleets import GIB, POLICY, Story, host, image, network, observed_network, pool, story, vm


def running(**spec: Any) -> Story:
    return story(vm(**spec)).converged()


def stopped(fleet: Story, reason: str = "", state: DomainState = "shutoff") -> Story:
    return fleet.with_domain(replace(fleet.domain(), state=state, live=None, reason=reason))


def changes_of(fleet: Story) -> list[tuple[str, str, str]]:
    return [(c.field, c.old, c.new) for action in fleet.plan().actions for c in action.changes]


EXTRA_NIC = NicConfig("52:54:00:00:00:01", "lan")
EXTRA_DISK = DiskConfig("vdb", "/tmp/stick.raw", "raw")  # noqa: S108  somebody's file, never opened


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        ({"memory": GIB // 2}, ("memory", "512MiB", "1GiB")),
        ({"vcpus": 3, "max_vcpus": 3}, ("cpu.count", "3", "1")),
        ({"max_memory": 8 * GIB}, ("maxMemory", "8GiB", "1GiB")),
        ({"max_vcpus": 8}, ("cpu.max", "8", "1")),
        ({"cpu_model": "qemu64"}, ("cpu.model", "qemu64", "host-model")),
        ({"machine": "pc-i440fx-7.2"}, ("machine", "pc-i440fx-7.2", "q35")),
        ({"firmware": "uefi"}, ("firmware", "uefi", "bios")),
        ({"domain_type": "qemu"}, ("domainType", "qemu", "kvm")),
        ({"graphics": "vnc"}, ("graphics", "vnc", "none")),
        ({"rng": False}, ("random number generator", "no", "yes")),
        ({"balloon": False}, ("memory balloon", "no", "yes")),
        ({"agent_channel": False}, ("guest agent channel", "no", "yes")),
        ({"serial_console": False}, ("serial console", "no", "yes")),
        ({"disks": ()}, ("disks[root]", "none", "qcow2 on virtio")),
        ({"nics": ()}, ("networks[52:54:00:fc:24:9a]", "none", "lan (virtio)")),
    ],
)
def test_an_edit_behind_our_back_is_drift_with_old_and_new_and_is_undone(
    edit: dict[str, Any], change: tuple[str, str, str]
) -> None:
    fleet = running()
    if "nics" in edit:
        change = (f"networks[{fleet.domain().config.nics[0].mac}]", *change[1:])

    edited = fleet.edited(**edit)

    assert changes_of(edited) == [change]
    assert edited.action("redefine-domain").why == "drift"
    assert edited.converged().domain().config == fleet.domain().config


def test_a_nic_added_by_hand_is_taken_out_again() -> None:
    fleet = running()

    edited = fleet.edited(nics=(*fleet.domain().config.nics, EXTRA_NIC))

    assert changes_of(edited) == [("networks[52:54:00:00:00:01]", "lan (virtio)", "none")]
    assert edited.converged().domain().config.nics == fleet.domain().config.nics


def test_a_disk_added_by_hand_is_taken_out_again_and_its_file_is_left() -> None:
    fleet = running()

    edited = fleet.edited(disks=(*fleet.domain().config.disks, EXTRA_DISK))

    assert changes_of(edited) == [("disks[stick.raw]", "raw on virtio", "none")]
    assert edited.kinds() == ["redefine-domain"]


def test_autostart_is_set_back_without_a_redefinition() -> None:
    edited = running().edited(autostart=True)

    assert edited.kinds() == ["set-autostart"]
    assert changes_of(edited) == [("autostart", "yes", "no")]


def test_a_vm_without_ha_is_autostarted_by_its_host() -> None:
    fleet = story(vm(ha={"enabled": False}))

    assert fleet.converged().domain().config.autostart
    assert fleet.action("define-domain").detail == "define with autostart"


def test_a_destroyed_vm_is_started_again() -> None:
    fleet = stopped(running(), reason="destroyed")

    assert fleet.kinds() == ["start-domain"]
    assert changes_of(fleet) == [("state", "shutoff", "running")]


def test_a_vm_undefined_while_it_runs_is_made_persistent_again() -> None:
    fleet = running()
    transient = fleet.with_domain(replace(fleet.domain(), persistent=False))

    redefine = transient.action("redefine-domain")

    assert redefine.changes == (FieldChange("persistent", "no", "yes", "none"),)
    assert redefine.detail == "define it persistently"
    assert transient.converged().domain().persistent


def test_a_staged_edit_of_a_running_vm_says_that_it_waits_for_the_next_boot() -> None:
    fleet = running().with_specs(vm(memory="2GiB"))

    redefine = fleet.action("redefine-domain")
    pending = fleet.unmet()["restart-pending"]

    assert (redefine.detail, redefine.why) == ("stage for the next boot", "spec-change")
    assert [c.disruption for c in redefine.changes if c.field == "memory"] == ["reboot"]
    assert [(c.field, c.old, c.new) for c in pending.changes] == [("memory", "1GiB", "2GiB")]


def test_staged_and_not_yet_booted_stays_said_though_nothing_is_left_to_do() -> None:
    fleet = running().with_specs(vm(memory="2GiB")).converged()

    assert fleet.plan().empty
    assert "restart-pending" in fleet.unmet()


def test_after_a_boot_nothing_is_pending_any_more() -> None:
    fleet = stopped(running().with_specs(vm(memory="2GiB")).converged()).converged()

    assert fleet.plan().unmet == ()


def test_a_restart_follows_the_redefinition_where_the_spec_allows_it() -> None:
    fleet = running().with_specs(vm(memory="2GiB", updatePolicy="restart"))

    plan = fleet.plan()

    assert [action.kind for action in plan.actions] == ["redefine-domain", "stop-domain", "start-domain"]
    assert plan.worst == "reboot"
    assert fleet.converged().domain().live == fleet.converged().domain().config
    assert fleet.converged().plan().unmet == ()


def test_a_vm_says_how_long_its_guest_may_take_to_shut_down_and_whether_it_may_be_forced() -> None:
    fleet = running()
    patient = {"updatePolicy": "restart", "shutdown": {"timeout": "10m", "force": False}}

    ours = fleet.with_specs(vm(memory="2GiB", **patient)).action("stop-domain").step
    fleets = fleet.with_specs(vm(memory="2GiB", updatePolicy="restart")).action("stop-domain").step

    assert isinstance(ours, StopDomain)
    assert isinstance(fleets, StopDomain)
    assert (ours.timeout, ours.force) == (600.0, False)
    assert (fleets.timeout, fleets.force) == (POLICY.shutdown_timeout, True)


def test_a_vm_may_be_forced_off_sooner_than_others() -> None:
    fleet = running(shutdown={"timeout": "5s"})

    halted = fleet.with_specs(vm(runStrategy="Halted", shutdown={"timeout": "5s"})).action("stop-domain").step

    assert isinstance(halted, StopDomain)
    assert halted.timeout == 5


def test_a_guest_that_is_off_is_redefined_without_any_disruption() -> None:
    fleet = stopped(running(runStrategy="Manual")).with_specs(vm(runStrategy="Manual", memory="2GiB"))

    assert fleet.plan().worst == "none"
    assert "restart-pending" not in fleet.unmet()


def test_a_new_policy_alone_is_noted_in_the_mark() -> None:
    fleet = running().with_specs(vm(deletionPolicy="delete"))

    assert fleet.action("redefine-domain").detail == "note what was applied"
    assert changes_of(fleet) == [("deletionPolicy", "retain", "delete")]


def test_a_new_generation_alone_changes_nothing() -> None:
    fleet = running().with_specs(host("h3"), without=["Host/h3"])

    assert fleet.specs.generation != fleet.domain().config.mark.generation  # type: ignore[union-attr]
    assert fleet.plan().empty


@pytest.mark.parametrize(
    ("strategy", "reason", "expected"),
    [
        ("Always", "shutdown", ["start-domain"]),
        ("Always", "crashed", ["start-domain"]),
        ("RerunOnFailure", "crashed", ["start-domain"]),
        ("RerunOnFailure", "failed", ["start-domain"]),
        ("RerunOnFailure", "daemon", ["start-domain"]),
        ("RerunOnFailure", "shutdown", []),
        ("RerunOnFailure", "destroyed", []),
        ("Manual", "crashed", []),
        ("Halted", "crashed", []),
    ],
)
def test_what_is_off_is_started_as_its_run_strategy_says(strategy: str, reason: str, expected: list[str]) -> None:
    fleet = stopped(running(runStrategy=strategy), reason)

    assert fleet.kinds() == expected


@pytest.mark.parametrize("reason", ["unknown", ""])
def test_what_ran_is_not_run_again_where_nobody_knows_how_it_ended(reason: str) -> None:
    """A restart of libvirtd makes it forget; the work may have been finished."""
    fleet = stopped(running(runStrategy="RerunOnFailure"), reason)

    assert fleet.plan().empty
    assert fleet.unmet()["end-unknown"].severity == "info"


@pytest.mark.parametrize("reason", ["unknown", "shutdown", "destroyed"])
def test_what_is_yet_to_run_is_started_after_we_were_cut_off(reason: str) -> None:
    """It was just defined, or shut down by us for a restart."""
    fleet = stopped(running(runStrategy="RerunOnFailure"), reason)
    never = replace(fleet.ledger.placements["web"], ran=False)

    assert fleet.with_ledger(placements={"web": never}).kinds() == ["start-domain"]


@pytest.mark.parametrize(("strategy", "expected"), [("RerunOnFailure", True), ("Manual", True), ("Halted", False)])
def test_a_vm_whose_start_failed_after_a_restart_of_ours_is_started_again(strategy: str, expected: bool) -> None:
    key = "start-domain:VirtualMachine/web@h1"
    failure = Failure(key, 1, "no memory", permanent=False, not_before=0.0, inputs="")
    fleet = stopped(running(runStrategy=strategy), "shutdown").with_ledger(failures={key: failure})

    assert ("start-domain" in fleet.kinds()) is expected


@pytest.mark.parametrize(("reason", "expected"), [("", True), ("unknown", True), ("shutdown", False)])
def test_a_start_that_was_cut_off_is_done_again_unless_the_guest_ran_and_ended(reason: str, expected: bool) -> None:
    key = "start-domain:VirtualMachine/web@h1"
    cut_off = Failure(key, 0, "cut off", permanent=False, not_before=0.0, inputs="")
    fleet = stopped(running(runStrategy="RerunOnFailure"), reason).with_ledger(failures={key: cut_off})

    assert ("start-domain" in fleet.kinds()) is expected


def test_a_halted_vm_is_shut_down() -> None:
    fleet = running().with_specs(vm(runStrategy="Halted"))

    stop = fleet.action("stop-domain")

    assert isinstance(stop.step, StopDomain)
    assert (stop.step.timeout, stop.disruption) == (120.0, "reboot")
    assert fleet.converged().domain().state == "shutoff"


def test_a_manual_vm_is_defined_and_left_off() -> None:
    assert story(vm(runStrategy="Manual")).kinds("VirtualMachine/web") == ["create-volume", "define-domain"]


def test_a_guest_that_is_shutting_down_is_left_to_finish() -> None:
    fleet = running()
    fleet = fleet.with_domain(replace(fleet.domain(), state="shutdown"))

    assert fleet.plan().empty
    assert "shutting-down" in fleet.unmet()


@pytest.mark.parametrize(("reason", "words"), [("ioerror", "by an I/O error"), ("user", "by somebody")])
def test_a_paused_guest_is_never_resumed_blindly(reason: str, words: str) -> None:
    fleet = running()
    fleet = fleet.with_domain(replace(fleet.domain(), state="paused", reason=reason))

    assert fleet.plan().empty
    assert words in fleet.unmet()["guest-paused"].detail


def test_the_version_of_the_machine_that_it_got_first_is_kept() -> None:
    fleet = running().with_specs(vm(memory="2GiB"))

    redefine = fleet.action("redefine-domain")

    assert isinstance(redefine.step, RedefineDomain)
    assert redefine.step.config.machine == "pc-q35-7.2"


def test_a_redefinition_expects_the_xml_that_was_seen() -> None:
    fleet = running().edited(memory=1)

    redefine = fleet.action("redefine-domain")

    assert isinstance(redefine.step, RedefineDomain)
    assert redefine.step.expect_fingerprint == fleet.domain().fingerprint


def test_a_network_that_is_gone_keeps_a_vm_from_being_started_into_failure() -> None:
    fleet = story(vm(), network(mode="existing")).with_network(observed_network(uuid="theirs"))
    fleet = stopped(fleet.converged()).with_network(observed_network(uuid="theirs", active=False))

    assert fleet.plan().empty
    assert "not active" in fleet.unmet()["network-unavailable"].detail


def test_a_network_that_is_gone_keeps_a_vm_from_being_restarted_into_failure() -> None:
    fleet = story(vm(), network(mode="existing")).with_network(observed_network(uuid="theirs")).converged()
    fleet = fleet.with_specs(vm(memory="2GiB", updatePolicy="restart"))

    lost = fleet.with_network(observed_network(uuid="theirs", active=False))

    assert "stop-domain" not in lost.kinds()


def test_a_vm_starts_after_its_network() -> None:
    fleet = stopped(running()).with_network(observed_network(active=False))

    start = fleet.action("start-domain")

    assert start.after == ("start-network:Network/lan@h1",)


def test_a_vm_whose_pool_left_its_host_waits_and_says_so() -> None:
    fleet = running().with_specs(pool(hosts={"names": ["h2"]}))

    assert fleet.kinds("VirtualMachine/web") == []
    assert "pool vms on h1" in fleet.unmet()["pool-unavailable"].detail


def test_hosts_with_a_session_daemon_keep_no_console_log() -> None:
    uri = "qemu+ssh://h1.example/session?keyfile=/etc/key"
    fleet = story(vm(), host("h1", uri=uri), hosts=1).converged()

    assert fleet.domain().config.console_log is None


def test_a_disk_on_another_bus_gets_a_device_name_of_that_bus() -> None:
    disk = {"name": "root", "pool": "vms", "size": "10GiB", "image": "debian"}
    fleet = running(disks=[disk]).with_specs(vm(disks=[{**disk, "bus": "sata"}])).converged()

    assert [d.target for d in fleet.domain().config.disks] == ["sda"]


def test_many_disks_find_a_device_name_each() -> None:
    disks = [{"name": f"d{number}", "pool": "vms", "size": "1GiB"} for number in range(30)]

    targets = [disk.target for disk in running(disks=disks).domain().config.disks]

    assert len(set(targets)) == 30
    assert targets[25] == "vdaa"


def test_the_seed_is_left_as_it_is_unless_the_spec_asks_for_a_new_one() -> None:
    first = {"userData": "#cloud-config\n# 1\n"}
    fleet = running(cloudInit=first).with_specs(vm(cloudInit={"userData": "#cloud-config\n# 2\n"}))

    assert fleet.plan().empty


def reseeded(*, policy: str) -> Story:
    first, second = ({"userData": f"#cloud-config\n# {number}\n", "onChange": "reseed"} for number in "12")
    fleet = running(cloudInit=first, updatePolicy=policy)
    return fleet.with_specs(vm(cloudInit=second, updatePolicy=policy))


def test_a_reseed_has_the_guest_take_the_new_seed_for_the_old_one_which_is_dropped() -> None:
    changed = reseeded(policy="live")

    assert changed.kinds() == ["write-seed", "redefine-domain", "edit-live", "edit-live"]
    assert [action.detail for action in changed.plan().actions if action.kind == "edit-live"] == [
        "unplug vdz while it runs",
        "plug vdz while it runs",
    ]
    assert changed.applied().kinds() == ["delete-volume"]


def test_a_reseed_that_is_staged_drops_the_old_seed_after_the_boot() -> None:
    changed = reseeded(policy="stage")

    staged = changed.applied()

    assert changed.kinds() == ["write-seed", "redefine-domain"]
    assert staged.plan().empty
    assert stopped(staged).kinds() == ["start-domain", "delete-volume"]


def test_an_image_that_changed_leaves_existing_disks_and_says_so() -> None:
    other = "sha256:" + "cd" * 32
    fleet = running().with_specs(image(checksum=other))

    assert "rebuild" in {c.disruption for c in fleet.unmet()["immutable"].changes}
    assert fleet.unmet()["immutable"].severity == "info"
    assert fleet.kinds("VirtualMachine/web") == []
