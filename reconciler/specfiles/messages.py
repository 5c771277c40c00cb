"""What pydantic found wrong, in plain words: what is wrong, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

from reconciler.specfiles.field_words import example, type_words
from reconciler.specfiles.json_schema import property_at
from reconciler.specfiles.places import Finding, Path
from reconciler.specfiles.problem_codes import Code

PRIVATE: Final = frozenset({"cloudInit", "parameters", "secrets"})
"""Fields whose values are never shown."""

_SAME: Final = {"on": "up", "off": "down"}
"""Words for the same that no likeness of letters leads to."""
_DNS_LABEL: Final = re.compile(r"[^a-z0-9]+")


def finding_of(kind: str, error: ErrorDetails) -> Finding:
    """The finding of one validation error of an object of `kind`."""
    path = _path(error["loc"])
    reason = error["type"]
    if reason == "extra_forbidden":
        return _unknown_field(kind, path)
    if reason == "missing":
        return _missing(kind, path)
    if reason == "literal_error":
        return _not_a_choice(kind, path, error["input"])
    if reason == "value_error":
        return _refused_value(path, error)
    code, words = _described(kind, path, error)
    return Finding(code, path, words)


def closest(name: str, candidates: Iterable[str]) -> str:
    """The candidate that was probably meant; empty if none is near."""
    known = list(candidates)
    lowered = {candidate.lower().replace("_", ""): candidate for candidate in known}
    exact = lowered.get(name.lower().replace("_", "").replace("-", ""))
    if exact is not None and exact != name:
        return exact
    same = _SAME.get(name.lower(), "")
    if same in known:
        return same
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return found[0] if found else ""


def did_you_mean(suggestion: str, otherwise: str = "") -> str:
    """The end of a message about a name that is not known."""
    if suggestion:
        return f"; did you mean `{suggestion}`?"
    return f"; {otherwise}" if otherwise else ""


def shown(value: Any, path: Path = ()) -> str:
    """A wrong value as it may be shown: short, and nothing of what may be secret."""
    if not PRIVATE.isdisjoint(path):
        return "this value"
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…{text[-1]}"


def _path(location: tuple[int | str, ...]) -> Path:
    return location[:-1] if location and location[-1] == "[key]" else location


def _unknown_field(kind: str, path: Path) -> Finding:
    owner = property_at(kind, path[:-1]) or {}
    known = list(owner.get("properties", {}))
    suggestion = closest(str(path[-1]), known)
    ending = did_you_mean(suggestion, f"the fields here are {', '.join(known)}")
    return Finding("S014", path, f"unknown field{ending}", on_key=True, suggestion=suggestion)


def _missing(kind: str, path: Path) -> Finding:
    name = str(path[-1])
    field = property_at(kind, path) or {}
    sample = example(name, field)
    right = f", such as {name}: {sample}" if sample else f" ({type_words(field)})" if field else ""
    return Finding("S015", path, f"required, and missing; add it{right}", on_key=True)


def _not_a_choice(kind: str, path: Path, value: Any) -> Finding:
    field = property_at(kind, path) or {}
    choices = [str(choice) for choice in field.get("enum", [field["const"]] if "const" in field else [])]
    suggestion = closest(value, choices) if isinstance(value, str) else ""
    what = "no value given" if value is None else f"{shown(value, path)} is not possible here"
    ending = did_you_mean(suggestion) + f"{' The' if suggestion else '; the'} possible values are {', '.join(choices)}"
    return Finding("S017", path, f"{what}{ending}", suggestion=suggestion)


def _refused_value(path: Path, error: ErrorDetails) -> Finding:
    """A ValueError of our own validators: its words are plain already."""
    words = str(error.get("ctx", {}).get("error", error["msg"]))
    value = error["input"]
    if value is None:
        right = words.partition("; ")[2] or "write one, or leave the field out"
        return Finding("S016", path, f"no value given; {right}")
    if isinstance(value, dict):
        return Finding("S020", path, words, on_key=True)
    if not PRIVATE.isdisjoint(path):
        words = words.replace(repr(value), "this value")
    suggestion = _as_name(value) if "is not a name;" in words else ""
    return Finding("S019", path, words, suggestion=suggestion)


def _as_name(value: Any) -> str:
    return _DNS_LABEL.sub("-", str(value).lower()).strip("-")[:63]


def _described(kind: str, path: Path, error: ErrorDetails) -> tuple[Code, str]:
    reason: str = error["type"]
    value = error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    got = shown(value, path)
    if reason in ("greater_than_equal", "less_than_equal"):
        small = reason.startswith("greater")
        bound = context["ge"] if small else context["le"]
        return "S018", f"{got} is too {'small' if small else 'large'}; the {'least' if small else 'most'} is {bound:g}"
    if reason == "string_too_long":
        return "S018", f"{len(value)} characters are too many; the most is {context['max_length']}"
    if reason == "string_pattern_mismatch":
        sample = example(str(path[-1]), property_at(kind, path) or {})
        right = f"write one such as {sample}" if sample else f"it must match {context['pattern']}"
        return "S019", f"{got} is not possible here; {right}"
    return "S016", _wrong_type(kind, path, value, got)


def _wrong_type(kind: str, path: Path, value: Any, got: str) -> str:
    field = property_at(kind, path) or {}
    wanted = "list" if field.get("type") == "array" else type_words(field) if field else "value of the right type"
    what = "no value given" if value is None else f"{got} is not {_with_article(wanted)}"
    if field.get("type") == "string" and isinstance(value, int | float):
        return f"{what}; write it in quotes" + (f': "{got}"' if PRIVATE.isdisjoint(path) else "")
    if field.get("type") == "array":
        return f"{what}; begin each item with '- ', or write [A, B]"
    if "secrets" in path:
        # What stands there may be the password itself, so it is not shown.
        right = "{password: {file: NAME}}" if path[-1] == "secrets" else "{file: NAME}"
        return f"a secret is named, not written here; write {right}, a file of the credentials directory"
    if field.get("type") == "object":
        return f"{what}; write key: value lines, indented below"
    sample = example(str(path[-1]), field) if path else ""
    return f"{what}; write one such as {sample}" if sample else f"{what}; see `reconciler explain {kind}`"


def _with_article(words: str) -> str:
    if words.startswith(("text", "one of", "true")):
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
