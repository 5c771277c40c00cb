"""Secrets of fence devices: specs name them, the credentials directory or the environment holds them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from reconciler.errors import FencingError
from reconciler.model.fencing_parameters import is_file
from reconciler.model.host import FencingLevel, SecretRef

CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
DEFAULT_CREDENTIALS: Final = Path("/etc/reconciler/credentials")
"""Where they are read from by commands, which systemd hands nothing."""
_UNIT_PREFIX: Final = "secret_"  # LoadCredential=secret:DIR hands the file F of DIR over as secret_F
_LARGEST: Final = 8 * 1024


class Credentials:
    """Reads secrets anew each time, so that a changed password needs no restart."""

    def __init__(self, environ: Mapping[str, str] | None = None, directory: Path = DEFAULT_CREDENTIALS) -> None:
        self._environ = os.environ if environ is None else environ
        handed_over = self._environ.get(CREDENTIALS_VARIABLE)
        self._directory = Path(handed_over) if handed_over else directory

    def of(self, level: FencingLevel, owner: str) -> dict[str, str]:
        """The level's secrets by parameter; for a parameter that takes a file, its path.

        `owner` names host and level in errors: FencingError for a secret that is missing or can't be passed on.
        """
        return {name: self.value(name, reference, owner) for name, reference in level.secrets.items()}

    def exposed(self, level: FencingLevel) -> tuple[Path, ...]:
        """Files of the level's secrets that every account of this machine can read."""
        found = []
        for name, reference in level.secrets.items():
            with suppress(FencingError, OSError):  # told by whoever needs it
                file = self._file(reference.file, name, "") if reference.file else None
                if (
                    file is not None
                    and file.stat().st_mode & stat.S_IROTH
                    and file.parent.stat().st_mode & stat.S_IXOTH
                ):
                    found.append(file)
        return tuple(found)

    def value(self, name: str, reference: SecretRef, owner: str) -> str:
        """The secret itself; `owner` names what has it, in errors: FencingError where it is no line of text."""
        if reference.env is not None:
            value = self._environ.get(reference.env)
            if value is None:
                raise FencingError(
                    f"{owner}: {name} is read from the environment variable {reference.env}, which is not set",
                    hint=f"set {reference.env} in the controller's environment, or name a file of the credentials"
                    " directory instead",
                )
            return _passable(value, name, owner)
        file = self._file(reference.file or "", name, owner)
        if is_file(name):
            return str(file)
        return _passable(_read(file, name, owner), name, owner)

    def _file(self, named: str, name: str, owner: str) -> Path:
        path = PurePosixPath(named)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise FencingError(
                f"{owner}: {name} names the file {named!r}, which is not below {self._directory}",
                hint="name a file of the credentials directory, such as h1-bmc",
            )
        base = self._directory.resolve()
        for candidate in (base / path, base / (_UNIT_PREFIX + "_".join(path.parts))):
            try:
                found = candidate.resolve(strict=True)
            except OSError:
                continue  # told below, once for all places
            if not found.is_relative_to(base):
                raise FencingError(
                    f"{owner}: {name} names the file {named!r}, a link that leads out of {self._directory}",
                    hint="put the file itself there",
                )
            return found
        raise FencingError(
            f"{owner}: {name} is read from the file {named}, which is not in {self._directory}",
            hint="write it there, readable by root only, and restart the service:"
            f" install -D -m 600 /dev/stdin {DEFAULT_CREDENTIALS}/{named}",
        )


def _read(file: Path, name: str, owner: str) -> str:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise FencingError(f"{owner}: {name}: {file} is no file", hint="put the secret itself there, on one line")
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    except OSError as error:
        raise FencingError(
            f"{owner}: {name}: {file} can't be read: {error.strerror}",
            hint="run this as root or as the controller's user",
        ) from error
    if len(data) > _LARGEST:
        raise FencingError(f"{owner}: {name}: {file} is larger than a secret", hint="put the secret alone there")
    return data.decode(errors="replace").removesuffix("\n").removesuffix("\r")


def _passable(value: str, name: str, owner: str) -> str:
    """Agents read `name=value` lines: a value with a line end would be more than one of them."""
    if not value:
        raise FencingError(f"{owner}: {name} is empty", hint="write the secret there")
    if not value.isprintable():
        raise FencingError(
            f"{owner}: {name} has more than one line, or characters that can't be printed",
            hint="write it as one line of text",
        )
    return value
