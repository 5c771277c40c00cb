"""What `explain` tells of the controller's configuration: one key, or those of a mapping."""

from __future__ import annotations

import textwrap
from typing import Final

from reconciler.config import environment_variable, load_settings, setting_meanings

_WIDTH: Final = 100


def setting_text(key: str) -> str:
    """The meaning of a key such as `migration.fallback`, or the keys of `migration`; empty for what is neither."""
    defaults = {origin.key: origin.value for origin in load_settings(environ={}).origins}
    by_lower = {each.lower(): each for each in defaults}
    found = by_lower.get(key.lower())
    if found is not None:
        return _one(found, defaults[found])
    within = [each for each in defaults if each.lower().startswith(f"{key.lower()}.")]
    if not within:
        return ""
    width = max(len(each) for each in within) + 2
    lines = [f"{key}  (keys of the configuration)", "", *(f"  {each:<{width}}{defaults[each]}" for each in within)]
    return "\n".join([*(line.rstrip() for line in lines), "", f"  reconciler explain {within[0]}"]) + "\n"


def _one(key: str, default: str) -> str:
    meaning = " ".join(setting_meanings()[key].split())
    body = textwrap.fill(meaning, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    facts = (("default", default or "none"), ("variable", environment_variable(key)))
    return (
        "\n".join([f"{key}  (configuration)", "", body, "", *(f"  {name:<9}{value}" for name, value in facts)]) + "\n"
    )
