"""VMs of a lost host: elsewhere on proof, by priority, as far as there is room; else told what they wait for."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.health import HostState
from reconciler.model.ledger import Failure, Placement
from reconciler.model.steps import CreateVolume, DefineDomain
from tests.support.fleets import GIB, NOW, Story, host, story, vm

WEB = "VirtualMachine/web"
ROOT = "prod.web.root.qcow2"
SEED = {"userData": "#cloud-config\n"}


def running(**spec: Any) -> Story:
    """`web` runs on h1 of three hosts, on shared storage."""
    return story(vm(**spec), hosts=3, shared=True).converged()


def with_local_disk(**spec: Any) -> Story:
    """`web` runs on h1 of three hosts, on a disk of its own host."""
    return story(vm(**spec), hosts=3).converged()


def defined(fleet: Story, name: str = "web") -> Any:
    step = fleet.action("define-domain", f"VirtualMachine/{name}").step
    assert isinstance(step, DefineDomain)
    return step.config


def running_on(fleet: Story, name: str = "web") -> list[str]:
    return [host.name for host in fleet.inventory.hosts.values() if name in host.domains and host.domains[name].active]


# -- on proof ----------------------------------------------------------------------------------------------------------


def test_without_a_proof_nothing_is_started_elsewhere_and_the_vm_says_what_a_human_may_run() -> None:
    fleet = running().lost("h1")

    unmet = fleet.unmet()["not-armed"]

    assert fleet.plan().empty
    assert unmet.hint == "reconciler fence confirm h1 --reason TEXT"
    assert unmet.severity == "blocked"


def test_on_proof_the_vm_is_defined_and_started_on_a_survivor_as_a_move_with_the_next_epoch() -> None:
    fleet = running().lost("h1").proven("h1")

    define, start = fleet.plan().actions

    assert (define.kind, start.kind) == ("define-domain", "start-domain")
    assert define.host in ("h2", "h3")
    assert {(a.sign, a.why, a.host) for a in (define, start)} == {("move", "host-lost", define.host)}
    assert defined(fleet).mark.epoch == 2


def test_the_recovered_vm_has_the_disks_and_the_seed_that_it_had() -> None:
    before = running(cloudInit=SEED)
    fleet = before.lost("h1").proven("h1")

    assert defined(fleet).disks == before.domain().config.disks
    assert defined(fleet).seed == before.domain().config.seed


def test_once_recovered_nothing_is_left_to_do() -> None:
    fleet = running().lost("h1").proven("h1").converged()

    assert fleet.plan().empty
    assert fleet.plan().unmet == ()
    assert len(running_on(fleet)) == 1


def test_a_proof_of_an_earlier_incident_proves_nothing() -> None:
    fleet = running().lost("h1").proven("h1")
    again = replace(fleet.ledger.incidents["h1"], id="another")

    assert fleet.with_ledger(incidents={"h1": again}).plan().empty


@pytest.mark.parametrize("state", ["returning", "online", "suspect", "unknown", "quarantined"])
def test_a_proof_counts_only_for_a_host_that_is_known_to_be_silent(state: HostState) -> None:
    fleet = running().lost("h1").proven("h1").in_state("h1", state)

    assert fleet.plan().empty


def test_a_vm_whose_host_answers_again_waits_for_a_look_and_not_for_a_proof() -> None:
    fleet = running().lost("h1").in_state("h1", "returning")

    assert fleet.plan().empty
    assert fleet.unmet()["host-unread"].detail == "h1 answers again, and is not read yet"


def test_in_the_quiet_period_nothing_is_recovered() -> None:
    fleet = running().lost("h1").proven("h1").with_ledger(quiet=True)

    assert fleet.plan().empty
    assert "quiet period" in fleet.unmet()["host-lost"].detail


def test_a_paused_vm_is_not_recovered() -> None:
    fleet = running().lost("h1").proven("h1").with_ledger(paused=frozenset({WEB}))

    assert fleet.plan().empty
    assert "paused" in fleet.unmet()


def test_a_halted_vm_is_only_defined_elsewhere() -> None:
    fleet = running(runStrategy="Halted").lost("h1").proven("h1")

    assert fleet.kinds(WEB) == ["define-domain"]


def test_another_host_that_can_not_be_read_does_not_hold_up_recovery() -> None:
    fleet = running().lost("h1").proven("h1").losing_sight_of("h3")

    assert fleet.action("define-domain").host == "h2"


def test_a_recovery_that_was_cut_off_before_the_definition_goes_on() -> None:
    fleet = running().lost("h1").proven("h1")
    cut = fleet.with_ledger(placements={"web": Placement("web", "h2", 2, NOW, ran=False)})

    assert cut.action("define-domain").host == "h2"
    assert defined(cut).mark.epoch == 2


def test_a_disk_that_is_not_in_the_shared_pool_is_not_made_anew() -> None:
    fleet = running().with_volumes(without=[ROOT]).lost("h1").proven("h1")

    assert fleet.plan().empty
    assert "an empty one is not put in its place" in fleet.unmet()["disk-damaged"].detail


def test_the_dead_host_is_not_the_one_through_which_the_shared_pool_is_handled() -> None:
    fleet = running().with_specs(vm("new")).lost("h1").proven("h1")

    hosts = {action.host for action in fleet.plan().actions if isinstance(action.step, CreateVolume)}

    assert hosts == {"h2"}


# -- who waits for its host --------------------------------------------------------------------------------------------


def test_a_vm_without_ha_waits_for_its_host() -> None:
    fleet = running(ha={"enabled": False}).lost("h1").proven("h1")

    assert fleet.plan().empty
    assert "ha.enabled is false" in fleet.unmet()["host-lost"].detail


def test_a_vm_on_a_local_disk_waits_for_its_host() -> None:
    fleet = with_local_disk().lost("h1").proven("h1")

    assert fleet.plan().empty
    assert "its disk root is there" in fleet.unmet()["host-lost"].detail


def test_a_vm_that_may_be_rebuilt_gets_a_new_disk_from_its_image_and_the_plan_says_that_data_are_lost() -> None:
    fleet = with_local_disk(ha={"onHostLoss": "rebuild"}).lost("h1").proven("h1")

    disk = fleet.action("create-volume")

    assert disk.disruption == "data-loss"
    assert [(c.field, c.old, c.new) for c in disk.changes] == [("disks[root]", "on h1", "new from debian")]
    assert fleet.plan().worst == "data-loss"
    assert len(running_on(fleet.converged())) == 1


def test_a_vm_is_rebuilt_rather_where_no_disk_of_an_earlier_life_lies_about() -> None:
    before = with_local_disk(ha={"onHostLoss": "rebuild"}, placement={"hosts": ["h1", "h2", "h3"]})
    older = replace(before.inventory.hosts["h1"].pools["vms"])
    fleet = before.with_pool(older, on="h2").lost("h1").proven("h1")

    assert fleet.action("define-domain").host == "h3"


# -- room --------------------------------------------------------------------------------------------------------------


def full(*machines: Any, memory: int = 4) -> Story:
    return story(*machines, hosts=2, shared=True, memory=memory * GIB).converged()


def test_without_room_the_vm_waits_with_the_reason_of_each_host() -> None:
    fleet = full(vm(memory="3GiB"), vm("other", memory="3GiB"))
    (there,) = running_on(fleet)

    unmet = fleet.lost(there).proven(there).unmet()["no-host-fits"]

    assert dict(unmet.per_host)[there] == "dead"
    assert any(why.startswith("lacks ") for _, why in unmet.per_host)


def test_once_there_is_room_again_it_is_recovered() -> None:
    fleet = full(vm(memory="3GiB"), vm("other", memory="3GiB"))
    (there,) = running_on(fleet)
    waiting = fleet.lost(there).proven(there)

    roomy = waiting.with_specs(host("h3")).with_host("h3")

    assert running_on(roomy.converged()) == ["h3"]


def test_the_highest_priority_gets_the_room_that_there_is() -> None:
    machines = [
        vm("low", memory="2GiB", ha={"priority": 1}, placement={"hosts": ["h1", "h2"]}),
        vm("high", memory="2GiB", ha={"priority": 900}, placement={"hosts": ["h1", "h2"]}),
    ]
    fleet = story(*machines, host("h2", state="cordoned"), hosts=2, shared=True).converged()
    fleet = fleet.with_specs(host("h2"), without=["Host/h2"])
    small = replace(fleet.inventory.hosts["h2"].facts, memory=3 * GIB)

    recovered = fleet.with_host("h2", facts=small).lost("h1").proven("h1")

    assert recovered.action("define-domain").target.name == "high"
    assert "no-host-fits" in recovered.unmet("VirtualMachine/low")


def test_at_the_same_priority_a_vm_that_lost_its_host_goes_before_a_new_one() -> None:
    fleet = story(vm("zweb", memory="3GiB"), hosts=2, shared=True, memory=4 * GIB).converged()
    (there,) = running_on(fleet, "zweb")
    fleet = fleet.with_specs(vm("anew", memory="3GiB")).lost(there).proven(there)

    assert fleet.action("define-domain").target.name == "zweb"


def test_the_vms_of_a_lost_host_are_spread_over_the_survivors() -> None:
    machines = [vm(f"web{n}", placement={"hosts": ["h1"]}) for n in range(4)]
    fleet = story(*machines, hosts=3, shared=True).converged()
    free = fleet.with_specs(*(vm(f"web{n}") for n in range(4)), without=[f"VirtualMachine/web{n}" for n in range(4)])

    plan = free.lost("h1").proven("h1").plan()

    hosts = [action.host for action in plan.actions if action.kind == "define-domain"]
    assert sorted(host or "" for host in hosts) == ["h2", "h2", "h3", "h3"]


def test_a_host_that_does_not_answer_its_probes_takes_no_vm() -> None:
    fleet = running().lost("h1").proven("h1").in_state("h2", "suspect")

    assert fleet.action("define-domain").host == "h3"


def test_nothing_is_done_on_a_host_whose_name_another_machine_has() -> None:
    fleet = running().in_state("h1", "quarantined").with_host("h1", domains={}, pools={}, networks={})

    assert fleet.plan().empty
    assert fleet.plan().unseen == ("h1",)


def test_another_machine_under_a_name_is_left_alone_though_nobody_watches_hosts() -> None:
    fleet = running().with_ledger(identities={"h1": "another-uuid"}).with_host("h1", domains={})

    assert fleet.plan().empty
    assert "h1 is another machine now" in fleet.unmet()["host-unread"].detail


# -- recovered, and not seen to run yet --------------------------------------------------------------------------------


def on_its_way(fleet: Story, *, autostart: bool = False) -> Story:
    """`web` was recovered from h1 to h2, and cut off before it was defined there."""
    placement = Placement("web", "h2", 2, NOW, ran=False, came_from="h1", autostart=autostart)
    return fleet.with_ledger(placements={"web": placement})


def test_as_long_as_the_former_host_is_surely_dead_the_recovery_goes_on() -> None:
    fleet = on_its_way(running().lost("h1").proven("h1"))

    assert fleet.converged().plan().empty
    assert len(running_on(fleet.converged())) == 1


@pytest.mark.parametrize("state", ["unknown", "suspect"])
def test_a_former_host_that_may_be_back_holds_it_up(state: HostState) -> None:
    """An old proof is on record, and nobody has looked since."""
    fleet = on_its_way(running().lost("h1").proven("h1").in_state("h1", state))

    assert fleet.plan().empty
    assert running_on(fleet.converged()) == []


def test_a_former_host_that_is_lost_anew_is_fenced_for_it() -> None:
    fleet = on_its_way(running().armed("h1", "h2", "h3").lost("h1"))

    assert fleet.action("fence-host").target.name == "h1"


def started_unseen(fleet: Story) -> Story:
    """`web` was recovered from h1, which is dead, to h2, and started; h2 fell silent before it was seen to run."""
    placement = Placement("web", "h2", 2, NOW, ran=True, came_from="h1")
    return fleet.lost("h1").proven("h1").lost("h2").with_ledger(placements={"web": placement})


def test_where_it_was_recovered_to_counts_as_its_host_too() -> None:
    """The one that it came from is dead, and that is no proof of the other: it may run there."""
    fleet = started_unseen(running())

    assert fleet.plan().empty
    assert fleet.unmet()["not-armed"].host == "h2"


def test_where_it_was_recovered_to_is_fenced_for_it_and_then_it_runs_elsewhere() -> None:
    fleet = started_unseen(story(vm(), hosts=7, shared=True).converged().armed("h1", "h2"))

    assert fleet.action("fence-host").target.name == "h2"
    definition = fleet.proven("h2").action("define-domain")
    assert definition.host not in {"h1", "h2"}
    assert definition.step.came_from == "h2"  # type: ignore[union-attr]


def test_where_it_was_recovered_to_may_be_lost_once_the_first_is_back() -> None:
    before = running().with_host("h1", domains={})
    fleet = started_unseen(before).returned(before, "h1").proven("h2")

    assert fleet.action("define-domain").host == "h3"


def test_what_is_defined_already_is_not_started_before_that_is_known() -> None:
    recovered = running().lost("h1").proven("h1").converged()
    where = running_on(recovered)[0]
    off = recovered.with_domain(replace(recovered.domain(on=where), state="shutoff", live=None, reason=""), on=where)
    fleet = off.with_ledger(placements={"web": replace(off.ledger.placements["web"], ran=False, came_from="h1")})

    assert fleet.in_state("h1", "unknown").plan().empty
    assert "may be back by now" in fleet.in_state("h1", "unknown").unmet()["host-unread"].detail
    assert fleet.action("start-domain").host == where


def test_a_host_that_refused_it_is_taken_only_where_no_other_fits() -> None:
    fleet = running().lost("h1").proven("h1")
    refused = Failure(f"define-domain:{WEB}@h2", 1, "unsupported", permanent=True, not_before=NOW, inputs="")

    assert fleet.action("define-domain").host == "h2"
    assert fleet.with_ledger(failures={refused.key: refused}).action("define-domain").host == "h3"


def test_a_vm_whose_host_starts_it_by_itself_is_not_run_elsewhere() -> None:
    """It would run twice as soon as that host is back, before anybody could stop it."""
    fleet = running().lost("h1").proven("h1")
    placement = replace(fleet.ledger.placements["web"], autostart=True)

    fleet = fleet.with_ledger(placements={"web": placement})

    assert fleet.plan().empty
    assert "starts it by itself" in fleet.unmet()["host-lost"].detail
