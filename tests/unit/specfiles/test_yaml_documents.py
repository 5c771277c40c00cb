"""What a YAML file means to us, and which files are refused where."""

from __future__ import annotations

import math
from typing import Any

import pytest

from reconciler.errors import ReconcilerError
from reconciler.specfiles.yaml_documents import Limits, YamlError, parse
from tests.bench_fleet import host, virtual_machine


def values(text: str) -> list[Any]:
    return [document.data for document in parse(text.encode())]


def refusal(text: str | bytes, limits: Limits | None = None) -> YamlError:
    with pytest.raises(YamlError) as caught:
        parse(text.encode() if isinstance(text, str) else text, limits=limits)
    return caught.value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NO", "NO"), ("yes", "yes"), ("on", "on"), ("y", "y"), ("true", True), ("False", False),
        ("1:20", "1:20"), ("52:54:00:12:34:56", "52:54:00:12:34:56"), ("190:20:30", "190:20:30"),
        ("0o17", 15), ("017", 17), ("0x1F", 31), ("0b11", "0b11"), ("0X1f", "0X1f"), ("-0x1", "-0x1"),
        ("1_000", "1_000"), ("+1", 1), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("1.e3", 1000.0), (".", "."),
        ("~", None), ("null", None), ("nULL", "nULL"), ("", None), ("2026-11-22", "2026-11-22"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"), ("=", "="), ("<<", "<<"), (".inf", math.inf),
        ("-.INF", -math.inf), (".iNf", ".iNf"), ("+.nan", "+.nan"), ("1e400", math.inf), ('"1"', "1"),
        ("'it''s'", "it's"), ('"\\x41\\u00e9\\U0001F600\\/"', "Aé😀/"), ("a b # c", "a b"), ("b#c", "b#c"),
        ("{b: 1, c}", {"b": 1, "c": None}), ("[a, 1, ]", ["a", 1]), ("é中😀", "é中😀"), (">", ""),
    ],
)  # fmt: skip
def test_a_value_means_what_yaml_1_2_says(written: str, meant: object) -> None:
    """The core schema of YAML 1.2, not the country codes, sexagesimals and octals of 1.1."""
    assert values(f"a: {written}\n") == [{"a": meant}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# nothing\n", []),
        ("---\n---\na: 1\n", [None, {"a": 1}]),
        ("# head\n---\na: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("- a: 1\n- b: 2\n", [[{"a": 1}, {"b": 2}]]),
        ("a: 1\n...\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("%YAML 1.2\n---\na: no\n", [{"a": "no"}]),
        ("a: 1\r\nb: |\r\n  x\r\n  y\r\n", [{"a": 1, "b": "x\ny\n"}]),
        ("\ufeffa: 1\n", [{"a": 1}]),
        ("a:\t1\n", [{"a": 1}]),
        ("a: |\n  b\tc\n", [{"a": "b\tc\n"}]),
        ("a: |+\n  x\n\n---\nb: >-\n  x\n  y\n", [{"a": "x\n\n"}, {"b": "x y"}]),
        ("a: |\n  --- x\n", [{"a": "--- x\n"}]),
        ("a: &x {b: 1}\nc: *x\n", [{"a": {"b": 1}, "c": {"b": 1}}]),
        ("a: &x 1\nb: &x 2\nc: *x\n", [{"a": 1, "b": 2, "c": 2}]),
        ("? a\n: b\n", [{"a": "b"}]),
    ],
)
def test_a_file_is_read_as_its_documents(text: str, expected: list[object]) -> None:
    """Several documents, empty ones, line ends, byte order mark, aliases."""
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "line", "column", "about"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key `a`, first at 1:1"),
        ("a:\n  é: 1\n  b: {c: 1, c: 2}\n", 3, 13, "duplicate key `c`, first at 3:7"),
        ("a: 1\n---\nb:\n  1: x\n", 4, 3, "must be a string"),
        ("null: x\n", 1, 1, "must be a string"),
        ("[a]: x\n", 1, 1, "must be a string"),
        ("a: !!python/object:os.system x\n", 1, 4, "tag `!!python/object:os.system`"),
        ("a: !!str 1\n", 1, 4, "tag `!!str`"),
        ("a:\n  - !foo b\n", 2, 5, "tag `!foo`"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, 3, "merge keys"),
        ("a: *nowhere\n", 1, 4, "*nowhere"),
        ("a: &x [*x]\n", 1, 8, "*x"),
        ("%YAML 1.1\n---\na: no\n", 1, 1, "%YAML 1.2"),
        ("a: b: c\n", 1, 5, "mapping values"),
        ("a:\n\tb: 1\n", 2, 1, "cannot start any token"),
        ("a: [1,\n  2\n", 1, 4, "flow sequence"),
        ('a: "x\n', 1, 4, "end of stream"),
        ('a: "x', 1, 4, "end of stream"),
        ('a: "\\ud83d\\ude00"\n', 1, 7, "Unicode"),
        ("a: 1\n b: 2\n", 2, 3, "mapping values"),
        ("a: x\x00y\n", 1, 5, "U+0000"),
        ("a: 1\nb: é\x1b[31m\n", 2, 5, "U+001B"),
        ("a: x\u2028y\n", 1, 5, "U+2028"),
        ("a: 1\rb: 2\n", 1, 5, "U+000D"),
    ],
)
def test_a_refusal_has_its_exact_position(text: str, line: int, column: int, about: str) -> None:
    """Lines and columns count from 1, columns in characters, and every refusal says what to do."""
    error = refusal(text)

    assert (error.line, error.column) == (line, column)
    assert about in error.message
    assert error.hint


def test_invalid_utf_8_is_refused_where_it_stands() -> None:
    """The position counts the characters before the first bad byte."""
    error = refusal("a: 1\nb: é".encode() + b"\xff\n")

    assert (error.line, error.column) == (2, 5)


def test_a_refusal_is_one_of_our_errors_and_names_place_and_remedy() -> None:
    error = refusal("a: 1\na: 2\n")

    assert isinstance(error, ReconcilerError)
    assert str(error).startswith("2:1: duplicate key")
    assert "keep one" in str(error)


def test_a_file_larger_than_the_limit_is_refused_unread() -> None:
    assert "3 bytes" in refusal(b"\xff\xff\xff", Limits(file_bytes=2)).message


@pytest.mark.parametrize("opening", ["[", "{a: ", "[\n ", "- ", "? ", "- - a\n", "&x [", "{a: ["])
@pytest.mark.parametrize("levels", [65, 5_000, 100_000])
def test_deep_nesting_is_refused_without_exhausting_the_stack(opening: str, levels: int) -> None:
    """Whatever the style, a file thousands of levels deep is an error, not a crash."""
    text = f"a:\n {opening * levels}"

    assert isinstance(refusal(text), YamlError)


@pytest.mark.parametrize("levels", [65, 1_300])
def test_deep_block_mappings_are_refused_where_they_become_too_deep(levels: int) -> None:
    error = refusal("".join(f"{' ' * level}a:\n" for level in range(levels)) + " " * levels + "b: 1\n")

    assert (error.line, error.column) == (65, 65)


def test_nesting_up_to_the_limit_is_read() -> None:
    depth = Limits().depth

    assert values("a: " + "[" * (depth - 1) + "]" * (depth - 1) + "\n")


def test_an_alias_bomb_is_refused() -> None:
    """Nine levels of nine aliases would be 387 million strings."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]

    assert "characters" in refusal("\n".join(lines) + "\n").message


def test_too_many_aliases_are_refused() -> None:
    assert "3 aliases" in refusal("a: &a x\nb: [*a, *a, *a, *a]\n", Limits(aliases=3)).message


def test_an_ordinary_fleet_needs_no_second_parser() -> None:
    """Only the authority knows the lines of documents: here it was not asked."""
    text = "---\n".join([host(0), virtual_machine(0), virtual_machine(255)])

    assert [document.line for document in parse(text.encode())] == [None, None, None]


def test_the_longest_numbers_are_refused() -> None:
    """Python turns thousands of digits into text only with an error of its own."""
    assert refusal(f"a: {'9' * 5_000}\n").column == 4
    assert refusal(f"a: 0x{'f' * 5_000}\n").column == 4
