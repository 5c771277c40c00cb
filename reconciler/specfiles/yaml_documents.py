"""YAML text to plain data, quickly: YAML 1.2 meaning, one error with its exact position, bounded.

Two parsers read the same meaning. `yaml_composer` is the authority and keeps positions; yaml-rs is several
times quicker and is used for texts that hold nothing the two could read differently. Whatever it refuses, or
whatever looks unusual in its result, goes to the authority, which alone says what is wrong.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml_rs
from msgspec import Struct

from reconciler.specfiles.yaml_text import Limits, Position, YamlError, decode

__all__ = ["Document", "Limits", "Position", "YamlError", "parse"]

# What the two parsers may read differently: a sign that is quick to look for, and what it means trouble as.
_UNUSUAL: Final = tuple(
    (sign, re.compile(pattern, re.MULTILINE))
    for sign, pattern in (
        ("\t", r"\t"),  # tabs as separation
        ("%", r"^%"),  # directives
        ("...", r"^\.\.\."),  # document ends
        # A tag, anchor, alias or explicit key, wherever a node can begin.
        ("!", r"(?:^|[-:?,\[{])\ *!"),
        ("&", r"(?:^|[-:?,\[{])\ *&"),
        ("*", r"(?:^|[-:?,\[{])\ *\*"),
        ("?", r"(?:^|[-:?,\[{])\ *\?"),
        # Strings in YAML 1.2, numbers to yaml-rs: 0b1, 0X1, -0x1, 1_000, .iNf.
        ("0", r"0[bBoOxX](?<![0-9A-Za-z]0.)[0-9A-Fa-f_]"),
        ("_", r"[-+.0-9]_|_[-+.0-9]"),
        (".", r"\.[iInN][nNaA][fFnN]\b"),
        # One character written as two surrogates, as JSON does.
        ("\\u", r"\\u[dD]"),
        # Flow keys over several lines, or with nothing after the colon.
        (":", r":[\]},]"),
        (":", r"\n\ *:"),
        ("\\\n", r"\\$"),
    )
)
# Keys that nearly every spec is made of need no look at their letters.
_USUAL_KEYS: Final = frozenset(
    (
        *("apiVersion", "kind", "metadata", "name", "labels", "app", "spec", "uri", "hosts", "matchLabels", "type"),
        *("target", "shared", "mode", "subnet", "source", "path", "checksum", "format", "runStrategy", "domainType"),
        *("machine", "cpu", "count", "model", "memory", "maxMemory", "disks", "image", "size", "pool", "bus", "clone"),
        *("networks", "network", "mac", "placement", "spread", "preferSpread", "nodeSelector", "ha", "enabled"),
        *("priority", "cloudInit", "userData", "networkConfig", "updatePolicy", "deletionPolicy", "annotations"),
    )
)
# libyaml bounds a key to 1,024 characters of one line, and int() bounds its digits.
_LONGEST_LINE: Final = 1_000
# Empty block scalars, and `|`, `>` or `:` where none may stand, are read differently.
_ODD_STARTS: Final = frozenset("|>:\n")


class Document(Struct, frozen=True):
    """One document of a file: `index` from 0; `line` where its content starts, if known.

    `data` is a dict, list or scalar; None if the document is empty. What aliases stand for is a shared object:
    readers must not change it.
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
    from reconciler.specfiles.yaml_composer import compose  # noqa: PLC0415  PyYAML is seldom needed

    roots = enumerate(compose(characters, bounds))
    return tuple(Document(index, root.position.line, root.data) for index, root in roots)


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
        or any(sign in text and pattern.search(text) for sign, pattern in _UNUSUAL)
    )


def _is_ordinary(documents: list[Any], depth: int) -> bool:
    """Whether all documents are mappings, all keys strings, and nothing is odd or deeper than `depth`."""
    if not all(type(value) is dict for value in documents):
        return False
    level: list[Any] = documents
    for _ in range(depth):
        inner = _collections_within(level)
        if not inner:
            return inner is not None
        level = inner
    return False


def _collections_within(collections: list[Any]) -> list[Any] | None:
    """Return the mappings and lists directly inside, or None if a key or string is odd."""
    inner: list[Any] = []
    for collection in collections:
        values = collection
        if type(collection) is dict:
            if not collection.keys() <= _USUAL_KEYS and not all(map(_is_ordinary_key, collection)):
                return None
            values = collection.values()
        for value in values:
            kind = type(value)
            if kind is str:
                if value[:1] in _ODD_STARTS:
                    return None
            elif kind is dict or kind is list:
                inner.append(value)
    return inner


def _is_ordinary_key(key: Any) -> bool:
    # A key with a space may have stood on two lines: not YAML 1.2, but yaml-rs allows it in flow style.
    if type(key) is not str or key == "<<":
        return False
    return " " not in key and "\n" not in key and key[:1] not in _ODD_STARTS
