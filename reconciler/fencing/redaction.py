"""Keeps secrets out of what people read, however an agent wrote them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

_LONGEST: Final = 300
_LOG_PREFIX: Final = re.compile(r"^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ +[A-Z]+|[A-Z]+:root): *")
_NOISE: Final = ("Please use '-h' for usage",)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` with `***` for each secret, also where it is quoted for a shell, a URL or JSON."""
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def reason(text: str, secrets: Iterable[str]) -> str:
    """The end of what an agent printed, as one short line for people; empty where it printed nothing."""
    lines = [_LOG_PREFIX.sub("", line).strip() for line in redacted(text, secrets).splitlines()]
    said = [line for line in dict.fromkeys(lines) if line and line not in _NOISE]
    shown = " ".join("; ".join(said[-2:]).split())
    plain = "".join(letter if letter.isprintable() else "?" for letter in shown)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


def _forms(secret: str) -> Iterable[str]:
    return (secret, shlex.quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1])
