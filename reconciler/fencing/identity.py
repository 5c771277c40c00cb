"""Whose power a fence device switches, where it can be asked: cables and addresses get mixed up."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from reconciler.errors import FencingError
from reconciler.fencing.ipmi_guid import IPMI_AGENTS, GuidReader
from reconciler.fencing.levels import Asker, Level, Stopped
from reconciler.fencing.plugs import is_uuid, listed, wanted
from reconciler.model.fencing_devices import GUID_ANNOTATION
from reconciler.model.host import Host

_NOT_COMPARED: Final = "its GUID was not compared, as the machine's UUID is not known"
_LISTING_AGENTS: Final = frozenset({"fence_apc_snmp", "fence_virsh", "fence_xvm"})


class Machines(Struct, frozen=True):
    """What is known of machines: UUID of the host in question by libvirt, and by UUID the other hosts of the fleet."""

    own: str | None
    others: Mapping[str, str]

    def is_own(self, told: str) -> bool:
        return self.own is not None and is_uuid(self.own) and _is_same(told, self.own)

    def other(self, told: str) -> str:
        """Name of the other host that has the UUID; empty if none is known."""
        return next((name for each, name in self.others.items() if is_uuid(each) and _is_same(told, each)), "")


class Identity(Struct, frozen=True):
    """`same` is None where it could not be found out, which is no failure."""

    same: bool | None
    text: str


class IdentityProbe:
    """Asks devices whose they are; without `guids`, BMCs are not asked."""

    def __init__(self, asker: Asker, guids: GuidReader | None) -> None:
        self._asker = asker
        self._guids = guids

    def check(self, host: Host, level: Level, machines: Machines, deadline: float, stopped: Stopped) -> Identity:
        """Compare what the level's device tells with what is known of machines."""
        try:
            if level.agent in IPMI_AGENTS and self._guids is not None:
                return self._by_guid(self._guids, host, level, machines, deadline, stopped)
            if level.agent in _LISTING_AGENTS:
                return self._by_list(level, machines, deadline, stopped)
        except FencingError as error:
            return Identity(None, f"whose it is was not asked: {level.without_place(error)}")
        return Identity(None, f"{level.agent} can't be asked whose it is")

    # -- IPMI ------------------------------------------------------------------------------------------------------
    def _by_guid(
        self, guids: GuidReader, host: Host, level: Level, machines: Machines, deadline: float, stopped: Stopped
    ) -> Identity:
        named = host.metadata.annotations.get(GUID_ANNOTATION, "")
        if not (machines.own or machines.others or named):
            return Identity(None, _NOT_COMPARED)
        guid = guids.read(level, self._asker.secrets(level), deadline, stopped)
        return Identity(None, "it tells no GUID") if guid is None else _judged(guid, machines, named)

    # -- agents that list plugs ------------------------------------------------------------------------------------
    def _by_list(self, level: Level, machines: Machines, deadline: float, stopped: Stopped) -> Identity:
        plugs = listed(self._asker.ask(level, "list", deadline, stopped))
        named = wanted(level.spec)
        if not named or not plugs:
            return Identity(None, "it lists no plugs" if named else "its plug is not in the spec")
        calls = []
        for plug in named:
            found = next((each for each in plugs if each.is_called(plug)), None)
            if found is None and not is_uuid(plug):
                return Identity(False, f"it lists no plug {plug}")
            told = plug if is_uuid(plug) else found.uuid if found else ""
            of_plug = _of_plug(told, machines) if told else None
            if of_plug is not None:
                return Identity(of_plug.same, f"plug {plug} {of_plug.text}")
            calls += [found.name] if found and found.name else []
        return Identity(None, f"it lists plug {','.join(named)}" + (f", called {', '.join(calls)}" if calls else ""))


def _judged(guid: str, machines: Machines, named: str) -> Identity:
    """Whose the BMC is; no annotation makes that of another host this one's."""
    other = machines.other(guid)
    if machines.is_own(guid):
        if other:
            return Identity(None, f"its GUID is this machine's, and that of Host/{other} too: it tells nothing")
        return Identity(True, "its GUID is this machine's")
    if other:
        return Identity(False, f"its GUID is that of Host/{other}: are their addresses swapped?")
    if is_uuid(named) and _is_same(guid, named):
        return Identity(True, "its GUID is the one that the host's annotation names")
    if machines.own is None and not named:
        return Identity(None, _NOT_COMPARED)
    expected = f"the machine's UUID {machines.own}" if machines.own else f"the annotated one {named}"
    return Identity(
        False,
        f"its GUID is {guid}, {expected}: it may be another machine's; if it is surely this one's, annotate the host"
        f' with {GUID_ANNOTATION}: "{guid}"',
    )


def _of_plug(told: str, machines: Machines) -> Identity | None:
    """What the UUID of a plug's machine says; None where nothing is known to compare it with."""
    other = machines.other(told)
    if machines.is_own(told):
        return Identity(True, "has the machine's UUID")
    if other:
        return Identity(False, f"is the machine of Host/{other}: are the two swapped?")
    if machines.own is not None and is_uuid(machines.own):
        return Identity(False, f"is the machine {told}, not {machines.own}")
    return None


def _is_same(told: str, expected: str) -> bool:
    """Whether two UUIDs are one, in whichever byte order the firmware told it: IPMI, SMBIOS and RFC 4122 differ."""
    plain = uuid.UUID(expected)
    swapped = uuid.UUID(bytes=plain.bytes_le)
    orders = {
        plain.bytes,
        swapped.bytes,
        plain.bytes[::-1],
        swapped.bytes[::-1],
        uuid.UUID(bytes_le=plain.bytes[::-1]).bytes,
    }
    return uuid.UUID(told).bytes in orders
