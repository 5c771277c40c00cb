"""When a host counts as silent."""

from concurrent.futures import Future

import pytest

from reconciler.hypervisor.heartbeat import Heartbeat


class _Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def wait(self, event: object, timeout: float) -> bool:  # noqa: ARG002 - the protocol's
        self.time += timeout
        return False


class _Watched:
    """A heartbeat of (2 s, 2), the probes that it sent, and whether it gave up."""

    def __init__(self) -> None:
        self.clock, self.probes, self.given_up = _Clock(), list[Future[object]](), False
        self.heartbeat = Heartbeat(self.clock, (2, 2), self._probe, self._give_up)

    def _probe(self) -> Future[object]:
        self.probes.append(Future())
        return self.probes[-1]

    def _give_up(self) -> None:
        self.given_up = True

    def pass_seconds(self, seconds: float) -> None:
        self.clock.time += seconds
        self.heartbeat.check()


@pytest.fixture
def watched() -> _Watched:
    return _Watched()


def test_a_host_that_has_just_answered_is_not_asked(watched: _Watched) -> None:
    watched.pass_seconds(1.9)

    assert watched.probes == []


def test_a_silent_host_is_asked_once(watched: _Watched) -> None:
    watched.pass_seconds(2)
    watched.pass_seconds(1)

    assert len(watched.probes) == 1
    assert not watched.given_up


def test_a_host_that_does_not_answer_that_is_given_up(watched: _Watched) -> None:
    watched.pass_seconds(2)
    watched.pass_seconds(4)

    assert watched.given_up


def test_any_answer_makes_the_silence_begin_again(watched: _Watched) -> None:
    watched.pass_seconds(2)
    watched.heartbeat.answered()
    watched.pass_seconds(4)

    assert not watched.given_up


def test_the_answer_to_the_probe_counts(watched: _Watched) -> None:
    watched.pass_seconds(2)
    watched.probes[0].set_result(1)
    watched.pass_seconds(4)

    assert not watched.given_up


def test_questions_do_not_pile_up(watched: _Watched) -> None:
    first = watched.heartbeat.ask()
    watched.pass_seconds(3)

    assert watched.heartbeat.ask() is first
    assert len(watched.probes) == 1


def test_an_answer_to_a_question_counts_from_when_it_came(watched: _Watched) -> None:
    watched.heartbeat.ask()
    watched.clock.time += 1.5
    watched.probes[0].set_result(1)

    assert watched.heartbeat.answered_at == watched.clock.time
    assert watched.heartbeat.took == 1.5


def test_a_question_that_a_broken_connection_ended_is_no_answer(watched: _Watched) -> None:
    before = watched.heartbeat.answered_at
    watched.heartbeat.ask()
    watched.clock.time += 1.5
    watched.probes[0].set_exception(ConnectionResetError())

    assert watched.heartbeat.answered_at == before


def test_a_question_that_waits_is_slow_already(watched: _Watched) -> None:
    watched.heartbeat.ask()
    watched.clock.time += 7

    assert watched.heartbeat.took == 7
