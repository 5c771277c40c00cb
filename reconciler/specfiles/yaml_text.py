"""What may be read at all: size, encoding and characters of a YAML file, checked before any parsing."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from reconciler.errors import SpecError

_BYTE_ORDER_MARK: Final = "\ufeff"

# NEL, LS and PS end a line in YAML 1.1 and not in YAML 1.2: as escapes they mean one thing to both.
_FORBIDDEN: Final = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class Position(Struct, frozen=True, order=True):
    """A place in a file; both count from 1, columns in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class YamlError(SpecError):
    """A YAML file that cannot be read; `line` and `column` count from 1, columns in characters."""

    def __init__(self, line: int, column: int, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {super().__str__()}"


class Limits(Struct, frozen=True):
    """Bounds of one file, so that no file can exhaust memory or stack.

    `file_bytes`: size of the file. `depth`: mappings and lists inside one another.
    `aliases`: uses of `*name` in the file. `alias_characters`: what they would add if written out.
    """

    file_bytes: int = 1024 * 1024
    depth: int = 64
    aliases: int = 1_000
    alias_characters: int = 1024 * 1024


def decode(data: bytes, limits: Limits) -> str:
    """Return the characters of a file, without byte order mark, its lines ended by LF.

    Raises YamlError if the file is too large, not UTF-8, or holds a character that YAML text may not contain.
    """
    if len(data) > limits.file_bytes:
        raise YamlError(
            1, 1,
            f"the file has {len(data)} bytes, more than the {limits.file_bytes} allowed",
            "split it into several files",
        )  # fmt: skip
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = line_and_column(data[: error.start].decode("utf-8").removeprefix(_BYTE_ORDER_MARK))
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise YamlError(line, column, message, "save the file as UTF-8") from error
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    # `isprintable` is quick; the expression decides the rest (tabs, unusual spaces, joiners).
    if not text.replace("\n", "").isprintable():
        _refuse_forbidden(text)
    return text


def line_and_column(before: str) -> tuple[int, int]:
    """Return the 1-based position of the character that follows the text `before`."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _refuse_forbidden(text: str) -> None:
    found = _FORBIDDEN.search(text)
    if found is None:
        return
    line, column = line_and_column(text[: found.start()])
    code = ord(found.group())
    hint = (
        "end lines with LF or CRLF"
        if found.group() == "\r"
        else f'remove it, or write it as the escape "\\u{code:04x}" within double quotes'
    )
    raise YamlError(line, column, f"character U+{code:04X} is not allowed here", hint)
