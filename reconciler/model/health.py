"""Whether hosts live: what is seen of one, what is made of it, and what proves that it is dead.

Ages are seconds of the controller's monotonic clock; times are wall time in seconds and are only shown, never compared.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

HostState = Literal[
    "online",  # it answers
    "suspect",  # it has not answered for a moment
    "unreachable",  # it has not answered for longer than the grace; it may well be alive
    "fencing",  # its power is being cut
    "fenced",  # proven: it can't be running its VMs
    "returning",  # it answers again after it was fenced, and is cleaned before anything is placed on it
    "quarantined",  # another machine answers under its name
    "unknown",  # not seen since this controller began
]
DEVICE_DOUBTFUL: Final = "device-doubtful"
"""Name of the rule of a host that answers, and whose fence device could not be relied on if it did not."""
Power = Literal["on", "off", "unknown"]
"""What a fence device says; `unknown` where there is none, or it does not answer."""
ProofKind = Literal[
    "fenced",  # we had it switched off, and the device confirmed it
    "found-off",  # the device said that the power is off before we did anything
    "human",  # somebody confirmed it
]
AttemptEnd = Literal["confirmed", "failed", "timed-out", "cancelled", "cut-off"]
"""`cut-off`: the controller died during it, so nothing is known of how it ended."""


class HostSigns(Struct, frozen=True):
    """What is seen of one host at one moment."""

    host: str
    silent: float | None
    """Watched time since the last answer; None if it has not answered since this controller began."""
    watched: float
    """How long this controller has been looking at it."""
    answered_at: float | None = None
    """When (monotonic) it last answered."""
    answers: int = 0
    """Answers in a row since it was last suspect, counted as far as the policy asks for."""
    error: str = ""
    """What the last attempt to talk to it ended with."""
    slow: float = 0.0
    """Seconds that its last answer took: slow is degraded, not dead."""
    power: Power = "unknown"
    power_age: float | None = None
    """Age of what the device said; None where it never said anything."""
    device_doubt: str = ""
    """Of a host that answers: what its fence device does wrong, such as `does not answer`; empty for nothing."""
    identity_changed: bool = False
    """The machine that answers is not the one that is recorded under this name."""


class Verdict(Struct, frozen=True):
    """What a host is taken for, by which rule, and the sentence that people read."""

    host: str
    state: HostState
    rule: str
    """Short constant name of the rule that matched."""
    sentence: str


class HostHealth(Struct, frozen=True):
    """A verdict as the controller last wrote it down."""

    host: str
    state: HostState
    rule: str
    sentence: str
    since: float
    """When it came into this state."""
    last_seen: float | None
    """When it last answered."""


class Machine(Struct, frozen=True):
    """Which machine goes by the name of a host, and where it answers."""

    host: str
    uuid: str
    """As libvirt tells it; empty for a machine that has none."""
    uri: str


class Incident(Struct, frozen=True):
    """One silence of one host: opened when it becomes unreachable, closed when it is back and clean.

    A host that falls silent again after it had returned has a new one: a proof is about one silence only.
    """

    id: str
    """Short, unique; a proof is for one incident only."""
    host: str
    opened: float
    last_seen: float | None
    suspect_at: float | None = None
    unreachable_at: float | None = None
    returned_at: float | None = None
    """When it answered again: no proof of this incident holds from then on."""


class FenceProof(Struct, frozen=True):
    """Evidence that the host can't be running its VMs; holds for its incident only."""

    host: str
    incident: str
    kind: ProofKind
    at: float
    evidence: str
    """A sentence: which device said what, or why a human is sure."""
    by: str
    """The agent, or the human's name."""

    @property
    def sentence(self) -> str:
        """The evidence as history tells it: of a human's word, whose it is."""
        return f"confirmed dead by {self.by}: {self.evidence}" if self.kind == "human" else self.evidence


class FenceAttempt(Struct, frozen=True):
    """One try of one level on one host; `ended` is None while it is under way."""

    id: int
    host: str
    incident: str
    level: int
    """From 1, as in the specs."""
    agent: str
    began: float
    ended: float | None = None
    end: AttemptEnd | None = None
    message: str = ""


class FenceTest(Struct, frozen=True):
    """The last read-only test of a host's devices; HA is armed only where it passed for the devices of the specs."""

    host: str
    at: float
    passed: bool
    devices: str
    """Hash of the host's fencing levels as they were tested, secrets left out: other devices have to be tested anew."""
    message: str
