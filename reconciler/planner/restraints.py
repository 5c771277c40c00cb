"""What the newest specs restrain: while older ones lead in doubt, the more careful of both holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.host import Host
from reconciler.model.resource import PAUSED_ANNOTATION, Kind, ObjectRef
from reconciler.model.virtual_machine import VirtualMachine

_STATES: Final = ("active", "cordoned", "maintenance")
_STRATEGIES: Final = ("Always", "RerunOnFailure", "Manual", "Halted")
"""Each restrains more than the one before."""


class HostRestraint(Struct, frozen=True, array_like=True):
    """Of one host; the absence of its own says that the specs don't have it."""

    devices: str
    """As `devices_hash` has it: no others may be asked or used."""
    state: str = "active"
    paused: bool = False


class VmRestraint(Struct, frozen=True, array_like=True):
    """Of one VM; the absence of its own says that the specs don't have it."""

    run_strategy: str = "Always"
    ha: bool = True
    on_host_loss: str = "wait"
    paused: bool = False


class Restraints(Struct, frozen=True):
    """All of one generation of specs, by name."""

    hosts: dict[str, HostRestraint] = field(default_factory=dict)
    vms: dict[str, VmRestraint] = field(default_factory=dict)

    def encoded(self) -> str:
        """As JSON; the same restraints give the same text."""
        return msgspec.json.encode(self, order="sorted").decode()


R = TypeVar("R")
Of = TypeVar("Of", Host, VirtualMachine)


def decoded(text: str) -> Restraints | None:
    """None where none were recorded."""
    return msgspec.json.decode(text, type=Restraints) if text else None


def restraints_of(desired: DesiredState, before: Restraints | None = None) -> Restraints:
    """What `desired` restrains; for what can't be read in it, as it was `before`."""
    hosts = {name: _of_host(host) for name, host in desired.hosts.items()}
    vms = {name: _of_vm(vm) for name, vm in desired.vms.items()}
    known = before or Restraints()
    return Restraints(
        {**_unread(desired, "Host", known.hosts), **hosts}, {**_unread(desired, "VirtualMachine", known.vms), **vms}
    )


def _unread(desired: DesiredState, kind: Kind, before: Mapping[str, R]) -> dict[str, R]:
    held = bool(desired.removal_hold)
    return {name: each for name, each in before.items() if held or ObjectRef(kind, name) in desired.unusable}


def _of_host(host: Host) -> HostRestraint:
    return HostRestraint(devices_hash(host), host.spec.state, host.metadata.paused)


def _of_vm(vm: VirtualMachine) -> VmRestraint:
    return VmRestraint(vm.spec.run_strategy, vm.spec.ha.enabled, vm.spec.ha.on_host_loss, vm.metadata.paused)


def others_now(before: Restraints | None, now: Restraints, host: str) -> bool:
    """Whether the fence devices of `host` are others than before, or it came or went; so too if that is not known."""
    known, new = (before or Restraints()).hosts.get(host), now.hosts.get(host)
    return known is None or new is None or known.devices != new.devices


# -- applied -----------------------------------------------------------------------------------------------------------


def restrained(desired: DesiredState, newest: Restraints | None) -> tuple[DesiredState, dict[ObjectRef, str]]:
    """`desired` with the restraints of the newest specs on top; and what that holds back, of each object.

    Where those are not known, no fence device is used: it may be another host's by now.
    """
    hosts, vms, told = dict(desired.hosts), dict(desired.vms), dict[ObjectRef, str]()
    for name, host in desired.hosts.items():
        hosts[name], why = _host(host, newest)
        if why:
            told[ObjectRef("Host", name)] = ", ".join(why)
    for name, vm in desired.vms.items() if newest is not None else ():
        vms[name], why = _vm(vm, newest.vms.get(name) if newest is not None else None)
        if why:
            told[ObjectRef("VirtualMachine", name)] = ", ".join(why)
    return replace(desired, hosts=hosts, vms=vms), told


def _host(host: Host, newest: Restraints | None) -> tuple[Host, list[str]]:
    # Of one that is not in them nothing is known; it takes no VMs, as nobody may look after it any more.
    own = HostRestraint("", host.spec.state, host.metadata.paused)
    known = own if newest is None else newest.hosts.get(host.name, HostRestraint("", "cordoned"))
    spec: dict[str, object] = {}
    why = list[str]()
    if _STATES.index(known.state) > _STATES.index(host.spec.state):
        spec["state"] = known.state
        why.append(f"its state is {known.state}")
    if host.spec.fencing and known.devices != devices_hash(host):
        spec["fencing"] = ()
        why.append("its fence devices are not used, as they are not known to be its own now")
    return _changed(host, spec, paused=known.paused, why=why)


def _vm(vm: VirtualMachine, known: VmRestraint | None) -> tuple[VirtualMachine, list[str]]:
    why = list[str]() if known else ["it is gone"]
    known = known or VmRestraint("Halted", ha=False)
    spec: dict[str, object] = {}
    if _STRATEGIES.index(known.run_strategy) > _STRATEGIES.index(vm.spec.run_strategy):
        spec["run_strategy"] = known.run_strategy
        why = why or [f"its runStrategy is {known.run_strategy}"]
    ha = dict(_stricter_ha(vm, known))
    if ha:
        spec["ha"] = vm.spec.ha.model_copy(update=ha)
        why = why or ["it waits for its host if that is lost"]
    return _changed(vm, spec, paused=known.paused, why=why)


def _stricter_ha(vm: VirtualMachine, known: VmRestraint) -> Iterator[tuple[str, object]]:
    if vm.spec.ha.enabled and not known.ha:
        yield "enabled", False
    if vm.spec.ha.on_host_loss == "rebuild" and known.on_host_loss == "wait":
        yield "on_host_loss", "wait"


def _changed(of: Of, spec: dict[str, object], *, paused: bool, why: list[str]) -> tuple[Of, list[str]]:
    update: dict[str, object] = {"spec": of.spec.model_copy(update=spec)}
    if paused and not of.metadata.paused:
        annotations = {**of.metadata.annotations, PAUSED_ANNOTATION: "true"}
        update["metadata"] = of.metadata.model_copy(update={"annotations": annotations})
        why.append("it is paused")
    return of.model_copy(update=update), why
