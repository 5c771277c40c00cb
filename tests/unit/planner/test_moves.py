"""VMs that leave a host which their placement does not allow, and what is planned while one is on its way."""

import pytest
from msgspec.structs import replace

from reconciler.model.ledger import Failure, Migration, MigrationProgress, VolumeIntent
from reconciler.model.outcome import action_inputs
from reconciler.model.steps import MigrateDomain
from reconciler.planner.plan_check import check
from tests.support.fleets import GIB, NOW, Story, host, mark, pool, story, vm, volume

RACK = {"placement": {"nodeSelector": {"rack": "b"}}}


def fleet(*, shared: bool = True, **spec: object) -> Story:
    """One VM that runs on h1, of three hosts in racks a, b and b."""
    hosts = [host("h1", labels={"rack": "a"}), host("h2", labels={"rack": "b"}), host("h3", labels={"rack": "b"})]
    placed = {"placement": {"hosts": ["h1"]}}
    return story(*hosts, vm(**{**placed, **spec}), hosts=3, shared=shared).converged()


def to_rack_b(before: Story, **spec: object) -> Story:
    return before.with_specs(vm(**{**RACK, **spec}), without=["VirtualMachine/web"])


def move_of(moment: Story) -> MigrateDomain:
    step = moment.action("migrate-domain").step
    assert isinstance(step, MigrateDomain)
    return step


def on_its_way(before: Story) -> Story:
    """The migration that `before` plans was begun, and nothing of it is in sight yet."""
    step = move_of(before)
    return before.with_ledger(migrations={"web": Migration("web", NOW, step, "placement-rule")})


def test_a_vm_whose_placement_excludes_its_host_is_moved_as_it_runs() -> None:
    moment = to_rack_b(fleet())

    action = moment.action("migrate-domain")
    step = move_of(moment)
    assert moment.kinds("VirtualMachine/web") == ["migrate-domain"]
    assert (action.host, action.sign, action.why, action.disruption) == ("h2", "move", "placement-rule", "migrate")
    assert (step.source, step.target, step.epoch, step.disks, step.trusts_sharing) == ("h1", "h2", 2, (), True)
    assert step.peer_uri == "qemu+ssh://h2.example/system"


def test_a_moved_vm_is_where_it_should_be_and_nothing_is_left_to_do() -> None:
    after = to_rack_b(fleet()).converged()

    assert after.domain("web", "h2").state == "running"
    assert after.ledger.placements["web"].host == "h2"
    assert "web" not in after.inventory.hosts["h1"].domains


def test_local_disks_go_with_the_vm_once_their_base_is_there_and_leave_nothing_behind() -> None:
    moment = to_rack_b(fleet(shared=False))

    step = move_of(moment)
    after = moment.converged()
    assert "upload-image" in moment.kinds("Image/debian")
    assert [(disk.device, disk.capacity, bool(disk.base)) for disk in step.disks] == [("vda", 10 * GIB, True)]
    assert "prod.web.root.qcow2" not in (after.inventory.hosts["h1"].pools["vms"].volumes or {})
    assert "prod.web.root.qcow2" in (after.inventory.hosts["h2"].pools["vms"].volumes or {})


def test_a_disk_that_was_left_behind_stays_until_the_vm_is_seen_elsewhere_with_its_own() -> None:
    moved = to_rack_b(fleet(shared=False)).applied()

    assert moved.losing_sight_of("h2").kinds() == []
    assert moved.action("delete-volume").host == "h1"


def test_a_disk_of_that_name_on_the_other_host_may_be_somebodys_last_so_the_vm_goes_elsewhere() -> None:
    before = to_rack_b(fleet(shared=False))
    there = before.inventory.hosts["h2"].pools["vms"]
    moment = before.with_pool(
        replace(there, volumes={**(there.volumes or {}), **{v.name: v for v in [volume("prod.web.root.qcow2")]}}), "h2"
    )

    assert move_of(moment).target == "h3"


def test_a_disk_that_a_move_was_to_fill_is_collected_and_not_made_anew_at_the_same_time() -> None:
    before = to_rack_b(fleet(shared=False))
    there = before.inventory.hosts["h2"].pools["vms"]
    disk = volume("prod.web.root.qcow2")
    moment = before.with_pool(replace(there, volumes={**(there.volumes or {}), disk.name: disk}), "h2")
    moment = moment.with_ledger(intents=frozenset({VolumeIntent("vms", disk.name, "h2")}))

    assert moment.action("delete-volume").host == "h2"
    assert move_of(moment).target == "h3"


def test_a_disk_that_was_left_behind_stays_while_the_one_elsewhere_is_only_in_the_definition() -> None:
    moved = to_rack_b(fleet(shared=False)).applied()
    there = moved.inventory.hosts["h2"].pools["vms"]
    kept = {name: found for name, found in (there.volumes or {}).items() if name != "prod.web.root.qcow2"}

    assert "delete-volume" not in moved.with_pool(replace(there, volumes=kept), "h2").kinds()


def test_a_plan_that_leaves_a_disk_behind_is_rejected() -> None:
    moment = to_rack_b(fleet(shared=False))
    plan = moment.plan()
    moves = [action for action in plan.actions if isinstance(action.step, MigrateDomain)]
    others = tuple(action for action in plan.actions if action not in moves)
    wrong = replace(plan, actions=(*others, replace(moves[0], step=replace(moves[0].step, disks=()))))

    violations = check(wrong, moment.specs, moment.inventory, moment.ledger, moment.policy)

    assert len(violations) == 1
    assert "prod.web.root.qcow2 would stay behind" in violations[0]


def test_a_host_that_others_cannot_reach_takes_none() -> None:
    before = fleet()
    local = [host(name, labels={"rack": "b"}, uri="qemu:///system") for name in ("h2", "h3")]
    moment = to_rack_b(before.with_specs(*local, without=["Host/h2", "Host/h3"]))

    unmet = moment.unmet()["not-wanted-here"]
    assert moment.kinds() == []
    assert all("peerUri" in why for name, why in unmet.per_host if name != "h1")


def test_a_host_of_a_local_uri_is_reached_by_its_peer_uri() -> None:
    before = fleet()
    local = host("h2", labels={"rack": "b"}, uri="qemu:///system", peerUri="qemu+tls://h2.lan/system")
    moment = to_rack_b(before.with_specs(local, without=["Host/h2", "Host/h3"]))

    assert move_of(moment).peer_uri == "qemu+tls://h2.lan/system"


def test_a_vm_that_is_paused_stays_and_says_why() -> None:
    before = fleet()
    moment = to_rack_b(before.with_domain(replace(before.domain(), state="paused", reason="user")))

    unmet = moment.unmet()["not-wanted-here"]
    assert "migrate-domain" not in moment.kinds()
    assert "its guest is paused" in unmet.detail


def test_a_move_that_failed_is_tried_to_another_host_and_the_failure_is_remembered() -> None:
    before = to_rack_b(fleet())
    action = before.action("migrate-domain")
    failure = Failure(action.id, 1, "h2 is full", False, NOW + 20, action_inputs(action))
    moment = before.with_ledger(failures={action.id: failure})

    assert move_of(moment).target == "h3"
    assert action.id in moment.plan().held


def test_moves_to_one_host_take_its_room() -> None:
    names = [f"web-{number}" for number in range(3)]
    before = story(
        *(host(name, labels={"rack": rack}) for name, rack in (("h1", "a"), ("h2", "b"), ("h3", "b"))),
        *(vm(name, memory="6GiB", placement={"hosts": ["h1"]}) for name in names[:2]),
        hosts=3,
        shared=True,
    ).converged()
    moment = before.with_specs(
        *(vm(name, memory="6GiB", **RACK) for name in names[:2]), without=[f"VirtualMachine/{name}" for name in names]
    )

    assert {action.host for action in moment.plan().actions} == {"h2", "h3"}


# -- on its way --------------------------------------------------------------------------------------------------------
def test_a_migration_on_record_is_followed_and_never_issued_again() -> None:
    moment = on_its_way(to_rack_b(fleet()))

    action = moment.action("migrate-domain")
    assert moment.kinds() == ["migrate-domain"]
    assert move_of(moment).begun
    assert action.host == "h2"


def test_while_an_action_is_at_it_a_migrating_vm_says_how_far_it_is() -> None:
    begun = on_its_way(to_rack_b(fleet()))
    told = replace(begun.ledger.migrations["web"], progress=MigrationProgress(3 * GIB, 4 * GIB, GIB, NOW))
    moment = begun.with_ledger(migrations={"web": told}, in_flight=frozenset({"VirtualMachine/web"}))

    assert moment.kinds() == []
    assert moment.unmet()["migrating"].detail == "on its way from h1 to h2: 75 %, 1GiB left, 3GiB sent"


@pytest.mark.parametrize("silent", ["h1", "h2"])
def test_a_migrating_vm_is_held_while_one_of_its_hosts_is_silent(silent: str) -> None:
    moment = on_its_way(to_rack_b(fleet(ha={"enabled": True}))).lost(silent)

    assert "migrate-domain" not in moment.kinds()
    reason = "host-lost" if silent == "h1" else "migration-unsettled"
    assert silent in moment.unmet()[reason].detail


def test_a_vm_whose_target_is_proven_dead_is_settled_where_it_runs() -> None:
    moment = on_its_way(to_rack_b(fleet())).lost("h2").proven("h2")

    action = moment.action("migrate-domain")
    assert move_of(moment).begun
    assert action.host == "h1"


def test_a_vm_that_died_with_its_source_before_it_arrived_is_recovered_above_both_epochs() -> None:
    moment = on_its_way(to_rack_b(fleet(ha={"enabled": True}), ha={"enabled": True})).lost("h1").proven("h1")

    define = moment.action("define-domain")
    assert define.host in {"h2", "h3"}
    assert define.step.config.mark.epoch == 3  # type: ignore[union-attr]


def test_a_vm_that_died_on_its_way_has_the_room_that_was_kept_for_it() -> None:
    large = {"ha": {"enabled": True}, "memory": "12GiB"}
    before = on_its_way(to_rack_b(fleet(**large), **large)).with_specs(without=["Host/h3"]).losing_sight_of("h3")

    assert before.lost("h1").proven("h1").action("define-domain").host == "h2"


def test_a_vm_whose_source_is_dead_is_not_recovered_while_its_target_is_silent() -> None:
    begun = on_its_way(to_rack_b(fleet(ha={"enabled": True}), ha={"enabled": True}))
    moment = begun.lost("h1", "h2").proven("h1")

    assert "define-domain" not in moment.kinds("VirtualMachine/web")


def test_a_vm_that_arrived_before_its_source_died_is_settled_at_the_target() -> None:
    begun = on_its_way(to_rack_b(fleet(ha={"enabled": True}), ha={"enabled": True}))
    arrived = to_rack_b(fleet(ha={"enabled": True}), ha={"enabled": True}).applied().domain("web", "h2")
    moment = begun.with_domain(arrived, "h2").lost("h1").proven("h1")

    assert move_of(moment).begun
    assert moment.kinds("VirtualMachine/web") == ["migrate-domain"]


def test_what_waits_paused_at_the_target_is_never_resumed_when_the_source_has_died() -> None:
    begun = on_its_way(to_rack_b(fleet(ha={"enabled": True}), ha={"enabled": True}))
    half = replace(begun.domain(), state="paused", reason="migration", persistent=False)
    moment = begun.with_domain(half, "h2").lost("h1").proven("h1")

    assert moment.kinds("VirtualMachine/web") == []
    assert "never resumed" in moment.unmet()["conflict"].detail


def test_a_migration_by_hand_is_let_come_to_its_end() -> None:
    before = fleet()
    half = replace(before.domain(), state="paused", reason="migration", persistent=False)
    moment = before.with_domain(half, "h2").noticed()

    assert moment.kinds() == []
    assert "migrating" in moment.unmet()


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("is_on_record", [True, False])
def test_half_of_a_guest_is_not_taken_for_the_vm_while_its_source_is_silent(epoch: int, *, is_on_record: bool) -> None:
    before = fleet()
    config = replace(before.domain().config, mark=replace(mark(), epoch=epoch))
    half = replace(before.domain(), state="paused", reason="migration", persistent=False, config=config, live=config)
    moment = before.with_domain(half, "h2").losing_sight_of("h1")
    moment = (moment if is_on_record else moment.with_ledger(placements={})).noticed()

    assert moment.kinds() == []
    assert "from a host that can't be read" in moment.unmet()["migrating"].detail


def test_half_of_a_guest_is_not_removed_with_its_vm() -> None:
    before = fleet()
    config = replace(before.domain().config, mark=replace(mark(), epoch=2))
    half = replace(before.domain(), state="paused", reason="migration", persistent=False, config=config, live=config)
    moment = before.with_domain(half, "h2").losing_sight_of("h1").with_specs(without=["VirtualMachine/web"])

    assert moment.kinds() == []
    assert "on its way" in moment.unmet()["removal-held"].detail


@pytest.mark.parametrize("is_proven", [True, False])
def test_a_vm_that_has_left_its_source_is_sought_at_its_target_though_that_is_silent(*, is_proven: bool) -> None:
    moment = on_its_way(to_rack_b(fleet())).without_domain().lost("h2")
    moment = moment.proven("h2") if is_proven else moment

    action = moment.action("migrate-domain")
    assert move_of(moment).begun
    assert action.host == "h1"


def test_a_vm_that_has_left_its_source_with_its_disks_waits_for_its_target() -> None:
    moment = on_its_way(to_rack_b(fleet(shared=False))).without_domain().lost("h2")

    assert "migrate-domain" not in moment.kinds()
    assert "h2 can't be asked" in moment.unmet()["host-lost"].detail
    assert moment.unmet()["host-lost"].hint == "reconciler fence confirm h2 --reason TEXT"


def test_a_host_that_a_vm_is_on_its_way_to_is_put_back_into_the_specs() -> None:
    moment = on_its_way(to_rack_b(fleet())).without_domain().losing_sight_of("h2").with_specs(without=["Host/h2"])

    assert moment.kinds() == []
    assert moment.unmet()["host-unread"].hint == "put Host h2 back until that is settled"


def test_a_vm_on_its_way_that_left_the_specs_is_followed_before_it_is_removed() -> None:
    moment = on_its_way(to_rack_b(fleet())).with_specs(without=["VirtualMachine/web"])

    assert moment.kinds("VirtualMachine/web") == ["migrate-domain"]


def test_the_local_pool_is_where_a_shared_one_of_the_same_vm_is_not_copied() -> None:
    disks = [
        {"name": "root", "pool": "vms", "image": "debian", "size": "10GiB"},
        {"name": "data", "pool": "nfs", "size": "1GiB"},
    ]
    hosts = [host("h1", labels={"rack": "a"}), host("h2", labels={"rack": "b"})]
    placed = {"hosts": ["h1"]}
    specs = (*hosts, pool("nfs", shared=True), vm(disks=disks, placement=placed))
    moment = to_rack_b(story(*specs, hosts=2).converged(), disks=disks)

    step = move_of(moment)
    assert [disk.volume for disk in step.disks] == ["prod.web.root.qcow2"]
    assert step.trusts_sharing


def arrived(moment: Story) -> Story:
    """What is on record runs at its target."""
    step = moment.ledger.migrations["web"].step
    found = moment.domain()
    assert found.config.mark is not None
    config = replace(found.config, mark=replace(found.config.mark, epoch=step.epoch))
    return moment.with_domain(replace(found, config=config, live=config), step.target)


def test_what_runs_at_its_target_is_settled_there_while_its_source_is_out_of_sight() -> None:
    moment = arrived(on_its_way(to_rack_b(fleet()))).losing_sight_of("h1")

    action = moment.action("migrate-domain")
    assert (action.host, move_of(moment).begun) == ("h2", True)


def test_what_waits_at_its_target_for_a_source_out_of_sight_is_held() -> None:
    seen = arrived(on_its_way(to_rack_b(fleet())))
    waiting = replace(seen.domain("web", "h2"), state="paused", reason="migration", persistent=False)
    moment = seen.with_domain(waiting, "h2").losing_sight_of("h1")

    assert moment.kinds("VirtualMachine/web") == []
    assert "host-unread" in moment.unmet()


def test_what_runs_on_both_hosts_is_a_conflict_once_a_fresh_look_at_both_has_not_ended_it() -> None:
    moment = arrived(on_its_way(to_rack_b(fleet())))
    action = moment.action("migrate-domain")
    failure = Failure(action.id, 1, "it runs on h1 and on h2", False, NOW - 1, action_inputs(action))
    looked = moment.with_ledger(failures={action.id: failure})

    assert "conflict" not in moment.unmet()
    assert "it runs on h1 and on h2" in looked.unmet()["conflict"].detail
    assert "virsh destroy web" in looked.unmet()["conflict"].hint
    assert looked.kinds("VirtualMachine/web") == ["migrate-domain"]


@pytest.mark.parametrize("held", ["VirtualMachine/web", "Host/h2", "fleet"])
def test_what_is_held_while_it_is_on_its_way_is_still_followed_to_its_end(held: str) -> None:
    moment = on_its_way(to_rack_b(fleet())).with_ledger(paused=frozenset({held}))

    assert moment.kinds("VirtualMachine/web") == ["migrate-domain"]
