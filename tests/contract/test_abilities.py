"""What every implementation promises of what a host can do for guests from elsewhere."""

import pytest
from msgspec.structs import replace

from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.abilities import CpuQuestion, GuestCpu
from reconciler.model.fleet_cpu import cpu_text
from tests.contract.conftest import Ground
from tests.contract.objects import domain_config


def _running(host: Hypervisor, model: str) -> GuestCpu:
    config = replace(domain_config(), cpu_model=model)
    host.define_domain(config)
    host.start_domain(config.uuid)
    cpu = host.domain(config.uuid).cpu
    host.destroy_domain(config.uuid)
    assert cpu is not None
    return cpu


def test_a_host_tells_its_machine_types_and_the_cpu_that_it_has_for_guests(host: Hypervisor) -> None:
    abilities = host.abilities()

    assert {"q35", "pc"} <= set(abilities.machines["qemu"])
    assert any(name.startswith("pc-q35-") for name in abilities.machines["qemu"])
    assert abilities.cpus["qemu"].model
    assert abilities.answers == ()


def test_a_guest_that_is_off_has_no_cpu(host: Hypervisor) -> None:
    host.define_domain(domain_config())

    assert host.domain(domain_config().uuid).cpu is None


def test_the_cpu_of_a_running_guest_is_known_and_the_same_machine_elsewhere_has_it(ground: Ground) -> None:
    cpu = _running(ground.host, "host-model")

    assert cpu.is_bound
    assert cpu.model == ground.host.abilities().cpus["qemu"].model
    assert ground.other.cpu_lacks(CpuQuestion(cpu, "qemu")) == ""


def test_a_guest_that_has_the_whole_cpu_of_its_host_is_bound_to_no_certain_one(host: Hypervisor) -> None:
    assert not _running(host, "maximum").is_bound


def test_what_a_host_lacks_is_named(host: Hypervisor) -> None:
    cpu = host.abilities().cpus["qemu"]
    better = replace(cpu, features=(*cpu.features, ("require", "avx512f")))

    assert host.cpu_lacks(CpuQuestion(better, "qemu")) == "no CPU feature avx512f"


def test_hosts_with_the_same_cpu_have_all_of_it_in_common(ground: Ground) -> None:
    cpus = [host.abilities().cpus["qemu"] for host in (ground.host, ground.other)]

    common = ground.host.cpu_baseline(cpus, "qemu")

    assert common is not None
    assert (common.model, common.features) == (cpus[0].model, cpus[0].features)


def test_what_hosts_have_in_common_can_be_had_on_each(ground: Ground) -> None:
    cpu = ground.host.abilities().cpus["qemu"]
    common = ground.host.cpu_baseline([cpu, replace(cpu, features=cpu.features[1:])], "qemu")

    assert common is not None
    assert ground.other.cpu_lacks(CpuQuestion(common, "qemu")) == ""


@pytest.mark.parametrize("times", [1, 3])
def test_asking_changes_nothing(host: Hypervisor, times: int) -> None:
    before = [host.abilities() for _ in range(times)]

    assert host.abilities() == before[0]
    assert host.sweep() == ()


def test_a_domain_with_the_cpu_of_the_fleet_has_just_that_and_runs(ground: Ground) -> None:
    cpus = [host.abilities().cpus["qemu"] for host in (ground.host, ground.other)]
    common = ground.host.cpu_baseline(cpus, "qemu")
    assert common is not None
    config = replace(domain_config(), cpu_model=cpu_text(common))
    assert config.mark is not None
    config = replace(config, mark=replace(config.mark, cpu_model=config.cpu_model))

    ground.host.define_domain(config)
    ground.host.start_domain(config.uuid)

    observed = ground.host.domain(config.uuid)
    assert observed.config.cpu_model == config.cpu_model
    assert observed.live is not None
    assert observed.live.cpu_model == config.cpu_model
    assert observed.cpu is not None
    assert ground.other.cpu_lacks(CpuQuestion(observed.cpu, "qemu")) == ""
