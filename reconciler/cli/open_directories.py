"""No controller begins where everybody of its machine could tell it what to do, or which secrets to use."""

from __future__ import annotations

import stat
from pathlib import Path

from reconciler.credentials.directory import CredentialsDirectory
from reconciler.errors import ConfigurationError


def refuse_open_directories(specs: Path | None) -> None:
    """Raise ConfigurationError where everybody may write the directory of specs, if there is one, or of credentials."""
    if specs is not None and specs.stat().st_mode & stat.S_IWOTH:
        raise ConfigurationError(
            f"{specs}: everybody may write this directory of specs, and so command every host",
            hint=f"run: chmod -R o-w {specs}",
        )
    credentials = CredentialsDirectory()
    if credentials.is_writable_by_all():
        raise ConfigurationError(
            f"{credentials.path}: everybody may write this directory of credentials, and so put in others",
            hint=f"run: chmod 700 {credentials.path}",
        )
