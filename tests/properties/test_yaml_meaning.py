"""Laws of reading YAML: the quick way and the authority agree, and both read what was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.specfiles.yaml_composer import compose
from reconciler.specfiles.yaml_documents import Limits, YamlError, parse
from reconciler.specfiles.yaml_positions import locate
from reconciler.specfiles.yaml_text import decode

pytestmark = pytest.mark.no_cover  # a tracer makes it twice as long, and adds next to no line

SCALARS = [
    "a",
    "b",
    "key",
    "1",
    "0",
    "-1",
    ".5",
    "5.",
    "1e3",
    ".e3",
    "null",
    "~",
    "true",
    "NO",
    "yes",
    "on",
    "0o7",
    "017",
    "0x1F",
    "0b11",
    "-0x1",
    "1_000",
    "1:20",
    ".inf",
    ".iNf",
    ".nan",
    "=",
    "<<",
    "2026-11-22",
    "2026-11-22T10:00:00Z",
    "52:54:00:aa:bb:cc",
    "http://a:1/b",
    "é",
    "😀",
    "\xa0",
    "\u200d",
    "'b'",
    '"a"',
    '""',
    "''",
    ":a",
    "|a",
    ">a",
]
SIGNS = [
    ": ",
    ":",
    "- ",
    "-",
    "? ",
    ", ",
    ",",
    "[",
    "]",
    "{",
    "}",
    "#",
    " # c",
    "|",
    ">",
    "|-",
    ">+",
    "|2",
    '"',
    "'",
    "!",
    "&x",
    "*x",
    "!!str ",
    "%",
    "@",
    "\\",
    "\\n",
    '\\"',
    "\\u00e9",
    "\\ud83d",
    "\\0",
    "\t",
    "---",
    "--- ",
    "...",
]
BREAKS = [
    "\n",
    "\n  ",
    "\n    ",
    "\n ",
    " ",
    "\n\n",
    "\n- ",
    "\n  - ",
    "\n---\n",
    "\n--- ",
    "\n...\n",
    "\n# c\n",
    "\r\n",
]
PIECES = [
    "a: |\n  x\n",
    "a: >\n  x\n   y\n\n",
    "- b: 1\n  c: 2\n",
    "[a, b]",
    "{a: b}",
    "{a: 1, b: [c]}",
    "  #!/bin/sh\n",
    "<<: ",
]
STARTS = [
    "",
    "a: ",
    "a:\n  ",
    "a:\n- ",
    "---\na: ",
    "# c\nk: v\n",
    "a:\n  b: ",
    "{",
    "a: [",
    'a: "',
    "%YAML 1.2\n---\na: ",
    "\ufeff",
]

soups = st.builds(
    lambda start, pieces, end: start + "".join(pieces) + end,
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(SCALARS + SIGNS + BREAKS + PIECES), max_size=12),
    st.sampled_from(["\n", "\n", ""]),
)

# Without the characters that specs may only hold as escapes.
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"], exclude_characters="\ufeff"),
    max_size=20,
)


def resources(strings: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings such as specs are, with those strings as keys and values."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | strings
    trees = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(strings, trees, min_size=1, max_size=4)


any_strings = texts | st.sampled_from(SCALARS)
# PyYAML writes for YAML 1.1, where texts such as 0E0 and 0o7 are no numbers and need no quotes.
no_numbers = any_strings.filter(lambda text: text[:1] not in set("+-.0123456789"))


def outcome(read: Any, text: str) -> str:
    try:
        return repr(read(text))  # unlike ==, tells 1 from True and 1.0, and compares NaN and the order of keys
    except YamlError as error:
        return str(error)


def read_as_users(text: str) -> list[Any]:
    return [document.data for document in parse(text.encode())]


def read_by_the_authority(text: str) -> list[Any]:
    return [node.data for node in compose(decode(text.encode(), Limits()), Limits())]


@settings(max_examples=1_500, deadline=None)
@given(soups)
@example("a: |\n")
@example("a:\n- >2\n")
@example("a:\n  b: x\n  |+\n")
@example("a:\n  [a: |\n  x\n]\n")
@example("{a\n b: }\n")
@example("a: {:b}\n")
@example("{x:}\n")
@example("a: 1\n...\nb: 2\n")
@example("a: [\n1\n]\n")
@example("a: 0b11\n")
@example("{a: 1, b: [c]}: d\n")
@example("# ---\n")
@example('a: "\\ud83d\\ude00"\n')
def test_a_text_means_the_same_with_and_without_positions(text: str) -> None:
    """Data or refusal, to the last character: which parser was at work cannot be told."""
    assert outcome(read_as_users, text) == outcome(read_by_the_authority, text)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(resources(no_numbers), min_size=1, max_size=3),
    st.sampled_from([None, True, False]),
    st.sampled_from([20, 80, 2_000]),
    st.booleans(),
)
def test_what_another_program_wrote_is_read_back(
    documents: list[Any], flow: bool | None, width: int, plain_unicode: bool
) -> None:
    """Whatever style the values were written in, they come back as they were."""
    written = yaml.dump_all(
        documents,
        Dumper=yaml.CSafeDumper,
        default_flow_style=flow,
        width=width,
        allow_unicode=plain_unicode,
        explicit_start=True,
        sort_keys=False,
    )

    assert read_as_users(written) == documents


@settings(max_examples=150, deadline=None)
@given(resources(any_strings), st.sampled_from([None, 1, 4]))
def test_every_value_stands_where_the_index_says(resource: dict[str, Any], indent: int | None) -> None:
    """JSON is YAML, and shows each value and key as one known text."""
    written = json.dumps(resource, indent=indent, ensure_ascii=False)
    lines = written.split("\n")
    index = locate(written.encode())

    for path, value in walk(resource):
        position = index.position(0, path)
        beginning = json.dumps(value, ensure_ascii=False, indent=indent).split("\n")[0]
        assert lines[position.line - 1][position.column - 1 :].startswith(beginning)


def walk(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value), *(found for step, child in inner for found in walk(child, (*path, step)))]
