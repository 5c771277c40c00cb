"""The plugs that an agent lists."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from reconciler.fencing.agents import Answer
from reconciler.model.fencing_parameters import canonical_name, canonical_parameters
from reconciler.model.host import FencingLevel

# What agents print that can't list, and what SNMP has in place of a name where the device has no such table.
_NO_LIST: Final = re.compile(r"N/A|NOTICE|[^,]*,No (Such (Object|Instance)|more variables)")


class Plug(Struct, frozen=True):
    """One line of the list; `uuid` is empty where the agent does not tell it."""

    id: str
    name: str
    uuid: str = ""

    def is_called(self, plug: str) -> bool:
        """Whether the spec means this one; `1:3` is outlet 3 where the device has one switch only."""
        return plug in {self.id, self.name} or plug.rpartition(":")[2] == self.id


def listed(answer: Answer) -> tuple[Plug, ...]:
    """Every plug of the answer to `list`; none where the agent can't list, or failed."""
    lines = answer.output.splitlines() if answer.succeeded else []
    return tuple(_plug(line) for line in lines if line.strip() and not _NO_LIST.match(line))


def wanted(level: FencingLevel) -> tuple[str, ...]:
    """The plugs that the level switches, as the spec names them."""
    return _separate(canonical_parameters(level).get("plug", ""))


def one_by_one(parameters: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The parameters once for each plug: fence_apc_snmp heeds only the first of several, and says `off` of all."""
    name = next((name for name in parameters if canonical_name(name) == "plug"), None)
    if name is None:
        yield dict(parameters)
        return
    for plug in _separate(parameters[name]) or ("",):
        yield {**parameters, name: plug}


def _separate(plugs: str) -> tuple[str, ...]:
    return tuple(plug.strip() for plug in plugs.split(",") if plug.strip())


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _plug(line: str) -> Plug:
    """`plug,name` as most agents list them, `name uuid state` as fence_xvm does."""
    if "," in line:
        number, _, name = line.partition(",")
        return Plug(number.strip(), name.strip())
    words = line.split()
    told = words[1] if len(words) > 1 and is_uuid(words[1]) else ""
    return Plug(words[0], "", told)
