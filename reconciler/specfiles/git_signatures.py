"""Whether somebody signed a commit whose word counts."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

from reconciler.specfiles.git_program import Git, GitError
from reconciler.specfiles.git_repository import Commit

_SECONDS: Final = 30.0
_SSH: Final = b"-----BEGIN SSH SIGNATURE-----"
_PGP: Final = b"-----BEGIN PGP SIGNATURE-----"
_HEADERS: Final = (b"\ngpgsig ", b"\ngpgsig-sha256 ")
_KEYS: Final = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_LARGEST: Final = 4 << 20
_VERDICTS: Final = {
    "B": "its signature does not fit it: the commit was changed after it was signed",
    "U": "its signature is of nobody among allowedSigners",
    "X": "its signature has expired",
    "Y": "the key that signed it has expired",
    "R": "the key that signed it was revoked",
    "E": "its signature is of nobody among allowedSigners",
    "N": "it is not signed",
}


class Untrusted(GitError):
    """The commit is not signed by anybody who may sign."""


def signer_of(commit: Commit, allowed: Path, git: Git) -> str:
    """Who signed it; raises Untrusted, and GitError where that can't be told."""
    name = commit.revision.commit
    kind = _kind(commit.raw)
    keys = _read(allowed)
    is_pgp = keys.startswith(_KEYS) or keys[:1] >= b"\x80"
    if kind is None:
        raise Untrusted("it is not signed", hint="sign it: git commit --amend --no-edit -S, and push it")
    if is_pgp != (kind == _PGP):
        found, listed = ("an OpenPGP", "SSH") if kind == _PGP else ("an SSH", "OpenPGP")
        raise Untrusted(f"it has {found} signature, and {allowed} lists {listed} keys", hint=_ADD.format(allowed))
    if is_pgp:
        with tempfile.TemporaryDirectory(prefix="reconciler-keys-") as folder:
            home = _keyring(Path(folder), keys, allowed)
            return _verdict(name, Git(git.repository, git.stop, {"GNUPGHOME": str(home)}), "/dev/null", allowed)
    return _verdict(name, git, str(allowed.absolute()), allowed)


_ADD: Final = "sign it with a listed key, or add the key to {}"


def _kind(raw: bytes) -> bytes | None:
    """How it is signed, by its header: what stands in the message is no signature."""
    head = raw.partition(b"\n\n")[0]
    for header in _HEADERS:
        for kind in (_SSH, _PGP):
            if header + kind in head:
                return kind
    return None


def _read(allowed: Path) -> bytes:
    try:
        with allowed.open("rb") as file:
            keys = file.read(_LARGEST)
    except OSError as error:
        raise GitError(
            f"allowedSigners {allowed} can't be read: {(error.strerror or '').lower()}",
            hint="name the file with those who may sign, which this user may read",
        ) from error
    if not keys.strip():
        raise GitError(f"allowedSigners {allowed} is empty: nobody may sign", hint="add a line: EMAIL ssh-ed25519 KEY")
    return keys


def _keyring(folder: Path, keys: bytes, allowed: Path) -> Path:
    """A home of GnuPG that knows these keys alone, each of them for good: who may sign is said by the file."""
    (folder / "gpg.conf").write_text("trust-model always\nno-autostart\nno-auto-key-retrieve\n")
    try:
        done = subprocess.run(
            ["gpg", "--homedir", str(folder), "--batch", "--quiet", "--no-autostart", "--import"],
            input=keys,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError("gpg can't be run, which verifies OpenPGP signatures", hint="install gnupg") from error
    if done.returncode != 0:
        raise GitError(f"allowedSigners {allowed} holds no keys that gpg reads", hint="write it with gpg --export -a")
    return folder


def _verdict(name: str, git: Git, ssh_signers: str, allowed: Path) -> str:
    answer = git.answer(
        *("log", "-1", "--no-patch", "--no-mailmap", "--format=%G?%x00%GS%x00%GF", name),
        timeout=_SECONDS,
        settings=(
            f"gpg.ssh.allowedSignersFile={ssh_signers}",
            "gpg.ssh.revocationFile=",
            "gpg.ssh.program=ssh-keygen",
            "gpg.program=gpg",
            "gpg.x509.program=false",
            "gpg.minTrustLevel=fully",
        ),
    )
    verdict, _, rest = answer.decode(errors="replace").strip().partition("\0")
    signer, _, fingerprint = rest.partition("\0")
    if verdict != "G" or not signer:
        raise Untrusted(_VERDICTS.get(verdict, _VERDICTS["E"]), hint=_ADD.format(allowed))
    printable = "".join(letter if letter.isprintable() else " " for letter in signer)
    return printable or fingerprint
