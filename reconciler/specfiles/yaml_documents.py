"""YAML text to plain data, quickly: YAML 1.2 meaning, one error with its exact position, bounded.

Two parsers read the same meaning. `yaml_composer` is the authority and keeps positions; yaml-rs is several times
quicker and is used for texts that hold nothing the two could read differently. Whatever it refuses, or whatever
looks unusual in its result, goes to the authority, which alone says what is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml_rs

from reconciler.specfiles.yaml_composer import compose
from reconciler.specfiles.yaml_text import Limits, Position, YamlError, decode

__all__ = ["Document", "Limits", "Position", "YamlError", "parse"]

# Superset of what the two parsers may read differently, each line with its reason; docs/notes-yaml.md has the list.
_UNUSUAL: Final = re.compile(
    r"""
      \t                                    # tabs as separation
    | ^(?:%|\.\.\.)                         # directives, document ends
    | (?:^|[-:?,\[{])\ *[!&*?]              # tag, anchor, alias, explicit key: wherever a node can begin
    | (?<![0-9A-Za-z])0[bBoOxX][0-9A-Fa-f_] # numbers with a radix: 0b1, 0X1 and -0x1 are strings in YAML 1.2
    | [-+.0-9]_ | _[-+.0-9]                 # 1_000 is a string in YAML 1.2
    | \.[iInN][nNaA][fFnN]\b                # .iNf is a string in YAML 1.2
    """,
    re.VERBOSE | re.MULTILINE,
)
# libyaml bounds a key to 1,024 characters of one line, and int() bounds its digits.
_LONGEST_PLAIN_LINE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: `index` from 0; `line` where its content starts, if known; `data` dict, list or scalar.

    Values shared by aliases are shared objects; readers must not change them. An empty document's data is None.
    """

    index: int
    line: int | None
    data: Any


def parse(text: bytes, *, limits: Limits | None = None) -> tuple[Document, ...]:
    """Return the documents of a file; raises YamlError for the first thing that is wrong."""
    bounds = limits or Limits()
    characters = decode(text, bounds)
    values = _read_quickly(characters, bounds)
    if values is not None:
        return tuple(Document(index, None, value) for index, value in enumerate(values))
    return tuple(
        Document(index, node.position.line, node.data)
        for index, node in enumerate(compose(characters, bounds))
    )


def _read_quickly(text: str, limits: Limits) -> list[Any] | None:
    """Return the documents' values, or None where the authority must decide."""
    if _UNUSUAL.search(text) or len(max(text.split("\n"), key=len)) > _LONGEST_PLAIN_LINE:
        return None
    several = "---" in text
    if several:
        if not text.endswith("\n"):
            return None
        text += "--- 0\n"  # yaml-rs gives a list of documents only where there is more than one
    try:
        value: Any = yaml_rs.loads(text, parse_datetime=False)
    except yaml_rs.YAMLDecodeError:
        return None
    values = value[:-1] if several else [value]
    # An empty text and a lone `null` look alike to yaml-rs.
    if values == [None] or not _is_ordinary(values, limits.depth):
        return None
    return values


def _is_ordinary(documents: list[Any], depth: int) -> bool:
    """Whether all keys are strings, none may be a merge key, and nothing is nested deeper than `depth`."""
    level: list[Any] = [value for value in documents if isinstance(value, dict | list)]
    for _ in range(depth):
        if not level:
            return True
        inner: list[Any] = []
        for node in level:
            if type(node) is dict:
                for key, value in node.items():
                    if type(key) is not str or key == "<<":
                        return False
                    if type(value) is dict or type(value) is list:
                        inner.append(value)
            else:
                inner += [value for value in node if type(value) is dict or type(value) is list]
        level = inner
    return not level
