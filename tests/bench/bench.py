"""What every row is given: a folder, a lab if it needs one, and how often to measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.hosts import Lab

_MANY = 7
_FEW = 3


@dataclass
class Bench:
    """One run of the bench; what it brought up is gone when the block ends."""

    folder: Path
    quick: bool
    _lab: Lab | None = field(default=None, init=False)

    @property
    def many(self) -> int:
        """Rounds of what takes less than a second."""
        return 3 if self.quick else _MANY

    @property
    def few(self) -> int:
        """Rounds of what takes several seconds."""
        return 1 if self.quick else _FEW

    @property
    def lab(self) -> Lab:
        """Three real hosts, brought up when first asked for."""
        if self._lab is None:
            self._lab = Lab.up(3)
        return self._lab

    def fresh_lab(self) -> Lab:
        """The hosts as after their first boot."""
        if self._lab is not None:
            self._lab.reset()
        return self.lab

    def place(self, name: str) -> Path:
        """A new folder."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        return folder

    def close(self) -> None:
        """Take the lab down."""
        if self._lab is not None:
            self._lab.down()
            self._lab = None
