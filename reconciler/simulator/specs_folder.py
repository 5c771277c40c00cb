"""The specs of a simulation: a copy of the scenario's, which events change."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from reconciler.simulator.scenario_files import ScenarioError


def _no_specs(folder: str, names: list[str]) -> list[str]:
    """What need not be copied: images may be large, and a history is not played."""
    return [n for n in names if n == ".git" or not (n.endswith((".yaml", ".yml")) or (Path(folder) / n).is_dir())]


class SpecsFolder:
    """A directory `name` below `root` that begins as a copy of `source`; other files come from `scenario`."""

    def __init__(self, root: Path, source: Path, scenario: Path, name: str = "specs") -> None:
        self.name = name
        self.path = root / name
        self._aside = root / f"unmounted-{name}"
        self._scenario = scenario
        shutil.copytree(source, self.path, ignore=_no_specs)

    def write(self, target: PurePosixPath, source: PurePosixPath) -> None:
        """Put the scenario's file `source` at `target`, both below the scenario's folder."""
        content = self._content(source)
        file = self._below(target)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def write_half(self, target: PurePosixPath, source: PurePosixPath) -> None:
        """As `write`, caught in the middle of it."""
        content = self._content(source)
        self._below(target).write_bytes(content[: len(content) // 2])

    def remove(self, target: PurePosixPath) -> None:
        self._below(target).unlink(missing_ok=True)

    def unmount(self) -> None:
        """Leave an empty directory, as where a file system went away."""
        self.path.rename(self._aside)
        self.path.mkdir()

    def remove_all(self) -> None:
        """Have no directory at all."""
        self.path.rename(self._aside)

    def mount(self) -> None:
        """Have what was there before."""
        if self.path.exists():
            self.path.rmdir()
        self._aside.rename(self.path)

    def texts(self) -> tuple[str, ...]:
        """What is in the files now."""
        return tuple(file.read_text(errors="replace") for file in sorted(self.path.rglob("*.y*ml")))

    def _content(self, source: PurePosixPath) -> bytes:
        try:
            return (self._scenario / source).read_bytes()
        except OSError as error:
            raise ScenarioError(f"{self._scenario / source} can't be read: {error.strerror}") from error

    def _below(self, target: PurePosixPath) -> Path:
        if target.parts[:1] != (self.name,):
            raise ScenarioError(f"{target} is not below {self.name}/")
        return self.path.joinpath(*target.parts[1:])
