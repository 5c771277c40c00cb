"""Where the specs come from: their commit, and when its repository was asked last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.cli.words import age
from reconciler.model.revision import Revision, SourceState
from reconciler.model.status import FleetStatus


def source_lines(status: FleetStatus) -> Iterator[str]:
    """One line of the commit, one of the repository; neither where the specs are a plain directory."""
    if status.revision is not None:
        yield _commit(status.revision, status.at)
    if status.source is not None:
        yield _remote(status.source, status.at)


def _commit(revision: Revision, at: float) -> str:
    when = f", {age(at - revision.committed_at)} ago" if revision.committed_at else ""
    signed = f", signed by {revision.signer}" if revision.signer else ""
    dirty = " · with changes that are not committed" if revision.is_dirty else ""
    rewritten = f" · history was rewritten: {revision.replaced[:7]} was followed before" if revision.replaced else ""
    return f"commit {revision}{when}{signed}{dirty}{rewritten}"


def _remote(source: SourceState, at: float) -> str:
    where = f"{source.branch}:{source.path}" if source.path else source.branch
    asked = f"answered {age(at - source.fetched_at)} ago" if source.fetched_at else "never answered yet"
    failing = f" · {source.failure}" if source.failure else ""
    return f"from {source.url} {where}, which {asked}{failing}"


def revision_data(revision: Revision) -> dict[str, Any]:
    """The commit as plain data."""
    return {
        "commit": revision.commit,
        "subject": revision.subject,
        "author": revision.author,
        "committedAt": revision.committed_at,
        "signer": revision.signer,
        "dirty": revision.is_dirty,
        "replaced": revision.replaced,
    }


def source_data(source: SourceState) -> dict[str, Any]:
    """How the repository is followed, as plain data; instants in seconds since the epoch, null for never."""
    return {
        "url": source.url,
        "branch": source.branch,
        "path": source.path,
        "answeredAt": source.fetched_at or None,
        "failingSince": source.failing_since or None,
        "failure": source.failure,
        "refusedCommit": source.refused,
        "refusal": source.refusal,
    }
