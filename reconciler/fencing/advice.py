"""What to check where a fence device does not tell its power: agents say little of why."""

from __future__ import annotations

import shlex

from reconciler.fencing.ipmi_guid import IPMI_AGENTS, ipmitool_options
from reconciler.fencing.levels import Level
from reconciler.model.fencing_parameters import canonical_parameters


def advice(level: Level) -> str:
    """The next step for people, in the imperative; no secret is in it."""
    if level.agent not in IPMI_AGENTS:
        return "check its address, parameters and secrets"
    by_hand = ["ipmitool", *ipmitool_options(level.agent, canonical_parameters(level.spec)), "-a", "chassis", "status"]
    return f"check address, username, password and cipher: {shlex.join(by_hand)}"
