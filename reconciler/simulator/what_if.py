"""A scenario out of a user's own specs: a plausible fleet for them, and what is to happen to it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler.errors import UsageError
from reconciler.model.desired_state import DesiredState
from reconciler.model.host import Host
from reconciler.model.policy import Policy
from reconciler.model.quantities import parse_duration
from reconciler.simulator.command import Verb, read_command
from reconciler.simulator.scenario import Event, FleetFile, FleetHost, Scenario
from reconciler.specfiles.loader import load

MEMORY_LABEL: Final = "memory"
CPUS_LABEL: Final = "cpus"
_MEMORY: Final = "64GiB"
_CPUS: Final = "16"
_SETTLING: Final = 60.0
_SECONDS_A_VM: Final = 2.0


class WhatIf(Struct, frozen=True):
    """`scenario`, whose first `settled` seconds only bring the fleet up."""

    scenario: Scenario
    settled: float


def what_if(
    specs: Path, policy: Policy, verbs: dict[str, Verb], downs: Iterable[str], happenings: Iterable[str]
) -> WhatIf:
    """Play `specs`; `downs` are `HOST` or `HOST@DURATION`, `happenings` are `DURATION WORDS…`, after the fleet is up.

    Raises UsageError for what is not understood, or specs that name no host.
    """
    desired = load(specs, fleet=policy.fleet, image_size=lambda *_: 0)
    if not desired.hosts:
        raise UsageError(f"{specs}: no usable Host is in the specs", hint="reconciler validate says what is wrong")
    settled = policy.ha.quiet_period + _SETTLING + _SECONDS_A_VM * len(desired.vms)
    events = [_down(text, verbs, desired) for text in downs]
    events += [_happening(text, verbs, desired) for text in happenings]
    moved = [Event(settled + event.at, event.command) for event in sorted(events, key=lambda event: event.at)]
    fleet = FleetFile(hosts={name: _machine(host) for name, host in desired.hosts.items()}, policy=policy)
    return WhatIf(Scenario(specs.resolve().name, specs, specs, fleet, tuple(moved)), settled)


def _machine(host: Host) -> FleetHost:
    """As its labels say, where they say it."""
    labels = host.metadata.labels
    try:
        return FleetHost.model_validate(
            {"memory": labels.get(MEMORY_LABEL, _MEMORY), "cpus": int(labels.get(CPUS_LABEL, _CPUS))}
        )
    except ValueError as error:
        raise UsageError(
            f"Host/{host.name}: its labels {MEMORY_LABEL} and {CPUS_LABEL} are no sizes of a machine",
            hint="write memory: 64GiB, and cpus: '16'",
        ) from error


def _down(text: str, verbs: dict[str, Verb], desired: DesiredState) -> Event:
    name, _, when = text.partition("@")
    return _happening(f"{when or '0s'} power-cut {name}", verbs, desired)


def _happening(text: str, verbs: dict[str, Verb], desired: DesiredState) -> Event:
    when, _, words = text.partition(" ")
    try:
        return Event(parse_duration(when), read_command(words, verbs, tuple(desired.hosts)))
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}", hint="such as --down h3@10s, or --event '10s link-down h3'") from error
