"""What is said to a guest through its agent, the real qemu-ga."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

from tests.lab.host import LabHost
from tests.lab.hosts import LabError, wait_for


def in_guest(host: LabHost, name: str, script: str, *, seconds: float = 60) -> str:
    """What a shell script in the guest prints; fails where that fails."""
    pid = _ask(host, name, "guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})["pid"]

    def ended() -> Any:
        status = _ask(host, name, "guest-exec-status", pid=pid)
        return status if status["exited"] else None

    status = wait_for(ended, seconds, f"{script} goes on")
    assert status["exitcode"] == 0, status
    return base64.b64decode(str(status.get("out-data", ""))).decode()


def begin_in_guest(host: LabHost, name: str, script: str) -> None:
    """Have a shell script run there, and don't wait for it."""
    _ask(host, name, "guest-exec", path="/bin/sh", arg=["-c", script])


def is_frozen(host: LabHost, name: str) -> bool:
    """Whether its file systems stand still, as far as its agent knows."""
    return bool(_ask(host, name, "guest-fsfreeze-status") == "frozen")


def agent_answers(host: LabHost, name: str) -> bool:
    """Whether it is there."""
    with suppress(LabError):
        return bool(host.virsh("qemu-agent-command", name, '{"execute": "guest-ping"}'))
    return False


def _ask(host: LabHost, name: str, command: str, **arguments: object) -> Any:
    request = json.dumps({"execute": command, "arguments": arguments} if arguments else {"execute": command})
    return json.loads(host.virsh("qemu-agent-command", name, request))["return"]
