"""Whether a host lives, as a table of stories, and the laws that hold for all of them."""

from __future__ import annotations

from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.health import FenceProof, HostSigns, HostState, Incident, Power
from reconciler.model.policy import HighAvailability
from reconciler.planner.host_health import RULES, Case, incident_step, judge

POLICY: Final = HighAvailability()
INCIDENT: Final = Incident("i1", "h1", opened=10.0, last_seen=4.0)
RETURNED: Final = replace(INCIDENT, returned_at=20.0)
PROOF: Final = FenceProof("h1", "i1", "fenced", 12.0, "fence_ipmilan says off", "fence_ipmilan")
HUMAN: Final = replace(PROOF, kind="human")
_GRAVITY: Final[dict[HostState, int]] = {
    "online": 0,
    "returning": 0,
    "suspect": 1,
    "unknown": 1,
    "unreachable": 2,
    "fencing": 3,
    "fenced": 4,
    "quarantined": 0,
}


def signs(
    silent: float | None,
    *,
    watched: float = 1000.0,
    answers: int = 0,
    power: Power = "unknown",
    power_age: float | None = None,
    slow: float = 0.0,
    device_doubt: str = "",
    identity_changed: bool = False,
) -> HostSigns:
    return HostSigns(
        "h1",
        silent,
        watched,
        answers=answers,
        power=power,
        power_age=power_age,
        slow=slow,
        device_doubt=device_doubt,
        identity_changed=identity_changed,
    )


def case(
    seen: HostSigns,
    previous: HostState | None = "online",
    incident: Incident | None = None,
    proof: FenceProof | None = None,
    *,
    armed: bool = True,
    fencing: bool = False,
    proven_here: bool = True,
    has_moved: bool = False,
    was_another: bool = False,
) -> Case:
    return Case(
        seen,
        previous,
        incident,
        proof,
        POLICY,
        armed=armed,
        fencing=fencing,
        proven_here=proven_here,
        has_moved=has_moved,
        was_another=was_another,
    )


STORIES: Final[dict[str, tuple[Case, HostState, str]]] = {
    "answers": (case(signs(0.2)), "online", "answers"),
    "silent for less than a moment": (case(signs(1.9)), "online", "answers"),
    "answers for the first time": (case(signs(0.1, answers=1), previous=None), "online", "answers"),
    "slow is not dead": (case(signs(0.1, slow=30.0)), "online", "slow"),
    "answers while its device does not": (
        case(signs(0.1, device_doubt="does not answer"), armed=True),
        "online",
        "device-doubtful",
    ),
    "answers while a device that is not used does not": (
        case(signs(0.1, device_doubt="does not answer"), armed=False),
        "online",
        "answers",
    ),
    "silent for a moment": (case(signs(2.0)), "suspect", "hesitating"),
    "silent for longer than the grace": (case(signs(6.0), "suspect"), "unreachable", "silent"),
    "not seen since the start": (case(signs(None, watched=3.0), None), "unknown", "not-seen"),
    "never seen, and the grace is over": (case(signs(None, watched=6.0), None), "unreachable", "silent"),
    "its device says off": (
        case(signs(2.1, power="off", power_age=0.1), "suspect"),
        "unreachable",
        "power-off",
    ),
    "its device said off before the host's last answer": (
        case(signs(2.1, power="off", power_age=2.2), "suspect"),
        "suspect",
        "hesitating",
    ),
    "a device that was never tested says off": (
        case(signs(2.1, power="off", power_age=0.1), "suspect", armed=False),
        "suspect",
        "hesitating",
    ),
    "answers while its device says off": (case(signs(0.1, power="off", power_age=0.0)), "online", "answers"),
    "its device says on": (case(signs(7.0, power="on", power_age=0.1), "suspect"), "unreachable", "silent"),
    "silent since its URI was changed": (case(signs(99.0), "unknown", has_moved=True), "unknown", "moved"),
    "its URI was changed while it was lost": (
        case(signs(99.0), "unreachable", INCIDENT, has_moved=True),
        "unreachable",
        "silent",
    ),
    "is being fenced": (case(signs(7.0), "unreachable", INCIDENT, fencing=True), "fencing", "being-fenced"),
    "fencing failed": (case(signs(90.0), "fencing", INCIDENT), "unreachable", "silent"),
    "is proven dead": (case(signs(9.0), "fencing", INCIDENT, PROOF), "fenced", "proven"),
    "is proven dead by a human while it is being fenced": (
        case(signs(9.0), "fencing", INCIDENT, HUMAN, fencing=True),
        "fenced",
        "proven",
    ),
    "was proven dead by an earlier controller": (
        case(signs(None, watched=9.0), "fenced", INCIDENT, PROOF, proven_here=False),
        "unreachable",
        "silent",
    ),
    "was proven dead earlier, and its device still says off": (
        case(signs(None, watched=9.0, power="off", power_age=1.0), "fenced", INCIDENT, PROOF, proven_here=False),
        "fenced",
        "proven",
    ),
    "was confirmed by a human under an earlier controller": (
        case(signs(None, watched=1.0), "fenced", INCIDENT, HUMAN, proven_here=False),
        "fenced",
        "proven",
    ),
    "comes back after it was fenced": (case(signs(0.1, answers=9), "fenced", RETURNED), "returning", "back"),
    "falls silent again after it came back": (
        case(signs(7.0), "returning", RETURNED, PROOF),
        "unreachable",
        "silent",
    ),
    "answers once after a moment": (case(signs(0.1, answers=1), "suspect"), "suspect", "settling"),
    "answers steadily after a moment": (case(signs(0.1, answers=3), "suspect"), "online", "answers"),
    "another machine answers": (case(signs(0.1, identity_changed=True)), "quarantined", "identity-changed"),
    "another machine answers after it was lost": (
        case(signs(0.1, answers=9, identity_changed=True), "fenced", RETURNED),
        "quarantined",
        "identity-changed",
    ),
    "another machine falls silent": (
        case(signs(7.0, identity_changed=True), "quarantined"),
        "unreachable",
        "other-machine-silent",
    ),
    "another machine falls silent, and the device says off": (
        case(signs(3.0, identity_changed=True, power="off", power_age=0.1), "quarantined"),
        "suspect",
        "hesitating",
    ),
    "another machine was silent already when the controller began": (
        case(signs(None, watched=9.0), "unknown", was_another=True),
        "unreachable",
        "other-machine-silent",
    ),
    "the machine on record has answered since": (
        case(signs(9.0), "suspect", was_another=True),
        "unreachable",
        "silent",
    ),
    "another machine is silent, and a human says that the one on record is off": (
        case(signs(9.0, identity_changed=True), "unreachable", INCIDENT, HUMAN),
        "fenced",
        "proven",
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str) -> None:
    told, state, rule = STORIES[story]

    verdict = judge(told)

    assert (verdict.state, verdict.rule) == (state, rule)


def test_every_rule_has_a_name_of_its_own_and_a_story() -> None:
    names = [rule.name for rule in RULES]

    assert len(set(names)) == len(names)
    assert {rule for _, _, rule in STORIES.values()} == set(names)


@pytest.mark.parametrize("story", STORIES)
def test_every_verdict_has_a_sentence(story: str) -> None:
    sentence = judge(STORIES[story][0]).sentence

    assert sentence
    assert not sentence.endswith(".")


INCIDENT_STORIES: Final[dict[str, tuple[Case, bool, bool, str]]] = {
    "a host that is lost opens one": (case(signs(7.0), "suspect"), False, True, "open"),
    "a moment's silence opens none": (case(signs(3.0)), False, True, "none"),
    "an answer ends what was proven": (case(signs(0.1, answers=1), "fenced", INCIDENT, PROOF), True, True, "return"),
    "an answer between two looks ends it too": (case(signs(5.0), "fenced", INCIDENT, PROOF), True, True, "return"),
    "a second silence is another incident": (case(signs(7.0), "suspect", RETURNED), True, True, "renew"),
    "what an earlier controller proved is proven anew": (
        case(signs(None, watched=9.0), "fenced", INCIDENT, PROOF, proven_here=False),
        False,
        True,
        "renew",
    ),
    "back, steady and clean": (case(signs(0.1, answers=3), "returning", RETURNED), True, True, "close"),
    "back and steady, but not clean": (case(signs(0.1, answers=3), "returning", RETURNED), True, False, "none"),
    "back and clean, but not steady": (case(signs(0.1, answers=2), "returning", RETURNED), True, True, "none"),
    "a silence that goes on": (case(signs(99.0), "unreachable", INCIDENT), False, True, "none"),
    "dead": (case(signs(99.0), "fenced", INCIDENT, PROOF), False, True, "none"),
}


@pytest.mark.parametrize("story", INCIDENT_STORIES)
def test_incident(story: str) -> None:
    told, answered_since, clean, step = INCIDENT_STORIES[story]

    assert incident_step(told, judge(told), answered_since=answered_since, clean=clean) == step


_STATES = st.one_of(st.none(), st.sampled_from(get_args(HostState)))
_AGES = st.floats(0, 1000)
_SIGNS = st.builds(
    signs,
    st.one_of(st.none(), _AGES),
    watched=_AGES,
    answers=st.integers(0, 3),
    power=st.sampled_from(get_args(Power)),
    power_age=st.one_of(st.none(), _AGES),
    slow=_AGES,
    identity_changed=st.booleans(),
)
_CASES = st.builds(
    case,
    _SIGNS,
    _STATES,
    st.sampled_from([None, INCIDENT, RETURNED]),
    st.sampled_from([None, PROOF, HUMAN]),
    armed=st.booleans(),
    fencing=st.booleans(),
    proven_here=st.booleans(),
    has_moved=st.booleans(),
    was_another=st.booleans(),
)


def test_a_humans_word_is_told_as_such_and_a_devices_as_evidence() -> None:
    vouched = replace(HUMAN, by="ann", evidence="cords are out")

    assert judge(case(signs(60.0), incident=INCIDENT, proof=vouched)).sentence == "confirmed dead by ann: cords are out"
    assert judge(case(signs(60.0), incident=INCIDENT, proof=PROOF)).sentence.startswith("can't be running its VMs: ")


@given(_CASES)
def test_no_host_is_fenced_without_a_proof_of_this_very_silence(told: Case) -> None:
    if judge(told).state == "fenced":
        assert told.proof is not None
        assert told.incident is not None
        assert told.incident.returned_at is None
        assert not told.answers


@given(_CASES, _AGES)
def test_silence_only_makes_it_worse(told: Case, more: float) -> None:
    longer = told.silence + more
    later = replace(told, signs=replace(told.signs, silent=longer))
    if told.signs.silent is None:
        later = replace(told, signs=replace(told.signs, watched=longer))

    assert _GRAVITY[judge(later).state] >= _GRAVITY[judge(told).state]


@given(_CASES, st.sampled_from(["suspect", "unreachable", "fencing", "fenced"]))
def test_a_host_that_flaps_is_not_online(told: Case, previous: HostState) -> None:
    flapping = replace(told, previous=previous, signs=replace(told.signs, answers=POLICY.steady_answers - 1))

    assert judge(flapping).state != "online"


@given(_CASES)
def test_a_host_that_answers_is_never_lost(told: Case) -> None:
    if told.answers:
        assert judge(told).state in {"online", "suspect", "returning", "quarantined"}


@given(_CASES, st.booleans(), st.booleans())
def test_an_incident_goes_on_until_the_host_is_back_and_clean(told: Case, answered: bool, clean: bool) -> None:
    step = incident_step(told, judge(told), answered_since=answered, clean=clean)

    if step == "close":
        assert clean
        assert told.answers
        assert told.is_steady


def test_a_humans_word_of_before_this_controller_does_not_stand_against_a_device_that_says_on() -> None:
    """Somebody switched the host on while no controller ran."""
    seen = signs(None, watched=30.0, power="on", power_age=1.0)

    assert judge(case(seen, "fenced", INCIDENT, HUMAN, proven_here=False)).state != "fenced"
    assert judge(case(seen, "fenced", INCIDENT, HUMAN, proven_here=False, armed=False)).state == "fenced"
    assert judge(case(seen, "fenced", INCIDENT, HUMAN, proven_here=True)).state == "fenced"
