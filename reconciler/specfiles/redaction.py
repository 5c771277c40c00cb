"""Which lines of a file must not be shown, because they hold or may hold a secret."""

from __future__ import annotations

import re
from typing import Final

_SECRET_BLOCK: Final = re.compile(r"\b(?:cloud_?init|user_?data|network_?config)\b[\"']?\s*:", re.IGNORECASE)
_SECRET_WORD: Final = re.compile(r"passw|secret|token|chpasswd|credential|private.?key|BEGIN [A-Z ]*KEY", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_QUOTED: Final = re.compile(r"`[^`]*`")


def without_credentials(text: str) -> str:
    """The text with what stands before the `@` of a URL starred out; its length stays."""
    return _CREDENTIALS.sub(lambda match: "*" * len(match[0]), text)


def without_quotations(message: str) -> str:
    """The message with everything in backquotes left out: for messages that quote a line that must not be shown."""
    return _QUOTED.sub("`…`", message)


def showable_line(lines: list[str], number: int) -> str:
    """Line `number` (from 1) as it may be shown; empty where it must not be."""
    if not 1 <= number <= len(lines):
        return ""
    line = lines[number - 1]
    if _SECRET_WORD.search(line) or _within_secret_block(lines, number):
        return ""
    begin = _SECRET_BLOCK.search(line)
    return without_credentials(line[: begin.end()] if begin else line)


def follows_secret_block(lines: list[str], number: int) -> bool:
    """Whether a secret block begins earlier in the same document: broken indentation may have cut it short."""
    for line in reversed(lines[:number]):
        if line.startswith("---"):
            return False
        if _SECRET_BLOCK.search(line):
            return True
    return False


def _within_secret_block(lines: list[str], number: int) -> bool:
    """Whether a line above, less indented than everything between, begins a secret block."""
    indent = _indentation(lines[number - 1])
    for line in reversed(lines[: number - 1]):
        if line.startswith("---"):
            return False
        if not line.strip():
            continue
        own = _indentation(line)
        if own < indent or not lines[number - 1].strip():
            if _SECRET_BLOCK.search(line):
                return True
            indent = own
        if own == 0:
            return False
    return False


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
