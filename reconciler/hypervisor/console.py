"""The port to what a guest prints."""

from __future__ import annotations

from typing import Protocol


class Console(Protocol):
    """What a guest prints on its serial console, from the moment that it was opened."""

    def read(self) -> bytes:
        """What came since the last time; it never waits for more."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
