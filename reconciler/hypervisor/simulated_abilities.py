"""CPUs and machine types of the simulated hosts: a CPU is the set of its features."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from reconciler.errors import HostRefused
from reconciler.hypervisor.simulated_world import HostState
from reconciler.model.abilities import CpuQuestion, GuestCpu, HostAbilities
from reconciler.model.domain import DomainConfig
from reconciler.model.fleet_cpu import cpu_of_text, is_cpu_text


def abilities(host: HostState) -> HostAbilities:
    """The same for every domain type that the host has."""
    types = host.facts.domain_types
    return HostAbilities(machines=dict.fromkeys(types, host.machines), cpus=dict.fromkeys(types, host.cpu))


def given(host: HostState, config: DomainConfig) -> GuestCpu:
    """What a guest gets that is started on the host."""
    if config.cpu_model == "host-model":
        return host.cpu
    if config.cpu_model in ("host-passthrough", "maximum"):
        return GuestCpu(config.cpu_model)
    if is_cpu_text(config.cpu_model):
        return replace(cpu_of_text(config.cpu_model), check="full")
    return GuestCpu("custom", config.cpu_model, check="full" if config.domain_type == "kvm" else "none")


def lacks(host: HostState, question: CpuQuestion) -> str:
    """Features that the guest must have and the host has not; models are names without features of their own."""
    missing = sorted(_required(question.cpu) - _required(host.cpu))
    return f"no CPU feature {','.join(missing)}" if missing else ""


def baseline(host: HostState, cpus: Sequence[GuestCpu]) -> GuestCpu:
    """Model of the first, with what all of them have."""
    if len({cpu.vendor for cpu in cpus}) > 1:
        raise HostRefused("CPUs are incompatible", host=host.name)
    common = frozenset.intersection(*(_required(cpu) for cpu in cpus))
    return replace(cpus[0], features=tuple(("require", name) for name in sorted(common)))


def _required(cpu: GuestCpu) -> frozenset[str]:
    return frozenset(name for policy, name in cpu.features if policy == "require")
