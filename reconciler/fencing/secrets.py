"""Secrets of fence devices, as agents take them: one line of text, or the path of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.credentials.directory import DEFAULT_CREDENTIALS
from reconciler.credentials.secret_store import SecretStore
from reconciler.errors import FencingError, SecretError
from reconciler.model.fencing_parameters import is_file
from reconciler.model.host import FencingLevel
from reconciler.model.secret_ref import SecretRef


class Credentials:
    """Reads secrets anew each time, so that a changed password needs no restart; arguments as SecretStore has them."""

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        directory: Path = DEFAULT_CREDENTIALS,
        *,
        specs: Callable[[], Path] | None = None,
    ) -> None:
        self._store = SecretStore(environ, directory, specs=specs)

    def of(self, level: FencingLevel, owner: str) -> dict[str, str]:
        """The level's secrets by parameter; for a parameter that takes a file, its path.

        `owner` names host and level in errors: FencingError for a secret that is missing or can't be passed on.
        """
        return {name: self._value(name, reference, owner) for name, reference in level.secrets.items()}

    def exposed(self, level: FencingLevel) -> tuple[Path, ...]:
        """Files of the level's secrets that every account of this machine can read."""
        return tuple(filter(None, map(self._store.exposed, level.secrets.values())))

    def _value(self, name: str, reference: SecretRef, owner: str) -> str:
        try:
            if is_file(name):
                return str(self._store.file(reference, name, owner))
            # Agents read `name=value` lines: a value with a line end would be more than one of them.
            return self._store.line(reference, name, owner)
        except SecretError as error:
            raise FencingError(error.message, hint=error.hint) from error
