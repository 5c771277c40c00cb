"""Instants and spans as people read them."""

from __future__ import annotations

import datetime as dt
from typing import Final

_UNITS: Final = (("day", 86400), ("h", 3600), ("min", 60))


def utc(at: float, *, seconds: bool = False) -> str:
    """`2026-11-30 21:00Z`, or `2026-11-30 21:00:05Z`, of a wall time in seconds."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ" if seconds else "%Y-%m-%d %H:%MZ")


def span(seconds: float) -> str:
    """`7 days`, `1 day 4 h`, `3 h 12 min`, `45 s`: the two largest units that matter, rounded down."""
    left = max(0, int(seconds))
    parts = list[str]()
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number or parts:
            plural = "s" if unit == "day" and number != 1 else ""
            parts.append(f"{number} {unit}{plural}" if number else "")
        if len(parts) == 2:  # what is smaller says nothing beside them
            break
    return " ".join(part for part in parts if part) or f"{left} s"
