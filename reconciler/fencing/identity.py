"""Whose power a fence device switches, where it can be asked: cables and addresses get mixed up."""

from __future__ import annotations

import uuid
from typing import Final

from msgspec import Struct

from reconciler.errors import FencingError
from reconciler.fencing.ipmi_guid import IPMI_AGENTS, GuidReader
from reconciler.fencing.levels import Asker, Level, Stopped
from reconciler.fencing.plugs import is_uuid, listed, wanted
from reconciler.model.host import Host

GUID_ANNOTATION: Final = "reconciler/bmc-guid"
"""Annotation of a host whose BMC has a GUID of its own: the GUID that was found and is right."""
_LISTING_AGENTS: Final = frozenset({"fence_apc_snmp", "fence_virsh", "fence_xvm"})


class Identity(Struct, frozen=True):
    """`same` is None where it could not be found out, which is no failure."""

    same: bool | None
    text: str


class IdentityProbe:
    """Asks devices whose they are; without `guids`, BMCs are not asked."""

    def __init__(self, asker: Asker, guids: GuidReader | None) -> None:
        self._asker = asker
        self._guids = guids

    def check(self, host: Host, level: Level, machine: str | None, deadline: float, stopped: Stopped) -> Identity:
        """Compare what the level's device tells with `machine`, the host's UUID by libvirt."""
        try:
            if level.agent in IPMI_AGENTS and self._guids is not None:
                return self._by_guid(self._guids, host, level, machine, deadline, stopped)
            if level.agent in _LISTING_AGENTS:
                return self._by_list(level, machine, deadline, stopped)
        except FencingError as error:
            return Identity(None, f"whose it is was not asked: {error.message}")
        return Identity(None, f"{level.agent} can't be asked whose it is")

    # -- IPMI ------------------------------------------------------------------------------------------------------
    def _by_guid(
        self, guids: GuidReader, host: Host, level: Level, machine: str | None, deadline: float, stopped: Stopped
    ) -> Identity:
        known = (machine, host.metadata.annotations.get(GUID_ANNOTATION))
        expected = [each for each in known if each is not None and is_uuid(each)]
        if not expected:
            return Identity(None, "its GUID was not compared, as the machine's UUID is not known")
        guid = guids.read(level, self._asker.secrets(level), deadline, stopped)
        if guid is None:
            return Identity(None, "it tells no GUID")
        if any(_is_same(guid, each) for each in expected):
            return Identity(True, "its GUID is this machine's")
        return Identity(
            False,
            f"its GUID is {guid}, the machine's UUID {expected[0]}: it may be another machine's; if it is surely this"
            f' one\'s, annotate the host with {GUID_ANNOTATION}: "{guid}"',
        )

    # -- agents that list plugs ------------------------------------------------------------------------------------
    def _by_list(self, level: Level, machine: str | None, deadline: float, stopped: Stopped) -> Identity:
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
            if told and machine is not None and is_uuid(machine):
                same = _is_same(told, machine)
                text = "has the machine's UUID" if same else f"is the machine {told}, not {machine}"
                return Identity(same, f"plug {plug} {text}")
            calls += [found.name] if found and found.name else []
        return Identity(None, f"it lists plug {','.join(named)}" + (f", called {', '.join(calls)}" if calls else ""))


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
