"""Files that are encrypted with age, opened by the identity in the credentials directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.credentials.directory import DEFAULT_CREDENTIALS, CredentialsDirectory
from reconciler.credentials.small_files import read_small
from reconciler.errors import DecryptionFailed, SecretMissing

if TYPE_CHECKING:
    from pyrage import ssh, x25519

IDENTITY: Final = "age-identity"
"""What the controller's private keys are called in the credentials directory."""
_LARGEST_IDENTITY: Final = 64 * 1024
_KEY: Final = "AGE-SECRET-KEY-1"


def decrypted(content: bytes, directory: CredentialsDirectory) -> bytes:
    """What `content`, binary or armoured, encrypts.

    Raises SecretMissing where the controller has no identity, DecryptionFailed.
    """
    import pyrage  # noqa: PLC0415  # 2 MB that only who uses age needs

    identities = _identities(directory)
    try:
        plain: bytes = pyrage.decrypt(content, identities)
    except pyrage.DecryptError as error:
        raise DecryptionFailed(
            f"which {IDENTITY} of {directory.path} does not open",
            hint="encrypt it for the controller's recipient too: age-keygen -y prints that of an identity",
        ) from error
    return plain


def _identities(directory: CredentialsDirectory) -> list[x25519.Identity | ssh.Identity]:
    from pyrage import IdentityError, ssh, x25519  # noqa: PLC0415  # as above

    try:
        content = read_small(directory.find(IDENTITY), _LARGEST_IDENTITY)
    except SecretMissing as error:
        raise SecretMissing(
            f"and the controller has no age identity: no file {IDENTITY} in {directory.path} that it may read",
            hint=f"make one, and restart the service: age-keygen | install -m 600 /dev/stdin"
            f" {DEFAULT_CREDENTIALS}/{IDENTITY}",
        ) from error
    try:
        if content.startswith(b"-----BEGIN"):
            return [ssh.Identity.from_buffer(content)]
        lines = (line.strip() for line in content.decode(errors="replace").splitlines())
        found = [x25519.Identity.from_str(line) for line in lines if line.startswith(_KEY)]
    except IdentityError:
        found = []
    if not found:
        raise DecryptionFailed(
            f"but {IDENTITY} of {directory.path} holds no key",
            hint="it has a line AGE-SECRET-KEY-1…, as age-keygen writes it, or is an ssh key without a passphrase",
        )
    return list(found)
