"""What is wrong with a configuration, in plain words: each mistake with its place, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from reconciler.errors import ConfigurationError

_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("ge", "is too small; the least is {bound:g}"),
    "greater_than": ("gt", "is too small; write more than {bound:g}"),
    "less_than_equal": ("le", "is too large; the most is {bound:g}"),
    "less_than": ("lt", "is too large; write less than {bound:g}"),
}
_TYPES: Final[tuple[tuple[str, str], ...]] = (
    ("bool", "is neither true nor false"),
    ("int", "is not a whole number"),
    ("float", "is not a number"),
    ("list", "is not a list; write [A, B]"),
    ("tuple", "is not a list; write [A, B]"),
    ("string", "is not a text; write it in quotes"),
)
_PLAIN: Final[Mapping[str, str]] = {
    "missing": " is missing",
    "string_pattern_mismatch": ": {got} has not the form {pattern}",
}
_NO_MAPPING: Final = frozenset({"model_type", "model_attributes_type", "dict_type"})
_NEAR: Final = 5
"""Keys that are named where none was probably meant."""


def refused(
    errors: Sequence[ErrorDetails], place_of: Callable[[str], str], keys: Collection[str], secret: Collection[str]
) -> ConfigurationError:
    """One error that tells of all of them, in one line; values of `secret` keys are not shown."""
    told = []
    for error in errors:
        place = place_of(".".join(map(str, error["loc"])))
        key = ".".join(str(part) for part in error["loc"] if not isinstance(part, int))
        words, hint = _words(key, error, keys, is_secret=any(key.startswith(each) for each in secret))
        told.append((f"{place}: {key}{words}", hint))
    if len(told) == 1:
        return ConfigurationError(told[0][0], hint=told[0][1] or "correct it and run again")
    lines = [f"{text}; {hint}" if hint else text for text, hint in told]
    return ConfigurationError(" · ".join(lines), hint=f"correct these {len(lines)} and run again")


def _words(key: str, error: ErrorDetails, keys: Collection[str], *, is_secret: bool) -> tuple[str, str]:
    """What follows the key, and what to do where that does not say it."""
    reason, value, context = error["type"], error["input"], error.get("ctx", {})
    if reason == "extra_forbidden":
        return " is no setting", _meant(key, value, keys)
    got = "this value" if is_secret else _shown(value)
    if reason in _PLAIN:
        return _PLAIN[reason].format(got=got, **context), ""
    if reason == "literal_error":
        return f": {_not_a_choice(value, got, str(context.get('expected', '')))}", ""
    if reason in _BOUNDS:
        name, words = _BOUNDS[reason]
        return f": {got} {words.format(bound=context[name])}", ""
    if reason in _NO_MAPPING:
        sample = next((each.removeprefix(f"{key}.") for each in sorted(keys) if each.startswith(f"{key}.")), "KEY")
        return f": {got} is not a mapping; write its keys below it, such as {key}: {{{sample}: …}}", ""
    type_words = next((words for kind, words in _TYPES if reason.startswith(f"{kind}_")), "")
    return f": {f'{got} {type_words}' if type_words else error['msg'].removeprefix('Value error, ')}", ""


def _not_a_choice(value: Any, got: str, expected: str) -> str:
    choices = re.findall(r"'([^']*)'", expected)
    near = difflib.get_close_matches(str(value), choices, n=1)
    meant = f"did you mean `{near[0]}`? The" if near else "the"
    return f"{got} is not possible here; {meant} possible values are {', '.join(choices)}"


def _meant(key: str, value: Any, keys: Collection[str]) -> str:
    """The setting that was probably meant: by its whole name, or by its last part, as of `policy.failback`."""
    section, _, name = key.rpartition(".")
    there = sorted({each.removeprefix(f"{section}.") for each in keys if section and each.startswith(f"{section}.")})
    if there:
        near = [f"{section}.{each}" for each in difflib.get_close_matches(name, there, n=1)]
    else:
        near = difflib.get_close_matches(key, keys, n=1)
    near = near or list(_by_last_part(key, value, keys))
    if near:
        return f"did you mean {', or '.join(near[:_NEAR])}?"
    known = there or sorted({each.partition(".")[0] for each in keys})
    return f"{f'keys of {section}' if there else 'known keys'}: {', '.join(known)}"


def _by_last_part(key: str, value: Any, keys: Collection[str]) -> Iterator[str]:
    parts = {str(each) for each in value} if isinstance(value, dict) else {key.rpartition(".")[2]}
    for each in sorted(keys):
        if each.rpartition(".")[2] in parts:
            yield each


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…{text[-1]}"
