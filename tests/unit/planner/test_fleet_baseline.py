"""`cpu.model: fleet-baseline` is what all hosts have, and stays what it was once a VM has it."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.abilities import CpuAnswer, CpuQuestion, HostAbilities
from reconciler.model.fleet_cpu import cpu_of_text, cpu_text, is_cpu_text
from reconciler.model.policy import Policy
from reconciler.model.steps import DefineDomain, RedefineDomain
from reconciler.planner.mobility import mobility
from reconciler.planner.questions import missing_baselines, questions
from reconciler.planner.world import make_world
from tests.support.fleets import FLEET, Story, host, observed_host, story, vm
from tests.unit.planner.test_drain import moves, settled
from tests.unit.planner.test_fencing import fenced

_COMMON = "EPYC,+avx2,+ibpb"
_LESS = "EPYC,+ibpb"
_WANTED = {"cpu": {"model": "fleet-baseline"}}


def known(fleet: Story, text: str = _COMMON) -> Story:
    """The hosts have told what they have in common."""
    return replace(fleet, inventory=replace(fleet.inventory, baselines={"kvm": text}))


def converged() -> Story:
    """A VM has the CPU of the fleet."""
    return known(story(vm(**_WANTED), shared=True)).converged()


def test_a_new_vm_gets_what_all_hosts_have() -> None:
    step = known(story(vm(**_WANTED))).action("define-domain").step

    assert isinstance(step, DefineDomain)
    assert step.config.cpu_model == _COMMON


def test_once_it_has_it_nothing_is_left_to_do() -> None:
    assert converged().plan().empty


def test_a_first_vm_waits_until_every_host_has_told_what_it_has() -> None:
    silent = known(story(vm(**_WANTED))).with_host("h2", abilities=None)

    # What the others have in common is of no use yet.
    assert known(story(vm(**_WANTED)).losing_sight_of("h2")).kinds("VirtualMachine/web") == []
    assert silent.kinds("VirtualMachine/web") == []
    assert ("h1", "the CPU that all hosts have is not known yet") in silent.unmet()["no-host-fits"].per_host


def test_what_vms_have_does_not_change_though_hosts_have_less_in_common_now() -> None:
    fleet = known(converged(), _LESS)

    later = fleet.with_specs(vm("later", **_WANTED)).action("define-domain").step

    assert fleet.plan().empty
    assert isinstance(later, DefineDomain)
    assert later.config.cpu_model == _COMMON


def test_a_host_that_has_less_is_told_and_takes_none_of_these_vms() -> None:
    answer = CpuAnswer(CpuQuestion(cpu_of_text(_COMMON), "kvm"), "no CPU feature avx2")
    weak = observed_host("h3", memory=1 << 40)
    fleet = replace(
        converged(), inventory=replace(converged().inventory, hosts={**converged().inventory.hosts, "h3": weak})
    )
    fleet = fleet.with_specs(host("h3")).with_host("h3", abilities=HostAbilities(answers=(answer,)))
    fleet = fleet.with_ledger(hosts_read=frozenset({"h1", "h2", "h3"})).converged()

    more = fleet.with_specs(vm("more", **_WANTED))

    assert "avx2" in fleet.unmet("Host/h3")["below-baseline"].detail
    assert more.action("define-domain").host != "h3"


def test_a_vm_that_comes_to_ask_for_it_is_staged_and_told() -> None:
    fleet = known(story(vm(), shared=True)).converged().with_specs(vm(**_WANTED))
    step = fleet.action("redefine-domain").step

    assert isinstance(step, RedefineDomain)
    assert step.config.cpu_model == _COMMON
    assert fleet.action("redefine-domain").changes[0].field == "cpu.model"


def test_a_cpu_that_was_changed_by_hand_is_brought_back() -> None:
    assert converged().edited(cpu_model="EPYC").kinds() == ["redefine-domain"]


def test_it_is_worked_out_only_where_no_vm_has_it() -> None:
    fresh, there = story(vm(**_WANTED)), converged()

    assert missing_baselines(fresh.specs, fresh.inventory, fresh.policy) == {"kvm"}
    assert missing_baselines(there.specs, there.inventory, there.policy) == set()
    assert questions(there.specs, there.inventory, {}, there.policy)["h2"] == {CpuQuestion(cpu_of_text(_COMMON), "kvm")}


def test_the_text_of_a_cpu_is_read_back_as_it_was() -> None:
    assert cpu_text(cpu_of_text(_COMMON)) == _COMMON
    assert cpu_text(cpu_of_text("qemu64,")) == "qemu64,"
    assert is_cpu_text("qemu64,")
    assert not is_cpu_text("qemu64")


def test_one_that_has_it_can_be_moved_as_any_other() -> None:
    fleet = converged()
    world = make_world(fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, fleet.now)

    assert mobility(world)[0].targets == ("h2",)


def test_one_that_has_it_returns_to_the_host_that_was_emptied_of_it() -> None:
    there = replace(converged(), policy=Policy(fleet=FLEET, failback=True))
    emptied = settled(there.with_specs(host("h1", state="maintenance"), without=["Host/h1"]))

    assert moves(emptied.with_specs(host("h1"), without=["Host/h1"])) == {"web": "h1"}


def test_the_power_of_a_silent_host_is_cut_for_one_that_has_it() -> None:
    fleet = known(story(vm(**_WANTED), vm("beside", placement={"hosts": ["h2"]}, **_WANTED), hosts=3, shared=True))

    assert fenced(fleet.converged().armed("h1", "h2", "h3").lost("h1")) == ["h1"]
