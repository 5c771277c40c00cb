"""Pools and networks: made, started and autostarted where the specs say; never somebody else's."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.steps import DefineNetwork, DefinePool
from tests.support.fleets import Story, network, observed_network, observed_pool, pool, story, vm

LAN = "Network/lan"
VMS = "StoragePool/vms"


def one() -> Story:
    return story(hosts=1)


def test_pools_and_networks_are_defined_where_the_specs_say() -> None:
    fleet = story(pool(hosts={"names": ["h2"]}), network(mode="isolated", hosts={"names": ["h1"]}))

    assert [(a.kind, a.host) for a in fleet.plan().actions] == [("define-pool", "h2"), ("define-network", "h1")]


def test_a_logical_pool_is_made_of_its_volume_group() -> None:
    step = story(pool(type="logical", source={"volumeGroup": "vg0"}), hosts=1).action("define-pool").step

    assert isinstance(step, DefinePool)
    assert (step.config.volume_group, step.config.target) == ("vg0", "/dev/vg0")


def test_a_netfs_pool_is_mounted_from_its_server() -> None:
    spec = pool(type="netfs", target="/srv/vms", source={"host": "nas", "dir": "/export"})

    step = story(spec, hosts=1).action("define-pool").step

    assert isinstance(step, DefinePool)
    assert (step.config.source_host, step.config.source_dir) == ("nas", "/export")


@pytest.mark.parametrize(
    ("found", "fields"),
    [
        (observed_pool(active=False, volumes=None), ["active"]),
        (observed_pool(autostart=False), ["autostart"]),
    ],
)
def test_a_pool_of_ours_is_started_and_autostarted(found: object, fields: list[str]) -> None:
    fleet = one().with_pool(found)  # type: ignore[arg-type]

    assert [change.field for change in fleet.action("start-pool").changes] == fields
    assert fleet.converged().plan().empty


def test_a_network_of_ours_is_started_and_autostarted() -> None:
    fleet = one().with_network(observed_network(active=False, autostart=False))

    assert [change.field for change in fleet.action("start-network").changes] == ["active", "autostart"]


@pytest.mark.parametrize(
    ("spec", "found", "reason"),
    [
        (pool(target="/new"), observed_pool(), "immutable"),
        (pool(type="logical"), observed_pool(), "immutable"),
        (pool(), observed_pool(uuid="theirs", target="/other"), "conflict"),
        (pool(type="existing"), observed_pool(uuid="theirs", active=False, volumes=None), "pool-unavailable"),
    ],
)
def test_a_pool_that_can_not_be_used_is_left_alone_with_a_reason(spec: object, found: object, reason: str) -> None:
    fleet = story(vm(), spec, hosts=1).with_pool(found)  # type: ignore[arg-type]

    assert list(fleet.unmet(VMS)) == [reason]
    assert fleet.kinds(VMS) == []
    assert "pool vms" in dict(fleet.unmet()["no-host-fits"].per_host)["h1"]


def test_somebody_elses_pool_at_the_same_place_is_used_as_it_is() -> None:
    fleet = story(vm(), hosts=1).with_pool(observed_pool(uuid="theirs", autostart=False))

    assert fleet.kinds(VMS) == []
    assert fleet.converged().domain().state == "running"


def test_somebody_elses_network_is_a_conflict_unless_it_is_declared_as_existing() -> None:
    theirs = observed_network(uuid="theirs")

    assert "conflict" in one().with_network(theirs).unmet(LAN)
    assert story(network(mode="existing"), hosts=1).with_network(theirs).unmet(LAN) == {}


def test_an_existing_network_that_is_not_active_is_not_started() -> None:
    fleet = story(network(mode="existing"), hosts=1).with_network(observed_network(uuid="theirs", active=False))

    assert "net-start lan" in fleet.unmet(LAN)["network-unavailable"].hint


def test_a_changed_network_that_nobody_uses_is_redefined() -> None:
    fleet = story(network(mode="nat", subnet="10.1.0.0/24", dhcp=True), hosts=1).with_network(observed_network())

    redefine = fleet.action("define-network")

    assert isinstance(redefine.step, DefineNetwork)
    assert redefine.step.redefine
    assert [(c.field, c.old, c.new) for c in redefine.changes] == [
        ("mode", "isolated", "nat"),
        ("subnet", "None", "10.1.0.0/24"),
        ("dhcp", "no", "yes"),
    ]


def test_a_changed_network_waits_for_those_who_use_it() -> None:
    fleet = story(vm(), hosts=1).converged().with_specs(network(mode="nat", subnet="10.1.0.0/24"))

    pending = fleet.unmet(LAN)["restart-pending"]

    assert fleet.plan().empty
    assert "in use on h1 by web" in pending.detail
    assert [change.field for change in pending.changes] == ["mode", "subnet"]


def test_once_its_users_are_off_a_changed_network_is_redefined_before_they_start_again() -> None:
    fleet = story(vm(), hosts=1).converged().with_specs(network(mode="nat", subnet="10.1.0.0/24"))
    off = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))

    assert off.kinds() == ["define-network", "start-domain"]
    assert off.action("start-domain").after == ("define-network:Network/lan@h1",)


def test_a_held_pool_is_not_defined_and_its_vms_say_so() -> None:
    fleet = story(vm(), pool(annotations={"reconciler/paused": "true"}), hosts=1)

    assert fleet.kinds(VMS) == []
    assert "paused" in fleet.unmet(VMS)
    assert dict(fleet.unmet()["no-host-fits"].per_host) == {"h1": "pool vms: it is held and not active yet"}


def test_a_held_pool_that_lacks_autostart_only_is_used() -> None:
    fleet = story(vm(), hosts=1).with_pool(observed_pool(autostart=False)).with_ledger(paused=frozenset({VMS}))

    assert "define-domain" in fleet.kinds()
    assert "start-pool" not in fleet.kinds()


def test_a_held_network_is_not_defined_and_its_vms_say_so() -> None:
    fleet = story(vm(), hosts=1).with_ledger(paused=frozenset({LAN}))

    assert fleet.kinds(LAN) == []
    assert dict(fleet.unmet()["no-host-fits"].per_host) == {"h1": "network lan: it is held and not active yet"}
