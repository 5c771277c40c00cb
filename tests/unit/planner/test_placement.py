"""Where a new VM goes: each filter says why not, the score spreads by what is left."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.fleets import GIB, Story, host, network, observed, observed_host, pool, story, stranger, vm


def rejections(fleet: Story, name: str = "web") -> dict[str, str]:
    return dict(fleet.unmet(f"VirtualMachine/{name}")["no-host-fits"].per_host)


def homes(fleet: Story) -> dict[str, str | None]:
    return {a.target.name: a.host for a in fleet.plan().actions if a.kind == "define-domain"}


@pytest.mark.parametrize(
    ("fleet", "reason"),
    [
        (story(vm(), host("h1", state="cordoned"), hosts=1), "cordoned"),
        (story(vm(), host("h1", state="maintenance"), hosts=1), "maintenance"),
        (story(vm(), host("h1", annotations={"reconciler/paused": "true"}), hosts=1), "paused"),
        (story(vm(placement={"hosts": ["h7"]}), hosts=1), "not in placement.hosts"),
        (story(vm(placement={"nodeSelector": {"rack": "a", "disk": "ssd"}}), hosts=1), "no label disk=ssd rack=a"),
        (story(vm(), hosts=1, domain_types=("qemu",)), "no kvm"),
        (story(vm(), pool(hosts={"names": ["h9"]}), hosts=1), "no pool vms"),
        (story(vm(), pool(type="existing"), hosts=1), "pool vms: h1 has no pool named vms"),
        (story(vm(), network(mode="isolated", hosts={"names": ["h9"]}), hosts=1), "no network lan"),
        (story(vm(), network(mode="existing"), hosts=1), "network lan: h1 has no network named lan"),
        (story(vm(memory="20GiB"), hosts=1), "lacks 4GiB of memory"),
        (story(vm(cpu={"count": 33}), hosts=1), "lacks 1 vCPU"),
        (story(vm(), host("h1", reserved={"memory": "16GiB"}), hosts=1), "lacks 1GiB of memory"),
        (story(vm(cpu={"count": 5}), host("h1", overcommit={"cpu": 0.5}), hosts=1), "lacks 1 vCPU"),
    ],
)
def test_a_host_is_rejected_with_its_reason(fleet: Story, reason: str) -> None:
    assert rejections(fleet) == {"h1": reason}


@pytest.mark.parametrize(
    ("fleet", "remedy"),
    [
        (story(vm(), hosts=1, domain_types=("qemu",)), "write domainType: qemu (emulated, slow), or have h1 offer KVM"),
        (story(vm(memory="20GiB"), hosts=1), "give it less (memory), or free some"),
        (story(vm(memory="2GiB", maxMemory="20GiB"), hosts=1), "give it less (maxMemory or memory), or free some"),
        (story(vm(cpu={"count": 33}), hosts=1), "give it less (cpu.count), or free some"),
        (story(vm(), host("h1", state="cordoned"), hosts=1), "write state: active for Host h1"),
        (story(vm(placement={"hosts": ["h7"]}), hosts=1), "reconciler why VirtualMachine/web"),
    ],
)
def test_a_vm_that_no_host_takes_is_told_what_would_let_it_be_placed(fleet: Story, remedy: str) -> None:
    assert fleet.unmet()["no-host-fits"].hint.startswith(remedy)


def test_a_host_out_of_sight_is_rejected_as_such() -> None:
    fleet = story(vm(memory="20GiB")).losing_sight_of("h2")

    assert rejections(fleet) == {"h1": "lacks 4GiB of memory", "h2": "can't be read"}


def test_vms_that_must_be_spread_never_share_a_host() -> None:
    apart: dict[str, Any] = {"labels": {"app": "db"}, "placement": {"spread": {"app": "db"}}}
    fleet = story(vm("a", **apart), vm("b", **apart), vm("c", **apart))

    assert set(homes(fleet).values()) == {"h1", "h2"}
    assert rejections(fleet, "c") == {"h1": "spread app=db", "h2": "spread app=db"}


def test_vms_that_would_rather_be_spread_share_a_host_when_there_is_no_other() -> None:
    apart: dict[str, Any] = {"labels": {"app": "db"}, "placement": {"preferSpread": {"app": "db"}}}

    fleet = story(vm("a", **apart), vm("b", **apart), vm("c", **apart))

    assert sorted(str(home) for home in homes(fleet).values()) == ["h1", "h1", "h2"]


def test_new_vms_are_spread_by_free_memory() -> None:
    fleet = story(*(vm(f"vm-{number}", memory="2GiB") for number in range(6)), hosts=3)

    spread = list(homes(fleet).values())

    assert {home: spread.count(home) for home in ("h1", "h2", "h3")} == {"h1": 2, "h2": 2, "h3": 2}


def test_memory_of_unmanaged_domains_counts() -> None:
    fleet = story(vm("first"), hosts=1).converged()
    big = stranger("theirs", replace(fleet.domain("first").config, memory=14 * GIB, max_memory=14 * GIB))

    crowded = fleet.with_domain(big).with_specs(vm(memory="2GiB"))

    assert rejections(crowded) == {"h1": "lacks 1GiB of memory"}


def test_memory_that_a_guest_may_be_given_later_is_promised_now() -> None:
    assert rejections(story(vm(maxMemory="20GiB"), hosts=1)) == {"h1": "lacks 4GiB of memory"}


def test_memory_of_a_vm_that_is_off_but_should_run_is_promised() -> None:
    fleet = story(vm("first", memory="12GiB"), hosts=1).converged()
    off = replace(fleet.domain("first"), state="crashed", live=None)

    assert rejections(fleet.with_domain(off).with_specs(vm(memory="8GiB"))) == {"h1": "lacks 4GiB of memory"}


def test_a_vm_of_higher_priority_is_placed_first() -> None:
    fleet = story(vm("low", memory="10GiB", ha={"priority": 1}), vm("top", memory="10GiB"), hosts=1)

    assert homes(fleet) == {"top": "h1"}
    assert rejections(fleet, "low") == {"h1": "lacks 4GiB of memory"}


def test_with_all_else_equal_a_host_that_has_the_image_wins() -> None:
    fleet = story(vm(placement={"hosts": ["h2"]}, memory="1GiB", cpu={"count": 1}), hosts=2).converged()
    emptied = fleet.with_specs(without=["VirtualMachine/web"]).converged()

    assert homes(emptied.with_specs(vm("next"))) == {"next": "h2"}


def test_with_all_equal_the_first_host_by_name_wins() -> None:
    assert homes(story(vm(), hosts=3)) == {"web": "h1"}


def test_a_larger_host_is_not_full_before_a_smaller_one() -> None:
    fleet = story(*(vm(f"vm-{n}", memory="2GiB") for n in range(4))).with_host(
        "h2", facts=observed_host("h2", memory=64 * GIB, cpus=32).facts
    )

    assert list(homes(fleet).values()).count("h2") >= 3


def test_a_domain_of_ours_that_is_off_for_good_takes_no_room() -> None:
    fleet = story(vm("first", memory="12GiB", runStrategy="Halted"), hosts=1).converged()

    assert homes(fleet.with_specs(vm(memory="8GiB"))) == {"web": "h1"}
    assert observed(fleet.domain("first").config, "shutoff").live is None
