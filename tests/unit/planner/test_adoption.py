"""A domain that is there becomes a VM as it is, or is left alone with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, DomainState, NicConfig
from reconciler.model.steps import AdoptDomain
from reconciler.model.virtual_machine import VirtualMachine
from tests.support.fleets import GIB, Story, host, mark, observed, story, vm, volume

UUID = "4dea22b3-1d52-4d8e-a3d2-0123456789ab"
MAC = "52:54:00:aa:bb:01"
DISK: dict[str, Any] = {"name": "root", "pool": "vms", "volume": "web.img", "format": "raw", "bus": "sata"}


def adopting(uuid: str = UUID, name: str = "web", **spec: Any) -> VirtualMachine:
    """The spec that says what `found` has."""
    full = {
        "disks": [DISK],
        "networks": [{"network": "lan", "mac": MAC, "model": "e1000"}, {"bridge": "br0", "mac": MAC[:-1] + "2"}],
        "devices": {"guestAgentChannel": False, "consoleLog": False, "rng": False},
        "runStrategy": "Manual",
        **spec,
    }
    made = vm(name, **full)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"adopt": uuid})})


def found(state: DomainState = "running", spec: VirtualMachine | None = None, **changes: Any) -> Story:
    """A host with a domain that people made, and the spec that adopts it."""
    fleet = story(vm()).converged()
    config = replace(
        replace(fleet.domain().config, **{"autostart": False, "mark": None, **changes}),
        uuid=UUID,
        agent_channel=False,
        console_log=None,
        rng=False,
        disks=(DiskConfig("sda", "/srv/vms/web.img", "raw", "sata"),),
        nics=(NicConfig(MAC, "lan", "e1000"), NicConfig(MAC[:-1] + "2", "bridge:br0")),
    )
    bare = story(spec or adopting()).with_volumes(volume("web.img", format="raw"))
    ready = fleet.with_specs(without=["VirtualMachine/web", "Image/debian"]).without_domain().with_ledger(placements={})
    placed = replace(ready, specs=bare.specs).with_volumes(volume("web.img", format="raw"))
    return placed.with_domain(observed(config, state))


@pytest.mark.parametrize("state", ["running", "shutoff"])
def test_what_its_spec_describes_is_taken_over_and_nothing_of_it_changes(state: DomainState) -> None:
    fleet = found(state)
    before = fleet.domain()

    action = fleet.action("adopt-domain")
    after = fleet.converged()

    assert (action.sign, action.why, action.disruption) == ("change", "adopt", "none")
    assert [change.field for change in action.changes] == ["managed"]
    assert fleet.kinds() == ["adopt-domain"]
    assert replace(after.domain().config, mark=None) == before.config
    assert after.domain().state == state
    assert after.domain().config.mark == mark(
        adopted=UUID,
        generation=fleet.specs.generation,
        spec_hash=after.domain().config.mark.spec_hash if after.domain().config.mark else "",
        cpu_model="host-model",
    )


def test_a_running_vm_of_a_spec_without_adopt_is_left_to_whoever_made_it() -> None:
    unasked = found(spec=vm())

    assert unasked.kinds() == []
    assert "reconciler adopt h1 web" in unasked.unmet()["conflict"].hint


@pytest.mark.parametrize("state", ["running", "shutoff"])
def test_a_spec_that_differs_is_refused_with_what_differs(state: DomainState) -> None:
    refused = found(state, adopting(memory="2GiB"))

    unmet = refused.unmet()["adoption-refused"]

    assert refused.kinds() == []
    assert unmet.severity == "blocked"
    assert [(change.field, change.old, change.new) for change in unmet.changes] == [("memory", "1GiB", "2GiB")]
    assert "reconciler adopt h1 web" in unmet.hint


def test_what_people_read_of_it_may_differ() -> None:
    titled = found(spec=adopting(title="Shop"))

    assert [change.field for change in titled.action("adopt-domain").changes] == ["managed", "title"]
    assert titled.converged().domain().config.title == "Shop"


def test_autostart_is_told_where_the_run_strategy_changes_it() -> None:
    changes = found(autostart=True).action("adopt-domain").changes

    assert ("autostart", "yes", "no") in [(change.field, change.old, change.new) for change in changes]


def test_no_domain_is_made_for_a_spec_that_adopts_one_that_is_not_there() -> None:
    lone = found().without_domain()

    assert lone.kinds() == []
    assert UUID in lone.unmet()["adoption-refused"].detail


def test_a_domain_that_may_be_on_a_host_out_of_sight_is_waited_for() -> None:
    away = found().without_domain().with_specs(host("h2")).losing_sight_of("h2")

    assert away.kinds() == []
    assert away.unmet()["host-unread"].host == "h2"


def test_a_domain_of_another_name_is_not_taken_over() -> None:
    other = found(spec=adopting(name="shop"))

    assert other.kinds() == []
    assert "domrename web shop" in other.unmet("VirtualMachine/shop")["adoption-refused"].hint


def test_what_another_fleet_manages_is_left_alone() -> None:
    theirs = found(mark=replace(mark(), fleet="other"))

    assert theirs.kinds() == []
    assert "fleet other" in theirs.unmet()["adoption-refused"].detail


def test_a_domain_that_is_on_two_hosts_is_left_to_people() -> None:
    fleet = found()
    twice = fleet.with_specs(host("h2")).with_host("h2").with_domain(fleet.domain(), on="h2")

    assert twice.kinds() == []
    assert "h1 and h2" in twice.unmet()["adoption-refused"].detail


def test_it_stays_ours_when_its_spec_does_not_say_adopt_any_more() -> None:
    spec = adopting()
    plain = spec.model_copy(update={"metadata": spec.metadata.model_copy(update={"adopt": None})})

    assert found().converged().with_specs(plain).kinds() in ([], ["redefine-domain"])


def test_a_copy_by_virt_clone_is_not_taken_for_it() -> None:
    taken = found().converged()
    clone = replace(taken.domain(), name="clone", uuid="99999999-1d52-4d8e-a3d2-0123456789ab")
    config = replace(clone.config, name=clone.name, uuid=clone.uuid)

    cloned = taken.with_domain(replace(clone, config=config, live=None, state="shutoff"))

    assert "clone" in cloned.unmet()["conflict"].detail


def test_a_ledger_that_is_lost_finds_what_was_adopted_by_its_mark() -> None:
    taken = found().converged().with_ledger(placements={}, disk_volumes={}).noticed()

    assert taken.ledger.placements["web"].host == "h1"
    assert taken.kinds() == []


def test_a_volume_that_the_vm_never_had_is_not_used() -> None:
    grabbing = story(vm(disks=[{"name": "root", "pool": "vms", "volume": "payroll.qcow2"}])).with_volumes(
        volume("payroll.qcow2")
    )

    assert "define-domain" not in grabbing.kinds()
    assert "payroll.qcow2" in grabbing.unmet()["disk-not-its-own"].detail


def test_removed_from_the_specs_its_volumes_stay() -> None:
    left = found("shutoff").converged().with_specs(without=["VirtualMachine/web"])

    after = left.applied()

    assert left.kinds() == ["undefine-domain"]
    assert "web.img" in (after.inventory.hosts["h1"].pools["vms"].volumes or {})


def test_defined_again_after_somebody_undefined_it_it_has_its_disk_and_uuid() -> None:
    taken = found("shutoff").converged()
    gone = taken.without_domain().with_ledger(disk_volumes={("web", "root"): "web.img"})

    again = gone.applied()

    assert again.domain().uuid == UUID
    assert again.domain().config.disks[0].path == "/srv/vms/web.img"
    assert isinstance(found().action("adopt-domain").step, AdoptDomain)


def test_memory_changes_as_of_any_other_vm_once_it_is_taken_over() -> None:
    grown = found("shutoff").converged().with_specs(adopting(memory="2GiB"))

    assert grown.action("redefine-domain").step.config.memory == 2 * GIB  # type: ignore[union-attr]
