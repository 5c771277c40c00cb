"""What people say on record: who, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.errors import UsageError
from reconciler.ledger.accounts import account

_LONGEST_REASON: Final = 500
_PLACEHOLDER: Final = "TEXT"
"""As commands that are suggested have it: pasted as it is, it would be on record as the reason."""


def who(by: str | None, environ: Mapping[str, str] | None = None) -> str:
    """`--by` with the account that it was said from: `Ann (as root)`; without it, who logged in, even through sudo."""
    said_from = account(environ)
    return f"{by.strip()} (as {said_from})" if by and by.strip() and by.strip() != said_from else said_from


def checked_reason(text: str, of_what: str, example: str) -> str:
    """`--reason` on one line; raises UsageError for one that says nothing, too much, or `TEXT`."""
    reason = " ".join(text.split())
    if reason == _PLACEHOLDER or not reason or not reason.isprintable() or len(reason) > _LONGEST_REASON:
        raise UsageError(f"--reason must say in a sentence {of_what}", hint=f'such as --reason "{example}"')
    return reason
