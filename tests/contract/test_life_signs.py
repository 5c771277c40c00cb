"""Whether a host lives: asked without waiting, or with a deadline."""

from __future__ import annotations

import pytest

from reconciler.hypervisor.interface import Hypervisor

PATIENCE = 10.0


def test_a_host_that_lives_answers_in_time(host: Hypervisor) -> None:
    host.ping(PATIENCE)

    assert host.pulse().error == ""


def test_an_answer_to_any_call_is_a_sign_of_life(host: Hypervisor) -> None:
    host.ping(PATIENCE)
    before = host.pulse().answered_at

    host.sweep()

    after = host.pulse().answered_at
    assert before is not None
    assert after is not None
    assert after >= before


@pytest.mark.parametrize("times", [1, 50])
def test_pulse_never_waits_however_often_it_is_taken(host: Hypervisor, times: int) -> None:
    for _ in range(times):
        host.pulse()

    host.ping(PATIENCE)
    assert host.pulse().answered_at is not None
