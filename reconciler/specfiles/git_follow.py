"""A branch of a repository, brought here commit by commit; each is whole on disk before it is followed.

What can't be had or may not be trusted changes nothing: the commit that is followed stays, and why is on record.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.model.git_source import GitSource
from reconciler.model.revision import Revision, SourceState
from reconciler.private_files import make_private_folder
from reconciler.specfiles.directory import read_directory
from reconciler.specfiles.generation import content_hash
from reconciler.specfiles.git_copy import (
    COMMITS,
    FOLDER,
    REPOSITORY,
    Copied,
    GitCopy,
    copy_of,
    follow,
    followed,
    read_state,
    unfollow,
    write_facts,
    write_state,
)
from reconciler.specfiles.git_export import export
from reconciler.specfiles.git_program import Git, GitError
from reconciler.specfiles.git_repository import Commit, Repository
from reconciler.specfiles.git_signatures import signer_of

_TREE: Final = "tree"
_UNFINISHED: Final = ".unfinished"
_COPIES_KEPT: Final = 3
"""Who reads specs just now may be at the one before."""


class Step(Struct, frozen=True):
    """What one look at the remote came to."""

    state: SourceState
    followed: Revision | None
    """The commit that is followed now; None where none ever was."""
    is_new: bool = False
    """Whether it is another one than before."""


class Follower:
    """Follows `source` into `state_dir`; for the one controller of that directory. `stop` ends what git is at."""

    def __init__(self, source: GitSource, state_dir: Path, clock: Clock, stop: threading.Event) -> None:
        self._source = source
        self._state_dir = state_dir
        self._root = state_dir / FOLDER
        self._clock = clock
        self._git = Git(self._root / REPOSITORY, stop)
        self._repository = Repository(self._git)
        blank = SourceState(source.url or "", source.branch, source.path)
        known = read_state(state_dir)
        same = known is not None and (known.url, known.branch, known.path) == (blank.url, blank.branch, blank.path)
        self._state = known if known is not None and same else blank

    def begin(self) -> Revision | None:
        """Take up what was followed last, where it is whole and may be followed still. Raises OSError."""
        make_private_folder(self._state_dir)
        make_private_folder(self._root)
        make_private_folder(self._root / COMMITS)
        for left_over in (self._root / COMMITS).glob(f"*{_UNFINISHED}"):
            shutil.rmtree(left_over)
        copy = copy_of(followed(self._state_dir))
        if copy is not None and self._may_be_followed(copy) and (_is_whole(copy) or self._is_mended(copy)):
            return copy.copied.revision
        unfollow(self._root)
        return None

    def step(self) -> Step:
        """Ask the remote, and follow its newest commit where that can be; raises OSError where nothing is written."""
        now = self._clock.now()
        before = copy_of(followed(self._state_dir))
        try:
            self._repository.make()
            tip = self._repository.fetch(self._source)
        except GitError as error:
            since = self._state.failing_since or now
            return self._noted(replace(self._state, failing_since=since, failure=_text(error)), before)
        reached = replace(self._state, fetched_at=now, failing_since=0.0, failure="", refused="", refusal="")
        if before is not None and before.copied.revision.commit == tip:
            return self._noted(reached, before)
        try:
            folder = self._copied(tip, before)
        except GitError as error:
            return self._noted(replace(reached, refused=tip, refusal=_text(error)), before)
        self._repository.keep(tip)
        follow(self._root, folder)
        self._drop_old(folder)
        return replace(self._noted(reached, copy_of(followed(self._state_dir))), is_new=True)

    def _noted(self, state: SourceState, copy: GitCopy | None) -> Step:
        if state != self._state:
            write_state(self._state_dir, state)
        self._state = state
        return Step(state, None if copy is None else copy.copied.revision)

    def _may_be_followed(self, copy: GitCopy) -> bool:
        """Whether it is of this source, and signed where that is asked."""
        facts, source = copy.copied, self._source
        is_ours = (facts.url, facts.branch, facts.path) == (self._state.url, source.branch, source.path)
        return is_ours and bool(facts.revision.signer or not source.require_signed_commits)

    def _is_mended(self, copy: GitCopy) -> bool:
        """A power cut may leave files empty that were just written: they are written again."""
        try:
            folder = self._copied(copy.copied.revision.commit, None)
        except GitError:
            return False
        follow(self._root, folder)
        return True

    def _copied(self, tip: str, before: GitCopy | None) -> Path:
        """The folder of the commit's copy, made and whole; raises GitError, OSError."""
        commit = self._repository.commit(tip)
        revision = replace(commit.revision, signer=self._signer(commit), replaced=self._replaced(tip, before))
        folder = self._root / COMMITS / f"{tip[:16]}-{self._clock.now():.0f}"
        unfinished = folder.with_name(folder.name + _UNFINISHED)
        make_private_folder(unfinished)
        try:
            export(self._git, tip, self._source.path, unfinished / _TREE, largest=self._source.largest << 20)
            content = content_hash(read_directory(unfinished / _TREE).contents)
            state = self._state
            write_facts(unfinished, Copied(revision, state.url, state.branch, state.path, content))
            if folder.exists():
                shutil.rmtree(folder)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return folder

    def _signer(self, commit: Commit) -> str:
        """Empty where no signature is asked for."""
        if not self._source.require_signed_commits:
            return ""
        return signer_of(commit, Path(self._source.allowed_signers or ""), self._git)

    def _replaced(self, tip: str, before: GitCopy | None) -> str:
        """The commit followed before, where the branch was rewritten so that it is not in its history any more."""
        if before is None:
            return ""
        old = before.copied.revision.commit
        return "" if self._repository.descends(tip, old) else old

    def _drop_old(self, current: Path) -> None:
        copies = sorted((self._root / COMMITS).iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in [path for path in copies if path != current][_COPIES_KEPT - 1 :]:
            shutil.rmtree(old)


def _is_whole(copy: GitCopy) -> bool:
    return content_hash(read_directory(copy.tree).contents) == copy.copied.content


def _text(error: GitError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
