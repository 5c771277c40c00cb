"""A host in maintenance is emptied: what runs there is moved, a few at a time; what can't be moved is named."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.abilities import CpuAnswer, CpuQuestion, GuestCpu, HostAbilities
from reconciler.model.health import HostHealth
from reconciler.model.ledger import Failure
from reconciler.model.plan import Action
from reconciler.model.policy import Migration, Policy
from reconciler.model.steps import MigrateDomain, StopDomain
from tests.support.fleets import FLEET, GIB, NOW, Spec, Story, host, story, vm


def fleet(*vms: Spec, hosts: int = 3, **fields: object) -> Story:
    """VMs that all run on h1, whose disks are shared; then h1 goes into maintenance."""
    others = [host(f"h{number}", state="cordoned") for number in range(2, hosts + 1)]
    there = story(*vms, *others, hosts=hosts, shared=True, **fields).converged()
    active = [host(f"h{number}") for number in range(2, hosts + 1)]
    return there.with_specs(
        *active, host("h1", state="maintenance"), without=[f"Host/h{number}" for number in range(1, hosts + 1)]
    )


def moves(of: Story) -> dict[str, str]:
    """Target of each VM that is moved."""
    return {a.target.name: a.step.target for a in of.plan().actions if isinstance(a.step, MigrateDomain)}


def settled(of: Story) -> Story:
    """Passes until nothing is moved any more."""
    for _ in range(20):
        if of.plan().empty:
            return of
        of = of.applied()
    raise AssertionError


def running_on(of: Story) -> dict[str, list[str]]:
    return {
        name: sorted(domain.name for domain in known.domains.values() if domain.active)
        for name, known in of.inventory.hosts.items()
    }


def test_a_running_vm_is_moved_off_a_host_in_maintenance() -> None:
    action = fleet(vm()).action("migrate-domain")

    assert (action.host, action.why, action.disruption, action.sign) == ("h2", "drain", "migrate", "move")
    assert isinstance(action.step, MigrateDomain)
    assert (action.step.source, action.step.target, action.step.epoch) == ("h1", "h2", 2)


def test_a_drained_host_ends_up_empty_and_nothing_more_is_planned() -> None:
    done = settled(fleet(*(vm(f"web-{number}") for number in range(7))))

    assert running_on(done)["h1"] == []
    assert sum(map(len, running_on(done).values())) == 7


def test_two_at_once_leave_a_host_the_most_important_first() -> None:
    drained = fleet(*(vm(f"web-{number}", ha={"priority": number}) for number in range(1, 5)))

    assert sorted(moves(drained)) == ["web-3", "web-4"]
    assert "2 at once leave h1" in drained.unmet("VirtualMachine/web-1")["move-waits"].detail


def test_no_more_are_on_their_way_in_the_fleet_than_the_policy_allows() -> None:
    policy = Policy(fleet=FLEET, migration=Migration(parallel_fleet=1))
    drained = replace(fleet(vm("a"), vm("b")), policy=policy)

    assert sorted(moves(drained)) == ["a"]


def test_a_cordoned_host_takes_none() -> None:
    drained = fleet(vm(), hosts=2).with_specs(host("h2", state="cordoned"), without=["Host/h2"])

    assert moves(drained) == {}
    assert drained.unmet()["not-wanted-here"].per_host == (("h2", "cordoned"),)


def test_vms_of_a_cordoned_host_stay() -> None:
    there = story(vm(), hosts=2, shared=True).converged()

    assert there.with_specs(host("h1", state="cordoned"), without=["Host/h1"]).plan().empty


def test_a_vm_that_no_host_takes_stays_and_each_host_says_why() -> None:
    drained = fleet(vm(memory="8GiB"), hosts=3, memory=16 * GIB).with_host("h2", abilities=None)
    drained = drained.with_specs(host("h3", reserved={"memory": "12GiB"}), without=["Host/h3"])

    stuck = drained.unmet()["not-wanted-here"]
    assert drained.plan().empty
    assert stuck.severity == "blocked"
    assert stuck.per_host == (("h2", "it has not said what its hypervisor can do"), ("h3", "lacks 4GiB of memory"))


def test_a_vm_that_no_host_takes_is_shut_down_if_its_spec_says_so() -> None:
    drained = fleet(vm(memory="8GiB", placement={"onDrain": "shutdown"}), hosts=2).with_specs(
        host("h2", reserved={"memory": "12GiB"}), without=["Host/h2"]
    )

    action = drained.action("stop-domain")
    off = drained.applied()

    assert isinstance(action.step, StopDomain)
    assert (action.why, action.step.timeout) == ("drain", drained.policy.shutdown_timeout)
    assert off.plan().empty
    assert "started once h1 is active" in off.unmet()["not-wanted-here"].detail


def test_a_vm_that_was_shut_down_for_a_drain_is_started_once_its_host_is_active() -> None:
    off = (
        fleet(vm(memory="8GiB", placement={"onDrain": "shutdown"}), hosts=2)
        .with_specs(host("h2", reserved={"memory": "12GiB"}), without=["Host/h2"])
        .applied()
    )

    assert off.with_specs(host("h1"), without=["Host/h1"]).kinds() == ["start-domain"]


def test_a_vm_is_not_shut_down_while_a_host_that_might_take_it_can_not_be_read() -> None:
    drained = fleet(vm(placement={"onDrain": "shutdown"}), hosts=2).losing_sight_of("h2")

    assert drained.plan().empty
    assert drained.unmet()["not-wanted-here"].per_host == (("h2", "can't be read"),)


def test_a_vm_that_is_left_to_people_is_neither_moved_nor_stopped() -> None:
    drained = fleet(vm(placement={"onDrain": "block"}))

    assert drained.plan().empty
    assert "onDrain: block" in drained.unmet()["not-wanted-here"].detail


def test_two_vms_that_must_not_share_a_host_do_not_meet_on_the_target() -> None:
    apart = {"labels": {"app": "web"}, "placement": {"spread": {"app": "web"}}}
    there = story(vm("a", **apart), vm("b", **apart), host("h3", state="cordoned"), hosts=3, shared=True).converged()
    drained = there.with_specs(host("h1", state="maintenance"), without=["Host/h1"])

    assert drained.plan().empty
    assert ("h2", "spread app=web") in drained.unmet("VirtualMachine/a")["not-wanted-here"].per_host


def test_a_vm_takes_room_on_both_hosts_while_it_moves() -> None:
    drained = fleet(vm("a", memory="9GiB"), vm("b", memory="6GiB"), hosts=2, memory=16 * GIB)
    half = drained.with_specs(host("h2", reserved={"memory": "4GiB"}), without=["Host/h2"])

    assert moves(half) == {"a": "h2"}
    assert half.unmet("VirtualMachine/b")["not-wanted-here"].per_host == (("h2", "lacks 3GiB of memory"),)


def test_a_vm_that_is_to_be_off_is_shut_down_before_it_is_moved() -> None:
    there = fleet(vm()).with_specs(vm(runStrategy="Halted"))

    assert there.kinds("VirtualMachine/web") == ["stop-domain"]
    assert moves(there.applied()) == {"web": "h2"}


def test_a_held_vm_is_not_moved() -> None:
    held = fleet(vm()).with_ledger(paused=frozenset({"VirtualMachine/web"}))

    assert held.plan().empty
    assert "paused" in held.unmet()


def test_nothing_is_moved_off_a_held_host() -> None:
    held = fleet(vm()).with_ledger(paused=frozenset({"Host/h1"}))

    assert held.plan().empty


def test_nothing_is_moved_from_or_to_a_host_that_does_not_answer_its_probes() -> None:
    drained = fleet(vm())
    suspect = HostHealth("h1", "suspect", "hesitating", "no answer for 2 s", NOW, None)

    assert drained.with_ledger(health={"h1": suspect}).plan().empty
    assert moves(drained.with_ledger(health={"h2": replace(suspect, host="h2")})) == {"web": "h3"}


def failed(action: Action, attempts: int = 1) -> Failure:
    return Failure(action.id, attempts, "the link broke", permanent=False, not_before=NOW + 60, inputs="")


def test_a_migration_that_failed_is_tried_elsewhere() -> None:
    drained = fleet(vm())
    failure = failed(drained.action("migrate-domain"))

    assert moves(drained.with_ledger(failures={failure.key: failure})) == {"web": "h3"}


def test_a_vm_that_lacks_a_cpu_feature_elsewhere_goes_where_it_has_it() -> None:
    cpu = GuestCpu("custom", "EPYC", features=(("require", "avx2"),), check="full")
    question = CpuQuestion(cpu, "kvm")
    drained = fleet(vm())
    drained = drained.with_domain(replace(drained.domain(), cpu=cpu))
    drained = drained.with_host("h2", abilities=HostAbilities(answers=(CpuAnswer(question, "no CPU feature avx2"),)))
    drained = drained.with_host("h3", abilities=HostAbilities(answers=(CpuAnswer(question, ""),)))

    assert moves(drained) == {"web": "h3"}


def test_a_vm_stays_that_has_the_cpu_of_its_host_where_no_other_host_has_the_same() -> None:
    here, there = (HostAbilities(cpus={"kvm": GuestCpu("custom", model)}) for model in ("EPYC", "Skylake-Server"))
    drained = fleet(vm(cpu={"model": "host-passthrough"}), hosts=2)
    drained = drained.with_domain(replace(drained.domain(), cpu=GuestCpu("host-passthrough")))
    drained = drained.with_host("h1", abilities=here)

    assert drained.with_host("h2", abilities=there).plan().empty
    assert moves(drained.with_host("h2", abilities=here)) == {"web": "h2"}


def test_a_machine_type_that_a_host_lacks_keeps_the_vm_off_it() -> None:
    old = HostAbilities(machines={"kvm": ("pc-q35-6.0", "q35")})
    drained = fleet(vm(), hosts=2).with_host("h2", abilities=old)

    assert drained.unmet()["not-wanted-here"].per_host == (("h2", "no machine type pc-q35-7.2"),)


def test_a_device_of_its_host_keeps_a_vm_there() -> None:
    drained = fleet(vm())
    drained = drained.with_domain(replace(drained.domain(), restricted=("hostdev",)))

    assert drained.plan().empty
    assert "hostdev can't be moved" in drained.unmet()["not-wanted-here"].detail


def test_a_host_that_others_can_not_reach_is_no_target() -> None:
    drained = fleet(vm(), hosts=2).with_specs(host("h2", uri="qemu:///system"), without=["Host/h2"])

    assert "can't reach it" in drained.unmet()["not-wanted-here"].per_host[0][1]


def test_local_disks_go_along_where_there_is_room_for_them() -> None:
    there = story(vm(), host("h2", state="cordoned"), hosts=2).converged()
    drained = there.with_specs(host("h1", state="maintenance"), host("h2"), without=["Host/h1", "Host/h2"])
    action = drained.action("migrate-domain")
    full = drained.with_pool(replace(drained.inventory.hosts["h2"].pools["vms"], available=0), "h2")

    assert isinstance(action.step, MigrateDomain)
    assert [disk.volume for disk in action.step.disks] == ["prod.web.root.qcow2"]
    assert full.unmet()["not-wanted-here"].per_host[0][1].startswith("pool vms −")


def test_a_drain_taken_back_half_way_leaves_vms_where_they_are() -> None:
    drained = fleet(*(vm(f"web-{number}") for number in range(4))).applied()
    back = drained.with_specs(host("h1"), without=["Host/h1"])

    assert back.plan().empty


def test_where_to_vms_would_go_that_wait_for_others_is_told_as_far_as_it_is_known() -> None:
    drained = fleet(*(vm(f"web-{number}", memory="6GiB") for number in range(5)), memory=64 * GIB)
    small = drained.with_specs(host("h2", reserved={"memory": "48GiB"}), without=["Host/h2"])
    small = small.with_specs(host("h3", reserved={"memory": "50GiB"}), without=["Host/h3"])
    waits = {name: small.unmet(f"VirtualMachine/{name}")["move-waits"] for name in ("web-2", "web-3", "web-4")}

    assert moves(small) == {"web-0": "h2", "web-1": "h3"}
    assert waits["web-2"].detail.endswith("2 at once leave h1; to h2, as things are now")
    assert waits["web-3"].detail.endswith("to h3, as things are now")
    assert waits["web-4"].detail.endswith("and no other host would take it, as things are")
    assert waits["web-4"].per_host == (("h2", "lacks 2GiB of memory"), ("h3", "lacks 4GiB of memory"))
