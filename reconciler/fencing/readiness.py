"""Whether fence devices could be used at all: agents, programs and secrets. Nothing is asked or run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from msgspec import Struct

from reconciler.errors import FencingError
from reconciler.fencing.agents import Agents
from reconciler.fencing.ipmi_guid import IPMI_AGENTS
from reconciler.fencing.levels import Level, levels_of
from reconciler.fencing.processes import SEARCH_PATH
from reconciler.fencing.secrets import Credentials
from reconciler.model.host import Host


class Doubt(Struct, frozen=True):
    """What is wrong with one level, and the next step; one that is not `fatal` keeps nothing from working."""

    level: Level
    message: str
    hint: str
    fatal: bool = True


def doubts(host: Host, agents: Agents, credentials: Credentials) -> Iterator[Doubt]:
    """All that keeps the devices of the host from being used, or lets others use them."""
    for level in levels_of(host):
        try:
            agents.find(level.agent)
        except FencingError as error:
            yield Doubt(level, error.message, error.hint)
        if level.agent in IPMI_AGENTS and shutil.which("ipmitool", path=SEARCH_PATH) is None:
            yield Doubt(level, "ipmitool is not installed", "apt install ipmitool")
        try:
            credentials.of(level.spec, level.place)
        except FencingError as error:
            yield Doubt(level, level.without_place(error), error.hint)
        for file in credentials.exposed(level.spec):
            text = f"{file} can be read by every account of this machine"
            yield Doubt(level, text, f"chmod 600 {file}", fatal=False)
