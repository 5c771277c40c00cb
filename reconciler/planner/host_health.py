"""Whether a host lives: an ordered rule table, the first match decides. Nothing here knows what time of day it is.

A host is dead only where that is proven; one that is silent may well be alive, and its VMs with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from reconciler.model.health import DEVICE_DOUBTFUL, FenceProof, HostSigns, HostState, Incident, Verdict
from reconciler.model.policy import HighAvailability

_WAS_LOST: Final[frozenset[HostState]] = frozenset({"suspect", "unreachable", "fencing", "fenced"})
"""States that one answer does not end: a link that flaps would come and go with each."""

POWER_OFF: Final = "power-off"
"""Name of the rule by which a device's word makes a silent host unreachable at once."""
IDENTITY_CHANGED: Final = "identity-changed"
"""Name of the rule of a host under whose name another machine answers."""
OTHER_MACHINE_SILENT: Final = "other-machine-silent"
"""Name of the rule of a lost host whose name another machine had: devices tell nothing of the one on record then."""
IncidentStep = Literal[
    "none",
    "open",  # the host is lost
    "renew",  # it is lost anew, or what was proven can't be relied on: another incident, without a proof
    "return",  # it answers: what was proven holds no more
    "close",  # it is back for good, and clean
]


class Case(Struct, frozen=True):
    """All that one host is judged by."""

    signs: HostSigns
    previous: HostState | None
    """As it was judged before; None where it never was."""
    incident: Incident | None
    """The open one."""
    proof: FenceProof | None
    """Of the open incident."""
    policy: HighAvailability
    armed: bool = False
    """Whether the test of its fence devices has passed: only then the word of one is taken."""
    fencing: bool = False
    """Whether an attempt to fence it is under way."""
    proven_here: bool = False
    """Whether the proof was found while this controller was watching."""
    has_moved: bool = False
    """Whether its URI is another one than that under which it was last read."""
    was_another: bool = False
    """Whether another machine had answered under its name before this controller began."""

    @property
    def silence(self) -> float:
        """Seconds without an answer; one that has never answered is silent since it is watched."""
        return self.signs.watched if self.signs.silent is None else self.signs.silent

    @property
    def answers(self) -> bool:
        return self.signs.silent is not None and self.signs.silent < self.policy.probing.suspect_after

    @property
    def is_steady(self) -> bool:
        return self.signs.answers >= self.policy.steady_answers

    @property
    def last_was_another(self) -> bool:
        """The last to answer was not the machine on record: what a device says since may be about that one."""
        return self.signs.identity_changed or (self.signs.silent is None and self.was_another)

    @property
    def device_says_off(self) -> bool:
        """A device that can be relied on says `off`, and was asked after the last answer."""
        age = self.signs.power_age
        if self.last_was_another:
            return False
        return self.armed and self.signs.power == "off" and age is not None and age < self.silence

    @property
    def device_says_on(self) -> bool:
        """A device that can be relied on says `on`."""
        return self.armed and self.signs.power == "on"


SLOW: Final = "slow"
"""Name of the rule by which a host that takes long to answer is told from one that just answers."""


class Rule(Struct, frozen=True):
    """`name` is a short constant; `sentence` is what people read."""

    name: str
    state: HostState
    matches: Callable[[Case], bool]
    sentence: Callable[[Case], str]


def judge(case: Case) -> Verdict:
    """What the host is taken for, by the first rule that matches."""
    rule = next(rule for rule in RULES if rule.matches(case))
    return Verdict(case.signs.host, rule.state, rule.name, rule.sentence(case))


def _is_proven(case: Case) -> bool:
    """What was proven before this controller is asked for again, as the host may have been up since.

    A human's word stands where no device says `on`.
    """
    if case.proof is None or case.incident is None or case.incident.returned_at is not None:
        return False
    return case.proven_here or case.device_says_off or (case.proof.kind == "human" and not case.device_says_on)


def _proof_words(proof: FenceProof | None) -> str:
    if proof is None:
        return ""
    return proof.sentence if proof.kind == "human" else f"can't be running its VMs: {proof.evidence}"


def _seconds(value: float) -> str:
    return f"{value:g} s"


RULES: Final = (
    # Another machine under the name: what it runs, or does not run, says nothing of the one that is recorded. Once it
    # is silent too, all is as before it came.
    Rule(
        IDENTITY_CHANGED,
        "quarantined",
        lambda case: case.answers and case.signs.identity_changed,
        lambda _: (
            "another machine answers under this name, and nothing is done on it;"
            " if it was replaced on purpose, take its Host out of the specs for a moment"
        ),
    ),
    # It lives, and may hold copies of VMs that were started elsewhere since.
    Rule(
        "back",
        "returning",
        lambda case: case.answers and case.incident is not None,
        lambda _: "answers again after it was lost; nothing is placed on it until it is known to be clean",
    ),
    # Hysteresis: one answer of a link that flaps is not a host that is back.
    Rule(
        "settling",
        "suspect",
        lambda case: case.answers and case.previous in _WAS_LOST and not case.is_steady,
        lambda case: f"answers again, but not yet {case.policy.steady_answers} times in a row",
    ),
    # Slow is degraded, never dead.
    Rule(
        SLOW,
        "online",
        lambda case: case.answers and case.signs.slow >= case.policy.probing.suspect_after,
        lambda case: f"answers, but takes {_seconds(case.policy.probing.suspect_after)} or longer for it",
    ),
    # Said while there is time to mend it.
    Rule(
        DEVICE_DOUBTFUL,
        "online",
        lambda case: case.answers and case.armed and bool(case.signs.device_doubt),
        lambda case: (
            f"answers, but its fence device {case.signs.device_doubt}, so it might not be fenced if it were lost"
        ),
    ),
    Rule("answers", "online", lambda case: case.answers, lambda _: "answers"),
    # From here on it is silent.
    Rule(
        "proven",
        "fenced",
        _is_proven,
        lambda case: _proof_words(case.proof),
    ),
    Rule(
        "being-fenced",
        "fencing",
        lambda case: case.fencing and case.incident is not None and case.incident.returned_at is None,
        lambda _: "does not answer; its power is being cut",
    ),
    # The word of a device is better than any grace; the proof itself is made by asking once more.
    Rule(
        POWER_OFF,
        "unreachable",
        lambda case: case.device_says_off and case.silence >= case.policy.probing.suspect_after,
        lambda _: "does not answer, and its fence device says that the power is off",
    ),
    # A mistake in a spec must not have a host switched off that runs.
    Rule(
        "moved",
        "unknown",
        lambda case: case.has_moved and case.incident is None,
        lambda case: f"has not answered since its uri was changed; it is not taken for lost{_ending(case)}",
    ),
    # An incident like any other, but only a human can tell which of the two machines is off.
    Rule(
        OTHER_MACHINE_SILENT,
        "unreachable",
        lambda case: case.last_was_another and case.silence >= case.policy.probing.unreachable_after,
        lambda case: (
            f"has not answered for {_seconds(case.policy.probing.unreachable_after)} or longer, and the last that did"
            f" was another machine; the one on record may well be alive{_ending(case)}"
        ),
    ),
    Rule(
        "silent",
        "unreachable",
        lambda case: case.silence >= case.policy.probing.unreachable_after,
        lambda case: (
            f"has not answered for {_seconds(case.policy.probing.unreachable_after)} or longer;"
            f" it may well be alive{_ending(case)}"
        ),
    ),
    # This controller has only begun to look.
    Rule(
        "not-seen",
        "unknown",
        lambda case: case.signs.silent is None,
        lambda case: f"has not been seen since this controller began{_ending(case)}",
    ),
    Rule(
        "hesitating",
        "suspect",
        lambda _: True,
        lambda case: f"has not answered for {_seconds(case.policy.probing.suspect_after)} or longer{_ending(case)}",
    ),
)


def _ending(case: Case) -> str:
    return f" ({case.signs.error})" if case.signs.error else ""


def incident_step(case: Case, verdict: Verdict, *, answered_since: bool, clean: bool) -> IncidentStep:
    """What becomes of the host's incident; `answered_since`: it has answered since the incident was opened.

    `clean` says that it holds no copy of a VM that was started elsewhere since.
    """
    incident = case.incident
    if incident is None:
        return "open" if verdict.state == "unreachable" else "none"
    if answered_since and incident.returned_at is None:
        return "return"
    if verdict.state == "unreachable" and (incident.returned_at is not None or case.proof is not None):
        return "renew"
    if verdict.state == "returning" and case.is_steady and clean:
        return "close"
    return "none"
