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
_LONGEST_LINE: Final = 1_000
# Empty block scalars, and `|` or `>` where no block scalar may begin, are read differently.
_ODD_STARTS: Final = frozenset("|>\n")


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
        Document(index, node.position.line, node.data) for index, node in enumerate(compose(characters, bounds))
    )


def _read_quickly(text: str, limits: Limits) -> list[Any] | None:
    """Return the documents' values, or None where the authority must decide."""
    if _is_unusual(text):
        return None
    several = "---" in text
    try:
        # yaml-rs gives a list of documents only where there is more than one: the appended one sees to that.
        value: Any = yaml_rs.loads(text + "--- 0\n" if several else text, parse_datetime=False)
    except (ValueError, TypeError):  # a YAMLDecodeError, or a key that Python cannot hash
        return None
    if not several:
        values = [value]
    elif type(value) is list and value[-1] == 0:
        values = value[:-1]
    else:
        return None
    return values if _is_ordinary(values, limits.depth) else None


def _is_unusual(text: str) -> bool:
    return (
        not text.endswith("\n")  # the last line of a block scalar may or may not have a line end
        or len(max(text.split("\n"), key=len)) > _LONGEST_LINE
        or _UNUSUAL.search(text) is not None
    )


def _is_ordinary(documents: list[Any], depth: int) -> bool:
    """Whether all documents are mappings, all keys strings, and nothing is odd or deeper than `depth`."""
    if not all(type(value) is dict for value in documents):
        return False
    level: list[Any] = documents
    for _ in range(depth):
        inner: list[Any] = []
        for node in level:
            values = node
            if type(node) is dict:
                if not all(map(_is_ordinary_key, node)):
                    return False
                values = node.values()
            for value in values:
                kind = type(value)
                if kind is str:
                    if value[:1] in _ODD_STARTS:
                        return False
                elif kind is dict or kind is list:
                    inner.append(value)
        if not inner:
            return True
        level = inner
    return False


def _is_ordinary_key(key: Any) -> bool:
    return type(key) is str and key != "<<" and key[:1] not in _ODD_STARTS
