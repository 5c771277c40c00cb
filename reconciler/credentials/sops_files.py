"""Files that are encrypted with SOPS, opened by its own program with its own sources of keys."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from reconciler.credentials.age_files import IDENTITY
from reconciler.credentials.directory import CredentialsDirectory
from reconciler.errors import DecryptionFailed, SecretMissing, SecretRefused

_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_SECONDS: Final = 20.0
"""It may ask a key service over the network."""
_LONGEST_REASON: Final = 300
_KEY_SOURCES: Final = ("SOPS_", "AWS_", "AZURE_", "GOOGLE_", "VAULT_", "GNUPG", "XDG_")
"""What the variables begin with by which it finds its keys."""
_ALSO: Final = frozenset({"HOME", "HTTPS_PROXY", "NO_PROXY", "https_proxy", "no_proxy", "SSL_CERT_FILE"})
_TYPES: Final[Mapping[str, Literal["yaml", "json", "dotenv", "ini"]]] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".env": "dotenv",
    ".ini": "ini",
}


def decrypted(
    content: bytes, path: str, key: str | None, directory: CredentialsDirectory, environ: Mapping[str, str]
) -> bytes:
    """What stands under `key` (`web.password`) of the encrypted `content`, or all of it; its type is by `path`'s end.

    Raises SecretMissing where the program or the key is not there, SecretRefused, DecryptionFailed.
    """
    if key is None:
        return _run(content, "binary", "binary", directory, environ)
    kind = _TYPES.get(PurePosixPath(path).suffix, "binary")
    try:
        data = json.loads(_run(content, kind, "json", directory, environ))
    except ValueError:
        data = None  # not shown: it is what was decrypted
    return _value(data, key)


def _value(data: Any, key: str) -> bytes:
    for part in key.split("."):
        if isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        elif isinstance(data, dict) and part in data:
            data = data[part]
        else:
            raise SecretMissing(f"which has no {key}", hint="correct key; its parts are separated by dots")
    if isinstance(data, bool | None) or not isinstance(data, str | int | float):
        raise SecretRefused(f"where {key} is not one value", hint="name a text or a number in it")
    return str(data).encode()


def _run(content: bytes, kind: str, output: str, directory: CredentialsDirectory, environ: Mapping[str, str]) -> bytes:
    """The output of `sops --decrypt`; the content that was checked goes in, so that no other is decrypted."""
    program = shutil.which("sops", path=_PATH)
    if program is None:
        raise SecretMissing(
            f"and the program sops is not in {_PATH}", hint="install it on the controller, or use an age file"
        )
    command = [program, "--decrypt", "--input-type", kind, "--output-type", output, "/dev/stdin"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(directory, environ),
        cwd="/",
        start_new_session=True,
        umask=0o077,
    ) as process:
        try:
            plain, complaints = process.communicate(content, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise DecryptionFailed(
                f"which sops did not decrypt within {_SECONDS:g} s",
                hint="see that the service that has its key answers",
            ) from error
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        raise DecryptionFailed(
            f"which sops can't decrypt: {_reason(complaints) or f'exit code {process.returncode}'}",
            hint=f"give the controller's user its key: with age, in {IDENTITY} of the credentials directory",
        )
    return plain


def _environment(directory: CredentialsDirectory, environ: Mapping[str, str]) -> dict[str, str]:
    """Of the controller's, what leads to keys; the controller's age identity is one, unless another is named."""
    own = {name: value for name, value in environ.items() if name.startswith(_KEY_SOURCES) or name in _ALSO}
    if not {"SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD"} & own.keys():
        with suppress(SecretMissing, SecretRefused):  # it may have other keys
            own["SOPS_AGE_KEY_FILE"] = str(directory.find(IDENTITY))
    return {"PATH": _PATH, "LC_ALL": "C.UTF-8", **own}


def _reason(complaints: bytes) -> str:
    """The first of what it printed, as one short line for people: it tells of keys by their names only."""
    text = " ".join(complaints.decode(errors="replace").split())
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= _LONGEST_REASON else f"{plain[:_LONGEST_REASON]}…"
