"""One fence device of one host, ready to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Final

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import FencingError
from reconciler.fencing.agents import AgentRunner, Answer, Verb
from reconciler.fencing.plugs import is_uuid, listed, one_by_one, wanted
from reconciler.fencing.secrets import Credentials
from reconciler.model.fencing_devices import device_text
from reconciler.model.fencing_parameters import refusals
from reconciler.model.health import Power
from reconciler.model.host import FencingLevel, Host

Stopped = Callable[[], bool]
_NEVER_RUN: Final = -1
_OFF_BY_DEFAULT: Final = frozenset(
    (
        *("fence_apc_snmp", "fence_emerson", "fence_ibmblade", "fence_intelmodular", "fence_ipdu"),
        *("fence_tripplite_snmp", "fence_virsh"),
    )
)
"""Agents that take whatever is not `on` for `off`: virsh not being there, an outlet that the device does not have."""


class Level(Struct, frozen=True):
    """One level; `number` counts from 1."""

    host: str
    number: int
    spec: FencingLevel

    @property
    def agent(self) -> str:
        return self.spec.agent

    @property
    def text(self) -> str:
        """`level 1 (fence_ipmilan, 10.1.0.11)`."""
        device = device_text(self.spec)
        return f"level {self.number} ({self.agent}{'' if device == self.agent else f', {device}'})"

    @property
    def place(self) -> str:
        """The level with its host, as errors name it."""
        return f"Host/{self.host} fencing {self.text}"

    def without_place(self, error: FencingError) -> str:
        """The error's text for whoever has named the level already."""
        return error.message.removeprefix(f"{self.place}: ")


class LevelAnswer(Struct, frozen=True):
    """What one level said when it was asked for the power status."""

    level: Level
    power: Power
    message: str
    """Why the power is not known."""
    hint: str = ""
    """What to do about that."""
    is_failure: bool = False
    """Whether the agent was run, and failed or timed out."""


def levels_of(host: Host) -> Iterator[Level]:
    """The host's levels in the order in which they are tried."""
    for index, spec in enumerate(host.spec.fencing):
        yield Level(host.name, index + 1, spec)


class Asker:
    """Asks levels; every use is bounded by a deadline of the monotonic clock and by `stopped`."""

    def __init__(self, agents: AgentRunner, credentials: Credentials, clock: Clock) -> None:
        self._agents = agents
        self._credentials = credentials
        self.clock = clock

    def secrets(self, level: Level) -> dict[str, str]:
        """The level's secrets, read now; raises FencingError."""
        return self._credentials.of(level.spec, level.place)

    def ask(self, level: Level, verb: Verb, deadline: float, stopped: Stopped) -> Answer:
        """Run the level's agent, plug by plug; raises FencingError if it can't be run, or not with these parameters.

        The answer is that of the first plug that is not off, or was not switched off; else that of the last.
        """
        for section, name, why in refusals(level.spec):
            raise FencingError(
                f"{level.place}: {section}.{name} is not passed on: {why}",
                hint="correct it in the host's spec",
            )
        runs = list(product(one_by_one(level.spec.parameters), one_by_one(self.secrets(level))))
        for parameters, secrets in runs[:1] if verb == "list" else runs:
            answer = self._agents.run(level.agent, verb, parameters, secrets, deadline=deadline, stopped=stopped)
            if not (answer.succeeded if verb == "off" else answer.power == "off"):
                break
        return answer

    def status(self, level: Level, deadline: float, stopped: Stopped) -> Answer:
        """The power status; what keeps the agent from being run is an answer too, as nothing is known then."""
        try:
            answer = self.ask(level, "status", deadline, stopped)
            if answer.power == "off" and level.agent in _OFF_BY_DEFAULT:
                return self._backed_by_list(level, answer, deadline, stopped)
        except FencingError as error:
            return Answer("exited", _NEVER_RUN, "", level.without_place(error), error.hint)
        return answer

    def _backed_by_list(self, level: Level, off: Answer, deadline: float, stopped: Stopped) -> Answer:
        """The answer, if the agent lists the plug too; else it is none."""
        answer = self.ask(level, "list", deadline, stopped)
        plugs, named = listed(answer), wanted(level.spec)
        if not named:
            return Answer("exited", _NEVER_RUN, "", "it says off, but of which plug is not in the spec")
        missing = [plug for plug in named if not any(each.is_called(plug) for each in plugs)]
        if plugs and all(is_uuid(plug) for plug in missing):  # UUIDs are not listed
            return off
        if answer.ended != "exited":
            return answer
        reason = "" if answer.succeeded else f": {answer.message}"
        return Answer("exited", _NEVER_RUN, "", f"it says off, but lists no plug {', '.join(missing)}{reason}")

    def power(self, level: Level, deadline: float, stopped: Stopped) -> LevelAnswer:
        """The same, in short."""
        answer = self.status(level, deadline, stopped)
        if answer.power != "unknown":
            return LevelAnswer(level, answer.power, "")
        has_run = answer.code != _NEVER_RUN and answer.ended != "stopped"
        return LevelAnswer(level, answer.power, answer.message, answer.hint, is_failure=has_run)
