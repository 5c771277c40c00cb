"""The credentials directory: what systemd hands to the service, or what root keeps for commands."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reconciler.credentials.small_files import resolved_below
from reconciler.errors import SecretMissing, SecretRefused

CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
DEFAULT_CREDENTIALS: Final = Path("/etc/reconciler/credentials")
"""Where they are read from by commands, which systemd hands nothing."""
_UNIT_PREFIX: Final = "secret_"  # LoadCredential=secret:DIR hands the file F of DIR over as secret_F


class CredentialsDirectory:
    """Files by the names that specs and configuration give them; looked for anew each time."""

    def __init__(self, environ: Mapping[str, str] | None = None, default: Path = DEFAULT_CREDENTIALS) -> None:
        handed_over = (os.environ if environ is None else environ).get(CREDENTIALS_VARIABLE)
        self.path: Final = Path(handed_over) if handed_over else default

    def find(self, named: str) -> Path:
        """The file called `named`; raises SecretMissing, SecretRefused."""
        if self.is_writable_by_all():
            raise SecretRefused(f"but everybody may write {self.path}", hint=f"run: chmod 700 {self.path}")
        for candidate in (named, _UNIT_PREFIX + named.replace("/", "_")):
            try:
                return resolved_below(self.path, candidate, str(self.path))
            except SecretMissing:
                continue  # told below, once for all places
        raise SecretMissing(
            f"which is not in {self.path}",
            hint="write it there, readable by root only, and restart the service:"
            f" install -D -m 600 /dev/stdin {DEFAULT_CREDENTIALS}/{named}",
        )

    def is_writable_by_all(self) -> bool:
        """Whether everybody could put other secrets there; not where it is missing."""
        try:
            return bool(self.path.stat().st_mode & stat.S_IWOTH)
        except OSError:
            return False  # nothing to read, which is told by whoever needs something of it
