"""Where colour and animation may go."""

from __future__ import annotations

import io

import pytest

from reconciler.cli.terminal import terminal_of


class _Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        (_Tty(), {}, True),
        (_Tty(), {"NO_COLOR": "1"}, False),
        (_Tty(), {"NO_COLOR": ""}, True),
        (_Tty(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_goes_to_terminals_that_want_it(stream: io.StringIO, environ: dict[str, str], colour: bool) -> None:
    assert terminal_of(stream, environ).colour is colour


def test_a_pipe_is_a_hundred_columns_wide_and_nothing_is_animated_in_it() -> None:
    terminal = terminal_of(io.StringIO(), {})

    assert (terminal.width, terminal.interactive) == (100, False)
