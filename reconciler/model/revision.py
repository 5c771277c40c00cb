"""Where a generation of the specs comes from: its commit, and how the repository is followed."""

from __future__ import annotations

from msgspec import Struct


class Revision(Struct, frozen=True):
    """One commit as people know it; `committed_at` is the committer's clock, in seconds since 1970."""

    commit: str
    subject: str = ""
    author: str = ""
    committed_at: float = 0.0
    signer: str = ""
    """Whose signature was verified; empty where none is required."""
    is_dirty: bool = False
    """Whether the directory holds something else than the commit."""
    replaced: str = ""
    """The commit that was followed before and is no ancestor of this one: history was rewritten; else empty."""

    def __str__(self) -> str:
        """`1234567 "more memory for web-1" by Ada`."""
        subject = f' "{self.subject}"' if self.subject else ""
        by = f" by {self.author}" if self.author else ""
        return f"{self.commit[:7]}{subject}{by}"


class SourceState(Struct, frozen=True):
    """How a repository is followed; instants are wall time in seconds, 0 for never."""

    url: str
    branch: str
    path: str
    fetched_at: float = 0.0
    """When the remote answered last."""
    failing_since: float = 0.0
    """When it first failed to, since then; 0 while it answers."""
    failure: str = ""
    """Why it can't be asked."""
    refused: str = ""
    """The newest commit, where it is not followed; else empty."""
    refusal: str = ""
    """Why not."""
