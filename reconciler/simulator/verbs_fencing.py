"""What becomes of fence devices, and what people say of lost hosts."""

from __future__ import annotations

from typing import Final

from reconciler.ledger.asking import RecordEvent, RecordFenceTest, RecordProof
from reconciler.ledger.records import FENCE_PROOF, LedgerEvent
from reconciler.simulator.command import Verb
from reconciler.simulator.simulated_agents import Manner
from reconciler.simulator.stage import Stage


def _behave(stage: Stage, device: str, manner: Manner) -> None:
    stage.fence_room.agents.behave(device, manner)


def _test(stage: Stage, name: str) -> None:
    host = stage.wishes.now.hosts[name] if stage.wishes.now is not None else None
    if host is None:
        raise KeyError(f"Host/{name}")
    with stage.clock.aside():
        result = stage.fence_room.test(host)
    stage.write(RecordFenceTest(result))
    stage.timeline.note("fence test passed" if result.passed else "fence test failed", "", name, result.message)


def _confirm(stage: Stage, host: str, by: str) -> None:
    proof = stage.fence_room.proof(host, by, stage.ledger_view())
    stage.write(RecordProof(proof))
    told = f"confirmed by {by}: {proof.evidence}"
    stage.write(RecordEvent(LedgerEvent(proof.at, "", f"Host/{host}", "", FENCE_PROOF, told)))
    stage.timeline.note("fence-proof", f"Host/{host}", host, f"{proof.kind} by {by}: {proof.evidence}")
    stage.nudge("proof")


FENCING_VERBS: Final = (
    Verb(
        "fence-device DEVICE ok|dead|refuses|fails|says-on|slow",
        "how a device behaves; it goes by its plug, or its address",
        _behave,
    ),
    Verb("fence-test HOST", "a user tests the host's devices", _test),
    Verb("fence-confirm HOST BY", "a user says that the host is surely dead", _confirm),
)
