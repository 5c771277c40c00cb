"""The name of one snapshot of the specs: the commit where the files are just that, else a hash of their content.

The files read are compared with the commit's tree by their blob names. `git status` would not do: it looks at the
disk a second time, and runs whatever filters and monitors the checkout's configuration names.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reconciler.specfiles.directory import ENCRYPTED

_SAFE: Final = (
    "--no-replace-objects",
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=", "-c", "protocol.allow=never",
)  # fmt: skip
_TIMEOUT: Final = 5.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_ENCRYPTED: Final = tuple(os.fsencode(suffix) for suffix in ENCRYPTED)
_REGULAR: Final = (b"100644", b"100755")


def generation_of(directory: Path, contents: Mapping[str, bytes]) -> str:
    """The commit of `directory` if its tree holds exactly `contents` (by path below it), else `content-…`."""
    try:
        commit = _commit_of(directory.resolve(), contents)
    except (OSError, subprocess.SubprocessError):
        commit = None  # no git, not its owner, or no commit yet: the content says as much
    return commit or content_hash(contents)


def descends(directory: Path, generation: str, ancestor: str) -> bool:
    """Whether both are commits, and `generation` is the later one by the history of `directory`.

    False where Git does not know, or is not there.
    """
    if not (_COMMIT.fullmatch(generation) and _COMMIT.fullmatch(ancestor)):
        return False
    try:
        _git(directory.resolve(), "merge-base", "--is-ancestor", ancestor, generation)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def content_hash(contents: Mapping[str, bytes]) -> str:
    """The name of what is in the files alone, whatever commit that is."""
    digest = hashlib.sha256()
    for path in sorted(contents):
        name, content = os.fsencode(path), contents[path]
        digest.update(b"%d:%s%d:" % (len(name), name, len(content)))
        digest.update(content)
    return f"content-{digest.hexdigest()[:12]}"


def _commit_of(directory: Path, contents: Mapping[str, bytes]) -> str | None:
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return None
    commit = _git(directory, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()
    tree = _tree(_git(directory, "ls-tree", "-r", "-z", commit))
    algorithm = "sha1" if len(commit) == 40 else "sha256"
    ours = {os.fsencode(path): _blob(content, algorithm) for path, content in contents.items()}
    return commit if ours == tree else None


def _tree(listing: bytes) -> dict[bytes, bytes]:
    """Blob names by path, of the files that are specs."""
    blobs: dict[bytes, bytes] = {}
    for entry in listing.split(b"\0"):
        properties, _, path = entry.partition(b"\t")
        hidden = path.startswith(b".") or b"/." in path
        if path.endswith((b".yaml", b".yml")) and not hidden and not path.endswith(_ENCRYPTED):
            mode, _, blob = properties.split(b" ")
            blobs[path] = blob if mode in _REGULAR else b"not a regular file"
    return blobs


def _blob(content: bytes, algorithm: str) -> bytes:
    return hashlib.new(algorithm, b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest().encode()


def _git(directory: Path, *arguments: str) -> bytes:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    return subprocess.run(
        ["git", "-C", os.fspath(directory), *_SAFE, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT,
        check=True,
    ).stdout
