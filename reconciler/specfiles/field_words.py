"""A field in words, for messages, `explain` and the reference: its type, unit, default and an example."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from reconciler.specfiles.field_examples import EXAMPLES
from reconciler.specfiles.json_schema import Schema

_PATTERNS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "TiB)/s": ("rate", "KiB/s, MiB/s, GiB/s or TiB/s", "10MiB/s"),
        "KiB|MiB": ("size", "KiB, MiB, GiB or TiB", "2GiB"),
        "ms|s|m": ("duration", "ms, s, m, h or d", "30s"),
        "[a-z0-9]([a-z0-9-]{0,61}": ("name", "", "web-1"),
        "fence_": ("fence agent", "", "fence_ipmilan"),
    }
)
_TYPES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "string": ("text", ""),
        "integer": ("whole number", "2"),
        "number": ("number", "1.5"),
        "boolean": ("true or false", "true"),
    }
)


def type_words(field: Schema) -> str:
    """What may be written: `size`, `list of names`, `one of a, b`, `mapping of text to text`."""
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return "one of " + ", ".join(f"`{choice}`" for choice in field["enum"])
    kind = "object" if "$ref" in field else field.get("type")
    if kind == "array":
        item = field.get("items", {})
        return f"list of {_plural(type_words(item))}"
    if kind == "object":
        more = field.get("additionalProperties")
        if isinstance(more, dict):
            return f"mapping of text to {type_words(more)}"
        return "mapping"
    named = _pattern(field)
    words = named[0] if named else _TYPES.get(str(kind), ("value", ""))[0]
    return words + _range(field)


def unit(field: Schema) -> str:
    """The units that a value is written with; empty where it has none."""
    named = _pattern(field)
    return named[1] if named else ""


def example(name: str, field: Schema) -> str:
    """A value as written in YAML, on one line; empty where none helps."""
    if "const" in field:
        return str(field["const"])
    if "enum" in field:
        return str(field["enum"][-1])
    kind = field.get("type")
    if kind == "array":
        inner = example(name.removesuffix("s"), field.get("items", {}))
        return EXAMPLES.get(name, f"[{inner}]") if inner else ""
    if kind == "object":
        more = field.get("additionalProperties")
        return "{app: web}" if isinstance(more, dict) and more.get("type") == "string" else ""
    if name in EXAMPLES:
        return EXAMPLES[name]
    named = _pattern(field)
    return named[2] if named else _TYPES.get(str(kind), ("", ""))[1]


def default_words(field: Schema) -> str:
    """The default as written in YAML; empty where there is none."""
    if "default" not in field:
        return ""
    value: Any = field["default"]
    if isinstance(value, str):
        return value
    if value == []:
        return "[]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items() if inner is not None) + "}"
    return json.dumps(value)


def _flow(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _pattern(field: Schema) -> tuple[str, str, str] | None:
    pattern = field.get("pattern", "")
    return next((words for part, words in _PATTERNS.items() if part in pattern), None)


def _range(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    return "" if low is None or high is None else f" from {low} to {high}"


def _plural(words: str) -> str:
    return words if words == "text" else f"{words}s"
