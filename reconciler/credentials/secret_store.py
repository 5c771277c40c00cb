"""Every secret that specs or configuration refer to, read where it is used and as it is then."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.credentials import age_files
from reconciler.credentials.directory import DEFAULT_CREDENTIALS, CredentialsDirectory
from reconciler.credentials.small_files import read_small, resolved_below
from reconciler.errors import SecretError, SecretMissing, SecretRefused
from reconciler.model.secret_ref import SecretRef, fault_of, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST: Final = 64 * 1024
_LARGEST_ENCRYPTED: Final = 1 << 20
"""A SOPS file holds many."""


class SecretStore:
    """Reads secrets anew each time, so that a changed one needs no restart. Safe to use from several threads.

    `specs` is the directory that encrypted files are below; None where there is none, as for the configuration.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        directory: Path = DEFAULT_CREDENTIALS,
        *,
        specs: Callable[[], Path] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._directory = CredentialsDirectory(self._environ, directory)
        self._specs = specs

    def text(self, reference: SecretRef, what: str, owner: str) -> str:
        """The secret, of any number of lines, without the end of the last.

        `what` is the secret's name and `owner` what has it, in errors. Raises SecretError.
        """
        with _told(reference, what, owner):
            content = self._content(reference)
            try:
                text = content.decode().removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError:
                raise SecretRefused("which is not text", hint="write it in UTF-8") from None
        if not text:
            raise SecretRefused(f"{owner}: {what} is empty", hint="write the secret there")
        return text

    def line(self, reference: SecretRef, what: str, owner: str) -> str:
        """The secret, which is one line of printable text; as `text`."""
        text = self.text(reference, what, owner)
        if not text.isprintable():
            raise SecretRefused(
                f"{owner}: {what} has more than one line, or characters that can't be printed",
                hint="write it as one line of text",
            )
        return text

    def file(self, reference: SecretRef, what: str, owner: str) -> Path:
        """Path of the file of the credentials directory that is the secret, for programs that are given a path."""
        with _told(reference, what, owner):
            return self._directory.find(reference.file or "")

    def exposed(self, reference: SecretRef) -> Path | None:
        """The file of the credentials directory that is the secret, if every account of this machine can read it."""
        if reference.file is None:
            return None
        with suppress(SecretError, OSError):  # told by whoever needs it
            file = self._directory.find(reference.file)
            if file.stat().st_mode & stat.S_IROTH and file.parent.stat().st_mode & stat.S_IXOTH:
                return file
        return None

    def _content(self, reference: SecretRef) -> bytes:
        fault = fault_of(reference)
        if fault is not None:
            raise SecretRefused(f"but {fault}")
        if reference.env is not None:
            value = self._environ.get(reference.env)
            if value is None:
                raise SecretMissing(
                    "which is not set",
                    hint=f"set {reference.env} in the controller's environment, or name a file of the credentials"
                    " directory instead",
                )
            return os.fsencode(value)
        if reference.age is not None:
            return age_files.decrypted(self._of_specs(reference.age), self._directory)
        if reference.sops is not None:
            from reconciler.credentials import sops_files  # noqa: PLC0415  # brings subprocess, which few need

            encrypted = self._of_specs(reference.sops)
            return sops_files.decrypted(encrypted, reference.sops, reference.key, self._directory, self._environ)
        return read_small(self._directory.find(reference.file or ""), _LARGEST)

    def _of_specs(self, path: str) -> bytes:
        if self._specs is None:
            raise SecretRefused("which is of the specs", hint="name a file of the credentials directory: {file: NAME}")
        folder = self._specs()
        return read_small(resolved_below(folder, path, str(folder)), _LARGEST_ENCRYPTED)


@contextmanager
def _told(reference: SecretRef, what: str, owner: str) -> Iterator[None]:
    """Errors of what is in here begin with who wanted what, and from where."""
    try:
        yield
    except SecretError as error:
        message = f"{owner}: {what} is read from {source_of(reference)}, {error.message}"
        raise type(error)(message, hint=error.hint) from error
