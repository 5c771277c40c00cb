"""Colour and width: ANSI on a terminal that wants it, plain text everywhere else."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final, Literal, TextIO

import click
from msgspec import Struct

Style = Literal["good", "warn", "bad", "accent", "moved", "dim", "bold"]

_CODES: Final[Mapping[Style, str]] = {
    "good": "32",
    "warn": "33",
    "bad": "31",
    "accent": "36",
    "moved": "35",
    "dim": "2",
    "bold": "1",
}
_PLAIN_WIDTH: Final = 100
_NARROWEST: Final = 40


class Terminal(Struct, frozen=True):
    """Where text goes: `width` in columns, whether it takes `colour`, whether a person watches (`interactive`)."""

    width: int = _PLAIN_WIDTH
    colour: bool = False
    interactive: bool = False

    def paint(self, text: str, *styles: Style) -> str:
        """Return `text` in the styles, or as it is where there is no colour."""
        if not self.colour or not styles or not text:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


def terminal_of(stream: TextIO, environ: Mapping[str, str] | None = None) -> Terminal:
    """What `stream` can show; honours NO_COLOR, FORCE_COLOR, TERM=dumb and COLUMNS."""
    env = os.environ if environ is None else environ
    interactive = stream.isatty()
    unwanted = bool(env.get("NO_COLOR")) or env.get("TERM") == "dumb"
    colour = not unwanted and (interactive or bool(env.get("FORCE_COLOR")))
    if not interactive and "COLUMNS" not in env:
        return Terminal(_PLAIN_WIDTH, colour, interactive)
    return Terminal(max(_NARROWEST, shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns), colour, interactive)


def warn(text: str) -> None:
    """A line on standard error beside a command that goes on."""
    click.echo(f"{stderr_terminal().paint('warning:', 'warn', 'bold')} {text}", err=True)


def stdout_terminal() -> Terminal:
    """What standard output can show."""
    return terminal_of(sys.stdout)


def stderr_terminal() -> Terminal:
    """What standard error can show."""
    return terminal_of(sys.stderr)
