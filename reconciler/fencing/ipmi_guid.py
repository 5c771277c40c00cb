"""The GUID of a BMC, by ipmitool."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Mapping
from typing import Final

from reconciler.clock import Clock
from reconciler.errors import FencingError
from reconciler.fencing.levels import Level, Stopped
from reconciler.fencing.processes import SEARCH_PATH, run_program
from reconciler.model.fencing_parameters import canonical_name

IPMI_AGENTS: Final = frozenset(
    {"fence_idrac", "fence_ilo3", "fence_ilo4", "fence_ilo5", "fence_imm", "fence_ipmilan", "fence_ipmilanplus"}
)
"""Agents whose parameters are those of ipmitool."""
_LANPLUS_BY_DEFAULT: Final = frozenset({"fence_ilo3", "fence_ilo4", "fence_ilo5", "fence_ipmilanplus"})
_GUID: Final = re.compile(r"GUID\s*:\s*([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\b")
_OPTIONS: Final = (
    ("ip", "-H"),
    ("ipport", "-p"),
    ("username", "-U"),
    ("auth", "-A"),
    ("cipher", "-C"),
    ("privlvl", "-L"),
    ("ipmitool_timeout", "-N"),
    ("target", "-t"),
)


class GuidReader:
    """Asks BMCs for their GUID, with the parameters of their fence agent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self, level: Level, secrets: Mapping[str, str], deadline: float, stopped: Stopped) -> str | None:
        """The GUID in the order in which it came; None where the BMC tells none. FencingError if it can't be asked."""
        tool = shutil.which("ipmitool", path=SEARCH_PATH)
        if tool is None:
            raise FencingError("ipmitool is not installed", hint="apt install ipmitool")
        values = {canonical_name(name): value for name, value in {**level.spec.parameters, **secrets}.items()}
        if "hexadecimal_kg" in values:
            raise FencingError("ipmitool takes a K_g key on its command line only, where everybody could read it")
        try:
            finished = run_program(
                [tool, *ipmitool_options(level.agent, values), "-E", "mc", "guid"],
                text="",
                variables={"IPMI_PASSWORD": values.get("password", "")},
                deadline=deadline,
                clock=self._clock,
                stopped=stopped,
            )
        except OSError as error:
            raise FencingError(f"ipmitool can't be run: {error.strerror}") from error
        found = _GUID.search(finished.output)
        # Firmware that was never told one says nothing but zeros or ones.
        return str(uuid.UUID(found[1])) if found and len(set(found[1].replace("-", "").lower())) > 1 else None


def ipmitool_options(agent: str, values: Mapping[str, str]) -> list[str]:
    """How ipmitool is told what `agent` is told, by canonical name; without the password."""
    plus = values.get("lanplus", "1" if agent in _LANPLUS_BY_DEFAULT else "0") in {"", "1"}
    told = [word for name, option in _OPTIONS if name in values for word in (option, values[name])]
    return ["-I", "lanplus" if plus else "lan", *told]
