"""What people say on record: who, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.errors import UsageError
from reconciler.ledger.accounts import account

_LONGEST_REASON: Final = 500


def who(by: str | None, environ: Mapping[str, str] | None = None) -> str:
    """`--by` with the account that it was said from: `Ann (as root)`; without it, who logged in, even through sudo."""
    said_from = account(environ)
    return f"{by.strip()} (as {said_from})" if by and by.strip() and by.strip() != said_from else said_from


def checked_reason(text: str, of_what: str, example: str) -> str:
    """`--reason` on one line; raises UsageError for one that says nothing, or too much."""
    reason = " ".join(text.split())
    if not reason or not reason.isprintable() or len(reason) > _LONGEST_REASON:
        raise UsageError(f"--reason must say in a sentence {of_what}", hint=f'such as --reason "{example}"')
    return reason
