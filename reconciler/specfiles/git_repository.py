"""A bare repository of our own, into which one branch of a remote is fetched; nothing in it is ever checked out."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler.model.git_source import GitSource
from reconciler.model.revision import Revision
from reconciler.specfiles.git_program import Git, GitError

_TIP: Final = "refs/reconciler/tip"
_FOLLOWED: Final = "refs/reconciler/followed"
_QUICK: Final = 30.0
"""Seconds for what only reads or writes our own files."""
_TIDYING: Final = 120.0
_PERSON: Final = re.compile(rb"(.*) <[^>]*> (-?\d+) [+-]\d{4}")
_TOO_LONG: Final = 200


class BranchMissing(GitError):
    """The remote answers, and has no such branch: it is empty, or the branch was deleted or is called otherwise."""


class Commit(Struct, frozen=True):
    """A commit and its raw text, which a signature is part of."""

    revision: Revision
    raw: bytes


class Repository:
    """Made anew where it can't be used: everything in it can be fetched again."""

    def __init__(self, git: Git) -> None:
        self._git = git

    def make(self) -> None:
        """Have an empty one where there is none; raises GitError, OSError."""
        folder = self._git.repository
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            return
        shutil.rmtree(folder, ignore_errors=True)
        self._git.answer("init", "--bare", "--quiet", "--template=", "--shared=0600", timeout=_QUICK)

    def fetch(self, source: GitSource) -> str:
        """Bring the branch here; its newest commit. Raises GitError, BranchMissing."""
        assert source.url is not None  # noqa: S101  # nobody fetches without one
        try:
            self._git.answer(
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--no-recurse-submodules",
                "--no-show-forced-updates",
                "--refmap=",
                "--end-of-options",
                source.url,
                f"+refs/heads/{source.branch}:{_TIP}",
                timeout=source.timeout,
            )
        except GitError as error:
            if "find remote ref" not in error.message:
                raise
            raise BranchMissing(
                f"the repository has no branch {source.branch}, or no commit yet",
                hint=f"push one: git push origin HEAD:{source.branch}; or name another with branch",
            ) from error
        return self.named(_TIP)

    def named(self, name: str) -> str:
        """The commit of a name; raises GitError."""
        answer = self._git.answer("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}", timeout=_QUICK)
        return answer.decode().strip()

    def commit(self, name: str) -> Commit:
        """What is written in a commit; raises GitError."""
        raw = self._git.answer("cat-file", "commit", name, timeout=_QUICK)
        return Commit(revision_of(name, raw), raw)

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether `ancestor` is `commit` or in its history; False where it is not known here."""
        try:
            self._git.answer("merge-base", "--is-ancestor", ancestor, commit, timeout=_QUICK)
        except GitError:
            return False
        return True

    def keep(self, commit: str) -> None:
        """Have a commit stay that is followed, whatever becomes of the branch; then tidy up if it is worth it."""
        self._git.answer("update-ref", _FOLLOWED, commit, timeout=_QUICK)
        packs = sum(1 for _ in (self._git.repository / "objects" / "pack").glob("*.pack"))
        if packs > _MANY_PACKS:
            self._git.answer("gc", "--quiet", "--prune=1.day.ago", timeout=_TIDYING, settings=("gc.autoDetach=false",))


_MANY_PACKS: Final = 30


def revision_of(commit: str, raw: bytes) -> Revision:
    """Author, date and subject out of the raw text of a commit."""
    head, _, message = raw.partition(b"\n\n")
    author, committed_at, encoding = "", 0.0, "utf-8"
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        person = _PERSON.fullmatch(value) if key in (b"author", b"committer") else None
        if key == b"author" and person:
            author = _text(person[1], encoding)
        elif key == b"committer" and person:
            committed_at = float(person[2])
    paragraph = message.lstrip(b"\n").partition(b"\n\n")[0]
    return Revision(commit, _text(b" ".join(paragraph.split()), encoding), author, committed_at)


def _text(value: bytes, encoding: str) -> str:
    """On one line, without what a terminal would take as a command: anybody may have written it."""
    decoded = value.decode(encoding, errors="replace")
    plain = "".join(letter if letter.isprintable() else " " for letter in decoded).strip()
    return plain if len(plain) <= _TOO_LONG else f"{plain[: _TOO_LONG - 1]}…"


def repository_at(folder: Path, git: Git) -> Repository:
    """The one in `folder`, asked as `git` has it."""
    return Repository(Git(folder, git.stop, git.home))
