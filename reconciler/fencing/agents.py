"""ClusterLabs fence agents: programs of one directory, by name from the configured list, told on standard input."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, Protocol

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import FencingError
from reconciler.fencing.processes import Finished, run_program
from reconciler.fencing.redaction import reason, redacted
from reconciler.model.health import Power
from reconciler.model.policy import HighAvailability

Verb = Literal["status", "off", "list"]
"""All that an agent is ever asked for."""
_NAME: Final = re.compile(r"fence_[a-z0-9_]+")
_VARIABLES: Final = {"PYTHONWARNINGS": "ignore"}  # most agents are Python, and warnings would hide what they say
_POWER_OF_STATUS: Final[Mapping[int, Power]] = {0: "on", 2: "off"}


class Answer(Struct, frozen=True):
    """What became of one run of an agent, without its secrets."""

    ended: Literal["exited", "timed-out", "stopped"]
    code: int | None
    output: str
    message: str
    """The reason of a failure, for people."""
    hint: str = ""
    """The next step for people, where the agent could not be run at all."""

    @property
    def power(self) -> Power:
        """What the answer to `status` means; any other exit code is no answer."""
        return _POWER_OF_STATUS.get(-1 if self.code is None else self.code, "unknown")

    @property
    def succeeded(self) -> bool:
        return self.code == 0


class AgentRunner(Protocol):
    """Has agents asked; a simulation has agents of its own."""

    def run(
        self,
        agent: str,
        verb: Verb,
        parameters: Mapping[str, str],
        secrets: Mapping[str, str],
        *,
        deadline: float,
        stopped: Callable[[], bool],
    ) -> Answer:
        """Ask `agent` for `verb`; `deadline` is monotonic. Raises FencingError if it can't be run at all."""
        ...


class Agents:
    """Runs the agents that the policy allows."""

    def __init__(self, policy: HighAvailability, clock: Clock) -> None:
        self._allowed = policy.fence_agents
        self._directory = Path(policy.agent_directory)
        self._clock = clock

    def run(
        self,
        agent: str,
        verb: Verb,
        parameters: Mapping[str, str],
        secrets: Mapping[str, str],
        *,
        deadline: float,
        stopped: Callable[[], bool],
    ) -> Answer:
        """Ask `agent` for `verb`; `deadline` is monotonic. Raises FencingError if it can't be run at all."""
        path = self.find(agent)
        lines = [f"{name}={_quoted(value)}" for name, value in {**parameters, **secrets, "action": verb}.items()]
        if any("\n" in line or "\r" in line or "\0" in line for line in lines):
            raise FencingError(f"{agent}: a parameter has more than one line", hint="write it as one line of text")
        try:
            finished = run_program(
                [str(path)],
                text="".join(f"{line}\n" for line in lines),
                variables=_VARIABLES,
                deadline=deadline,
                clock=self._clock,
                stopped=stopped,
                thorough=verb == "off",
            )
        except OSError as error:
            raise FencingError(
                f"{agent} can't be run: {error.strerror or error}", hint=f"look at {path} on the controller"
            ) from error
        return answer_of(finished, tuple(secrets.values()))

    def find(self, agent: str) -> Path:
        """The agent's program; raises FencingError for one that is not allowed, not there, or not to be trusted."""
        if agent not in self._allowed or not _NAME.fullmatch(agent):
            raise FencingError(
                f"{agent} is not among the fence agents that may be run: {', '.join(self._allowed)}",
                hint="use one of these, or add it to ha.fenceAgents in the configuration, which replaces this list",
            )
        path = self._directory / agent
        try:
            real, base = path.resolve(strict=True), self._directory.resolve(strict=True)
            mode = real.stat().st_mode
        except OSError as error:
            raise FencingError(
                f"{path}: {(error.strerror or 'unusable').lower()}", hint="install it: apt install fence-agents"
            ) from error
        if real.parent != base:
            raise FencingError(f"{path} leads out of {base}", hint="put the agent itself there")
        if not stat.S_ISREG(mode) or not os.access(real, os.X_OK):
            raise FencingError(f"{path} is no program", hint="install it anew: apt install --reinstall fence-agents")
        if mode & stat.S_IWOTH:
            raise FencingError(f"{path} may be written by everybody", hint=f"chmod o-w {real}")
        return path


def answer_of(finished: Finished, secrets: tuple[str, ...]) -> Answer:
    """The run's answer, without its secrets."""
    if finished.ended == "timed-out":
        message = "no answer in time; it was ended"
    elif finished.ended == "stopped":
        message = "called off"
    else:
        said = reason(finished.complaints, secrets) or reason(finished.output, secrets)
        message = said or f"exit code {finished.code}"
    if finished.leftover:
        message += "; a part of it hangs in the kernel and could not be killed"
    return Answer(finished.ended, finished.code, redacted(finished.output, secrets), message)


def _quoted(value: str) -> str:
    """Agents strip blanks and one pair of quotes around a value; another pair keeps what would be lost."""
    return f'"{value}"' if value != value.strip() or (value[:1] == value[-1:] == '"') else value
