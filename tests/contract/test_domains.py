"""What every implementation promises of domains."""

import pytest
from msgspec.structs import replace

from reconciler.errors import HostError, HostRefused, ObjectConflict, ObjectNotFound
from reconciler.hypervisor.domain_parse import parse
from reconciler.hypervisor.interface import HostEvent, Hypervisor
from reconciler.model.domain import DomainConfig, NicConfig
from tests.contract.conftest import Ground
from tests.contract.objects import MIB, domain_config, full_domain_config, uuid_of
from tests.lab.waiting import wait_for


def _observed(host: Hypervisor, like: DomainConfig) -> DomainConfig:
    """The persistent configuration on the host, the machine type's version left aside."""
    config = host.domain(like.uuid).config
    assert config.machine
    return replace(config, machine=like.machine)


def test_an_empty_host_has_no_domains(host: Hypervisor) -> None:
    assert host.read().domains == {}
    assert host.sweep() == ()


def test_the_fleet_knows_its_hosts_and_no_others(ground: Ground) -> None:
    assert set(ground.fleet.names) == {"h1", "h2"}
    with pytest.raises(KeyError):
        ground.fleet.host("h9")


def test_facts_say_what_the_host_can_carry(host: Hypervisor) -> None:
    facts = host.read().facts

    assert facts.memory > 0
    assert facts.cpus > 0
    assert facts.uuid
    assert "qemu" in facts.domain_types


def test_a_defined_domain_is_read_back_as_it_was_asked_for(ground: Ground) -> None:
    config = full_domain_config(ground.pool_path)

    ground.host.define_domain(config)

    assert _observed(ground.host, config) == config
    assert ground.host.domain_by_name(config.name) == ground.host.domain(config.uuid)
    assert ground.host.read().domains[config.name] == ground.host.domain(config.uuid)


def test_a_domain_is_described_in_words_that_mean_what_was_read(ground: Ground) -> None:
    config = full_domain_config(ground.pool_path)
    ground.host.define_domain(config)

    described = ground.host.describe_domain(config.uuid)

    parsed = parse(described.xml, autostart=config.autostart).config
    assert replace(parsed, machine=config.machine) == config
    assert described.snapshots == ()
    with pytest.raises(ObjectNotFound):
        ground.host.describe_domain(uuid_of("nobody"))


def test_a_new_domain_is_persistent_and_off(host: Hypervisor) -> None:
    host.define_domain(domain_config())

    domain = host.domain(uuid_of("web-1"))
    assert (domain.state, domain.persistent, domain.active, domain.live) == ("shutoff", True, False, None)


def test_a_domain_undefined_while_it_runs_is_persistent_once_it_is_defined_again(host: Hypervisor) -> None:
    config = domain_config()
    host.define_domain(config)
    host.start_domain(config.uuid)
    host.undefine_domain(config.uuid, keep_nvram=True)
    transient = host.domain(config.uuid)

    host.define_domain(config)

    assert not transient.persistent
    again = host.domain(config.uuid)
    assert (again.persistent, again.state) == (True, "running")


def test_defining_again_brings_the_domain_to_the_new_configuration(ground: Ground) -> None:
    config = full_domain_config(ground.pool_path)
    ground.host.define_domain(config)
    changed = replace(
        config,
        vcpus=2,
        max_vcpus=4,
        memory=64 * MIB,
        max_memory=128 * MIB,
        disks=config.disks[:1],
        nics=(*config.nics[:1], NicConfig("52:54:00:00:00:03", "lan")),
        graphics="none",
        rng=False,
        autostart=False,
    )

    ground.host.define_domain(changed)

    assert _observed(ground.host, changed) == changed


def test_defining_the_same_again_changes_nothing(host: Hypervisor) -> None:
    host.define_domain(domain_config())
    before = host.domain(uuid_of("web-1"))

    host.define_domain(domain_config())

    assert host.domain(uuid_of("web-1")) == before


def test_any_change_of_the_persistent_configuration_changes_the_fingerprint(host: Hypervisor) -> None:
    config = domain_config()
    host.define_domain(config)
    before = host.domain(config.uuid).fingerprint

    host.define_domain(replace(config, memory=48 * MIB, max_memory=48 * MIB))

    assert host.domain(config.uuid).fingerprint != before


def test_a_name_that_is_taken_by_another_domain_is_a_conflict(host: Hypervisor) -> None:
    host.define_domain(domain_config())

    with pytest.raises(ObjectConflict):
        host.define_domain(replace(domain_config(), uuid=uuid_of("another")))


def test_an_unknown_domain_is_not_found(host: Hypervisor) -> None:
    with pytest.raises(ObjectNotFound):
        host.domain(uuid_of("nobody"))
    with pytest.raises(ObjectNotFound):
        host.start_domain(uuid_of("nobody"))
    assert host.domain_by_name("nobody") is None


def test_a_started_domain_runs_with_the_configuration_that_it_was_started_with(host: Hypervisor) -> None:
    config = domain_config()
    host.define_domain(config)
    host.start_domain(config.uuid)
    host.define_domain(replace(config, memory=48 * MIB, max_memory=48 * MIB))

    domain = host.domain(config.uuid)

    assert domain.state == host.domain_state(config.uuid) == "running"
    assert domain.config.max_memory == 48 * MIB
    assert domain.live is not None
    assert domain.live.max_memory == 32 * MIB
    assert [(each.name, each.state) for each in host.sweep()] == [("web-1", "running")]


def test_the_live_configuration_of_a_domain_that_was_not_changed_is_the_persistent_one(host: Hypervisor) -> None:
    config = replace(domain_config(), cpu_model="host-model")
    host.define_domain(config)

    host.start_domain(config.uuid)

    domain = host.domain(config.uuid)
    assert domain.live == domain.config


def test_starting_a_running_domain_is_refused(host: Hypervisor) -> None:
    host.define_domain(domain_config())
    host.start_domain(uuid_of("web-1"))

    with pytest.raises(HostRefused):
        host.start_domain(uuid_of("web-1"))


def test_destroying_a_domain_that_is_off_is_fine(host: Hypervisor) -> None:
    host.define_domain(domain_config())
    host.start_domain(uuid_of("web-1"))

    host.destroy_domain(uuid_of("web-1"))
    host.destroy_domain(uuid_of("web-1"))

    assert host.domain_state(uuid_of("web-1")) == "shutoff"


def test_what_is_off_says_why(host: Hypervisor) -> None:
    config = domain_config()
    host.define_domain(config)
    defined = host.domain(config.uuid).reason
    host.start_domain(config.uuid)
    running = host.domain(config.uuid).reason
    host.destroy_domain(config.uuid)

    destroyed = host.domain(config.uuid).reason

    assert (defined, running, destroyed) == ("unknown", "", "destroyed")
    assert host.read().domains[config.name].reason == "destroyed"


def test_a_domain_that_is_off_has_no_guest_to_be_asked(host: Hypervisor) -> None:
    host.define_domain(domain_config())

    with pytest.raises(HostRefused):
        host.guest_answers(uuid_of("web-1"))


def test_a_guest_without_an_agent_does_not_answer(host: Hypervisor) -> None:
    config = replace(domain_config(), agent_channel=False)
    host.define_domain(config)
    host.start_domain(config.uuid)

    assert not host.guest_answers(config.uuid)


def test_an_undefined_domain_is_gone(host: Hypervisor) -> None:
    host.define_domain(domain_config())

    host.undefine_domain(uuid_of("web-1"), keep_nvram=False)

    assert host.domain_by_name("web-1") is None
    with pytest.raises(ObjectNotFound):
        host.undefine_domain(uuid_of("web-1"), keep_nvram=False)


def test_a_domain_that_is_off_gets_another_name_and_stays_the_same_otherwise(host: Hypervisor) -> None:
    host.define_domain(domain_config())
    before = host.domain(uuid_of("web-1"))

    host.rename_domain(uuid_of("web-1"), "shop")

    after = host.domain(uuid_of("web-1"))
    assert (after.name, host.domain_by_name("web-1")) == ("shop", None)
    assert replace(after.config, name="web-1") == before.config


def test_no_domain_is_renamed_that_runs_or_to_a_name_that_is_taken(host: Hypervisor) -> None:
    host.define_domain(domain_config())
    host.define_domain(domain_config("web-2"))

    with pytest.raises(HostError):
        host.rename_domain(uuid_of("web-1"), "web-2")
    host.start_domain(uuid_of("web-1"))
    with pytest.raises(HostRefused):
        host.rename_domain(uuid_of("web-1"), "shop")

    assert {*host.read().domains} == {"web-1", "web-2"}


def test_autostart_is_set_and_cleared(host: Hypervisor) -> None:
    host.define_domain(domain_config())

    host.set_autostart(uuid_of("web-1"), autostart=True)
    assert host.read().domains["web-1"].config.autostart
    host.set_autostart(uuid_of("web-1"), autostart=False)
    assert not host.read().domains["web-1"].config.autostart


def test_subscribers_are_told_that_a_domain_changed(ground: Ground) -> None:
    seen: list[HostEvent] = []
    ground.fleet.subscribe(seen.append)
    ground.host.sweep()

    ground.host.define_domain(domain_config())

    wait_for(
        lambda: any((event.host, event.kind, event.target) == ("h1", "domain", "web-1") for event in seen),
        10,
        lambda: f"no event of the definition: {seen}",
    )
