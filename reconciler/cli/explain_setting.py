"""What `explain` tells of the controller's configuration: one key, or those of a mapping."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Sequence
from typing import Final

from reconciler.config import environment_variable, item_keys, item_meaning, load_settings, setting_meanings
from reconciler.errors import UsageError

_WIDTH: Final = 100


def setting_text(key: str) -> str:
    """The meaning of a key such as `migration.fallback`, or the keys of `migration`; empty for what is neither."""
    defaults = {origin.key: origin.value for origin in load_settings(environ={}).origins}
    by_lower = {each.lower(): each for each in defaults}
    found = by_lower.get(key.lower())
    if found is not None:
        return _one(found, defaults[found])
    item = next((each for each in item_keys() if each.lower() == key.lower()), "")
    if item:
        return f"{item}  (of each item of that list, configuration)\n\n{_body(item_meaning(item))}\n"
    within = [each for each in defaults if each.lower().startswith(f"{key.lower()}.")]
    if not within:
        return _refuse_slip(key, [*defaults, *item_keys()])
    width = max(len(each) for each in within) + 2
    lines = [f"{key}  (keys of the configuration)", "", *(f"  {each:<{width}}{defaults[each]}" for each in within)]
    return "\n".join([*(line.rstrip() for line in lines), "", f"  reconciler explain {within[0]}"]) + "\n"


def _body(meaning: str) -> str:
    return textwrap.fill(" ".join(meaning.split()), _WIDTH, initial_indent="  ", subsequent_indent="  ")


def _refuse_slip(key: str, known: Sequence[str]) -> str:
    """Raise UsageError where it begins as a key of the configuration does; else it is none of ours: empty."""
    section = key.partition(".")[0].lower()
    of_section = [each for each in known if each.lower().startswith(f"{section}.")]
    if "." not in key or not of_section:
        return ""
    near = difflib.get_close_matches(key, of_section, n=1, cutoff=0.0)[0]
    raise UsageError(f"the configuration has no key {key!r}; did you mean {near}?", hint=f"reconciler explain {near}")


def _one(key: str, default: str) -> str:
    body = _body(setting_meanings()[key])
    facts = (("default", default or "none"), ("variable", environment_variable(key)))
    return (
        "\n".join([f"{key}  (configuration)", "", body, "", *(f"  {name:<9}{value}" for name, value in facts)]) + "\n"
    )
