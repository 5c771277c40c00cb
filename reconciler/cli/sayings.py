"""What people say on record: who, and why."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from typing import Final

from reconciler.errors import UsageError

_LONGEST_REASON: Final = 500


def who(by: str | None, environ: Mapping[str, str] | None = None) -> str:
    """`--by` with the account that it was said from: `Ann (as root)`; without it, who logged in, even through sudo."""
    env = os.environ if environ is None else environ
    account = env.get("SUDO_USER") or _account()
    return f"{by.strip()} (as {account})" if by and by.strip() and by.strip() != account else account


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def checked_reason(text: str, of_what: str, example: str) -> str:
    """`--reason` on one line; raises UsageError for one that says nothing, or too much."""
    reason = " ".join(text.split())
    if not reason or not reason.isprintable() or len(reason) > _LONGEST_REASON:
        raise UsageError(f"--reason must say in a sentence {of_what}", hint=f'such as --reason "{example}"')
    return reason
