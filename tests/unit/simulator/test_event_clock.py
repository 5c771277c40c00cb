"""Time in a simulation: it passes where somebody waits, for all or for one alone."""

from __future__ import annotations

import threading

from reconciler.simulator.event_clock import EventClock


def test_time_that_passes_for_one_inside_of_another_is_told_apart_though_it_is_as_long() -> None:
    clock, begun = EventClock(), EventClock().monotonic()

    with clock.aside() as outer:
        with clock.aside():
            pass
        clock.wait(threading.Event(), 3.0)

    assert outer.seconds == 3.0
    assert clock.monotonic() == begun
