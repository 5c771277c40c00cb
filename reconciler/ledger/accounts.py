"""From which account something is said, as it is written down."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping


def account(environ: Mapping[str, str] | None = None) -> str:
    """Who logged in, even through sudo."""
    env = os.environ if environ is None else environ
    return env.get("SUDO_USER") or _own_account()


def _own_account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
