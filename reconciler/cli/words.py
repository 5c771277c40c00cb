"""Times, counts and lists as people read them."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterable
from typing import Final

_COMMAND: Final = re.compile(
    r"\b(?:virsh|reconciler|ssh|sudo) [^,;`()]*?(?=[,;`()]|:?$|: | ·| (?:and|or|on|by|from|there|then|until|works) )"
)
"""A call of a program within a text, up to where prose goes on."""
_UNBROKEN: Final = "\N{NO-BREAK SPACE}"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 host`, `3 hosts`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def age(seconds: float) -> str:
    """The two largest units that matter: `12s`, `4m`, `3h10m`, `5d`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 36_000:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    if whole < 172_800:
        return f"{whole // 3600}h"
    return f"{whole // 86_400}d"


def moment(at: float) -> str:
    """Local date and time of a wall time in seconds: `2026-11-23 05:40:12`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def clock_time(at: float) -> str:
    """Local time of a wall time in seconds: `05:40:12`."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def revision(generation: str) -> str:
    """The first characters of a commit or snapshot hash; a name as it is."""
    before, dash, digits = generation.rpartition("-")
    is_hash = len(digits) >= 12 and all(digit in "0123456789abcdef" for digit in digits)
    return f"{before}{dash}{digits[:7]}" if is_hash else generation


def names(items: Iterable[str], *, most: int = 3) -> str:
    """`h1,h2,h3`, or `h1,h2,… (7)` where there are more than `most`."""
    listed = list(items)
    if len(listed) <= most:
        return ",".join(listed)
    return f"{','.join(listed[: most - 1])},… ({len(listed)})"


def printable(text: str) -> str:
    """`text` on one line, without what a terminal would take as a command: some of it comes from hosts and guests."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def wrapped(text: str, width: int, indent: str) -> list[str]:
    """`text` in lines of at most `width`, each begun with `indent`; words and commands stay whole, to be copied."""
    lines = textwrap.wrap(
        _COMMAND.sub(lambda command: command[0].replace(" ", _UNBROKEN), text),
        max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_UNBROKEN, " ") for line in lines]
