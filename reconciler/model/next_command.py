"""What to do next, where that is a call of this program."""

from __future__ import annotations

from typing import Final, Self


class NextCommand(str):
    """A hint that is a call of this program as a whole, such as `reconciler why Host/h1`.

    It is text wherever text is wanted; who knows how the program was called adds the directory and options.
    """

    __slots__ = ("words",)

    words: tuple[str, ...]
    """The command and its arguments, without the program."""

    def __new__(cls, *words: str) -> Self:
        made = super().__new__(cls, " ".join(("reconciler", *words)))
        made.words = words
        return made


ACCEPT_SPECS: Final = NextCommand("leader", "--accept-specs", "--reason", "TEXT")
"""Settles that the specs of who leads are in doubt."""
