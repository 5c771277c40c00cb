"""Attack cases 29 and 33: who else is on the machine sees no secret, neither in a process nor in a file."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from reconciler.clock import SystemClock
from reconciler.fencing.agents import Agents
from reconciler.ledger.store import Ledger
from reconciler.model.policy import HighAvailability
from reconciler.private_files import open_private

PASSWORD = "hunter2-of-the-bmc"  # noqa: S105  # the word that must not be shown


def _seen_in_proc(what: str) -> str:
    """All command lines, or environments, of the machine's processes."""
    found = b""
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        with suppress(OSError):
            found += path.read_bytes()
    return found.decode(errors="replace")


def test_33_the_password_of_a_fence_device_is_in_no_process_that_runs(tmp_path: Path) -> None:
    """Looked for in /proc while the agent runs: it is on its standard input alone."""
    agent, said = tmp_path / "fence_slow", tmp_path / "said"
    agent.write_text(f"#!/bin/sh\ncat > {said}.part; mv {said}.part {said}\nexec sleep 60\n")
    agent.chmod(0o755)
    seen: list[str] = []

    def looked() -> bool:
        if not said.exists():
            return False
        seen.extend((_seen_in_proc("cmdline"), _seen_in_proc("environ")))
        return True

    clock = SystemClock()
    agents = Agents(HighAvailability(agent_directory=str(tmp_path), fence_agents=("fence_slow",)), clock)
    agents.run("fence_slow", "status", {}, {"password": PASSWORD}, deadline=clock.monotonic() + 20, stopped=looked)

    assert f"password={PASSWORD}" in said.read_text()
    assert "sleep" in seen[0]
    assert not [text for text in seen if PASSWORD in text]


def test_29_what_the_controller_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Ledger(state):
        pass
    os.close(open_private(state / "kept.pass"))

    files = [path for path in state.rglob("*") if path.is_file()]

    assert len(files) >= 2
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in files} == {
        path.name: "0o600" for path in files
    }
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
