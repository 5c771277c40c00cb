"""Sizes, rates and durations as people write them: `2GiB`, `10MiB/s`, `30s`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SIZE_UNITS: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE: Final = re.compile(r"(\d{1,15})(KiB|MiB|GiB|TiB)")
_DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_DECIMAL_TWINS: Final = {"K": "KiB", "M": "MiB", "G": "GiB", "T": "TiB"}


def parse_size(value: object) -> int:
    """Bytes of a size such as `512MiB` or `20GiB`.

    Raises ValueError for anything else: a unit is never guessed, and a decimal one is refused with its binary twin.
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match:
            return int(match[1]) * _SIZE_UNITS[match[2]]
    raise ValueError(f"{value!r} is not a size; {_size_advice(value)}")


def _size_advice(value: object) -> str:
    text = str(value)
    match = re.fullmatch(r"(\d+)\s*([KMGT])i?[Bb]?", text, re.IGNORECASE)
    if match:
        return f"write {match[1]}{_DECIMAL_TWINS[match[2].upper()]}"
    return "write a whole number and KiB, MiB, GiB or TiB, such as 2GiB"


def format_size(size: int) -> str:
    """The shortest exact form: `2GiB`, `1536MiB`; bytes that fit no unit as `123B`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return f"{size}B"


def approximate_size(size: int) -> str:
    """A short form for tables: `1.5GiB`; not exact."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if abs(size) >= _SIZE_UNITS[unit]:
            return f"{size / _SIZE_UNITS[unit]:.1f}".removesuffix(".0") + unit
    return f"{size}B"


def parse_rate(value: object) -> int:
    """Bytes a second of a rate such as `10MiB/s`; raises ValueError for anything else: bits are never guessed."""
    if isinstance(value, str) and value.endswith("/s"):
        match = _SIZE.fullmatch(value.removesuffix("/s"))
        if match:
            return int(match[1]) * _SIZE_UNITS[match[2]]
    raise ValueError(f"{value!r} is not a rate; {_rate_advice(value)}")


def _rate_advice(value: object) -> str:
    match = re.fullmatch(r"(\d+)\s*([KMGT])i?B?(/s|ps)?", str(value))
    if match:
        return f"write {match[1]}{_DECIMAL_TWINS[match[2]]}/s"
    return "write a whole number and KiB/s, MiB/s, GiB/s or TiB/s (bytes a second), such as 10MiB/s"


def format_rate(rate: int) -> str:
    """The shortest exact form: `10MiB/s`."""
    return f"{format_size(rate)}/s"


def parse_duration(value: object) -> float:
    """Seconds of a duration such as `30s`, `5m` or `7d`; raises ValueError for anything else."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match:
            return int(match[1]) * _DURATION_UNITS[match[2]]
    raise ValueError(f"{value!r} is not a duration; write a whole number and ms, s, m, h or d, such as 30s")


def format_duration(seconds: float) -> str:
    """The largest unit that is exact: `5m`, `90s`, `1500ms`."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _DURATION_UNITS[unit] == 0:
            return f"{int(seconds // _DURATION_UNITS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(KiB|MiB|GiB|TiB)$", "examples": ["512MiB", "20GiB"]}),
]
Rate = Annotated[
    int,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(KiB|MiB|GiB|TiB)/s$", "examples": ["10MiB/s"]}),
]
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(ms|s|m|h|d)$", "examples": ["30s", "5m"]}),
]
