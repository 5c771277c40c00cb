"""A CPU that all hosts of a fleet have in common, as a text: model, then its features with their signs."""

from __future__ import annotations

from typing import Final

from reconciler.model.abilities import GuestCpu
from reconciler.model.domain import DomainConfig

FLEET_BASELINE: Final = "fleet-baseline"
"""What a spec asks for; a domain gets the CPU that this comes to."""
_OF_ITS_HOST: Final = frozenset({"host-model", "host-passthrough", "maximum", ""})
_SIGNS: Final = {"require": "+", "force": "+", "disable": "-", "forbid": "-"}
_POLICIES: Final = {"+": "require", "-": "disable"}


def cpu_text(cpu: GuestCpu) -> str:
    """`EPYC,+ibpb,-svm`; `qemu64,` where there are no features, so that it is never taken for a model by itself."""
    return f"{cpu.model}," + ",".join(f"{_SIGNS[policy]}{name}" for policy, name in cpu.features if policy in _SIGNS)


def is_cpu_text(model: str) -> bool:
    """Whether it is such a text, and not a model that a spec names."""
    return "," in model


def cpu_of_text(text: str) -> GuestCpu:
    """The other way round."""
    model, *features = text.split(",")
    parsed = ((_POLICIES[feature[0]], feature[1:]) for feature in features if feature)
    return GuestCpu("custom", model, features=tuple(parsed), check="partial")


def cpu_at_boot(config: DomainConfig) -> GuestCpu | None:
    """The CPU that a host must have to start it; None where it takes what the host has, or is emulated."""
    if config.domain_type != "kvm" or config.cpu_model in _OF_ITS_HOST:
        return None
    named = is_cpu_text(config.cpu_model)
    return cpu_of_text(config.cpu_model) if named else GuestCpu("custom", config.cpu_model, check="partial")
