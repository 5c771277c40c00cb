"""Domains as libvirt shows them once they were defined."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from reconciler.model import steps
from reconciler.model.domain import ACTIVE_STATES, DomainConfig, DomainState
from reconciler.model.inventory import ObservedDomain

_Redefining = steps.RedefineDomain | steps.AdoptDomain | steps.RenameDomain
DomainStep = _Redefining | steps.SetAutostart | steps.StartDomain | steps.StopDomain
_VERSIONED: Final = {"q35": "pc-q35-7.2", "pc": "pc-i440fx-7.2"}


def domain_as_defined(config: DomainConfig, state: DomainState = "shutoff", **fields: Any) -> ObservedDomain:
    """A domain as libvirt shows it: the machine versioned, a live configuration while it is active."""
    stored = replace(config, machine=_VERSIONED.get(config.machine, config.machine))
    made = ObservedDomain(
        name=stored.name,
        uuid=stored.uuid,
        state=state,
        persistent=True,
        config=stored,
        live=stored if state in ACTIVE_STATES else None,
        fingerprint=fingerprint_of(stored),
    )
    return replace(made, **fields)


def fingerprint_of(config: DomainConfig) -> str:
    """Stands for the hash of the XML, which does not tell autostart."""
    return repr(replace(config, autostart=False))


def at_target(config: DomainConfig, step: steps.MigrateDomain) -> DomainConfig:
    paths = {**dict(step.paths), **{disk.device: disk.target_path for disk in step.disks}}
    assert config.mark is not None
    return replace(
        config,
        disks=tuple(replace(disk, path=paths.get(disk.target, disk.path)) for disk in config.disks),
        seed=config.seed and replace(config.seed, path=paths.get(config.seed.target, config.seed.path)),
        mark=replace(config.mark, epoch=step.epoch),
        autostart=False,
    )


def uuid_of(step: DomainStep) -> str:
    """The domain that the step is about."""
    is_whole = isinstance(step, _Redefining)
    return step.config.uuid if is_whole else step.uuid


def redefined(domain: ObservedDomain, step: steps.RedefineDomain | steps.AdoptDomain) -> ObservedDomain:
    """The domain with its new definition; what runs has the mark of it alone."""
    assert step.expect_fingerprint == domain.fingerprint
    autostart = step.config.autostart if isinstance(step, steps.AdoptDomain) else domain.config.autostart
    fresh = domain_as_defined(replace(step.config, autostart=autostart))
    return replace(fresh, state=domain.state, live=domain.live and replace(domain.live, mark=step.config.mark))
