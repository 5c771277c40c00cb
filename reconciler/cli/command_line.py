"""How the program was called, so that the commands which it prints work as they are pasted."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler.cli.invocation import Invocation
from reconciler.model.next_command import NextCommand

_OPTIONS: Final = {"specs": "--specs", "stateDir": "--state-dir"}
_WITHOUT_SPECS: Final = frozenset({"pause", "resume", "tombstone"})
_WITHOUT_DIR: Final = frozenset({"fence"})
"""Commands that take the specs by their option only."""


class CommandLine(Struct, frozen=True):
    """What the next command needs because this one was given it; what it finds by itself is left out."""

    specs: tuple[str, ...] = ()
    """DIR, or `--specs DIR`."""
    options: tuple[str, ...] = ()

    def call(self, command: str, *arguments: str) -> str:
        """`reconciler COMMAND ARGUMENTS…` for a shell."""
        specs = () if command in _WITHOUT_SPECS else self.specs
        if command in _WITHOUT_DIR and len(specs) == 1:
            specs = ("--specs", *specs)
        return shlex.join(("reconciler", command, *arguments, *specs, *self.options))

    def spelled(self, hint: NextCommand) -> str:
        """The hint for a shell."""
        return self.call(*hint.words)


BARE: Final = CommandLine()
"""Everything is named by environment or configuration."""


def command_line(invocation: Invocation, directory: Path | None = None) -> CommandLine:
    """How the next command is to be called; `directory` is DIR of the command line."""
    given = {option: invocation.flags[key] for key, option in _OPTIONS.items() if key in invocation.flags}
    if invocation.config_file is not None:
        given["--config"] = str(invocation.config_file)
    named = given.pop("--specs", None)
    specs = (str(directory),) if directory is not None else ("--specs", named) if named is not None else ()
    return CommandLine(specs, tuple(word for option in given.items() for word in option))
