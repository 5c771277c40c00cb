"""One call of the program: what was on the command line, and the doors to everything outside."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from reconciler.cli.outside import Outside
    from reconciler.config import Settings


class Invocation(Struct, frozen=True):
    """What every command is given."""

    flags: Mapping[str, str] = field(default_factory=dict)
    """Settings named on the command line, by key of the configuration file."""
    config_file: Path | None = None
    no_input: bool = False
    verbosity: int = 0
    outside: Outside | None = None
    """Doors to hosts and files, where a test opens its own."""

    def settings(self, directory: Path | None = None) -> Settings:
        """The settings; `directory` is DIR of the command line. Raises UsageError."""
        load = import_module("reconciler.config").load_settings
        flags = {**self.flags, "specs": str(directory)} if directory is not None else self.flags
        settings: Settings = load(
            flags, config_file=self.config_file, interactive=not self.no_input, verbosity=self.verbosity
        )
        return settings

    def doors(self) -> Outside:
        """What reaches hosts and files; imported here because libvirt takes its time."""
        if self.outside is not None:
            return self.outside
        doors: Outside = import_module("reconciler.cli.outside").production()
        return doors
