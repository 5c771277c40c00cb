"""Ctrl-C during an apply."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from reconciler.cli.apply import handing_back


def interrupted_twice(stop: threading.Event) -> None:
    with handing_back(stop):
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)


def test_the_first_ctrl_c_asks_to_stop_and_the_second_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice(threading.Event())

    assert "nothing is undone" in capsys.readouterr().err


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)

    with handing_back(threading.Event()):
        pass

    assert signal.getsignal(signal.SIGINT) is before
