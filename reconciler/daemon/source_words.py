"""What is the matter with the repository of specs, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.model.quantities import format_duration
from reconciler.model.revision import SourceState

_PATIENCE: Final = 120.0
"""Seconds without an answer of the remote before it is a problem: a fetch or two fail everywhere."""


def source_problems(state: SourceState, now: float) -> tuple[str, ...]:
    """Sentences; empty where all is well. `now` is wall time in seconds."""
    return tuple(_problems(state, now))


def _problems(state: SourceState, now: float) -> Iterator[str]:
    if state.failing_since and now - state.failing_since >= _PATIENCE:
        since = format_duration(60.0 * ((now - state.failing_since) // 60))
        yield f"{state.url} can't be asked for commits since {since}, the last one stays: {state.failure}"
    if state.refused:
        yield f"commit {state.refused[:12]} of {state.branch} is not followed, the one before stays: {state.refusal}"
