"""What goes wrong in the child that reads hosts reaches who waits for its answer."""

from __future__ import annotations

import threading
from multiprocessing import Pipe
from typing import Any

import msgspec
import pytest

from reconciler.errors import HostBusy, HostError
from reconciler.hypervisor.reading_process import Answer, Question, as_error, serve


class Host:
    """One whose reading fails."""

    connected = True

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    def read(self, **_: object) -> None:
        raise self._failure


class Hosts:
    """The child's."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    def host(self, _: str) -> Host:
        return Host(self._failure)


def answer_of(failure: Exception) -> HostError:
    """What the parent raises."""
    ours, theirs = Pipe()
    fleet: Any = Hosts(failure)
    threading.Thread(target=serve, args=(theirs, fleet), daemon=True).start()
    try:
        ours.send_bytes(msgspec.msgpack.encode(Question(1, "h1")))
        assert ours.poll(10), "nobody answers"
        answer = msgspec.msgpack.decode(ours.recv_bytes(), type=Answer)
    finally:
        ours.close()
    assert answer.mistake is not None
    return as_error(answer.mistake)


@pytest.mark.parametrize("mistake", [KeyError("disk"), RecursionError("too deep")], ids=["KeyError", "RecursionError"])
def test_a_mistake_of_ours_is_an_error_of_that_host_and_not_silence(mistake: Exception) -> None:
    error = answer_of(mistake)

    assert error.host == "h1"
    assert f"internal error: {type(mistake).__name__}" in error.message


def test_what_a_host_refuses_stays_what_it_is() -> None:
    error = answer_of(HostBusy("not now", host="h1", hint="wait"))

    assert (type(error), error.message, error.hint) == (HostBusy, "not now", "wait")
