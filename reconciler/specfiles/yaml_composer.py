"""The meaning of a YAML text, with the position of every key and value.

This is the authority: YAML 1.2 core schema over libyaml's events. It composes without recursion, so that no
nesting can exhaust the stack, and shares what aliases stand for instead of copying it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import yaml

from reconciler.specfiles.yaml_text import Limits, Position, YamlError, line_and_column

_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+")
_SPECIAL_FLOAT: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_NUMBER: Final = 1_000

_HINTS: Final = (
    ("mapping values are not allowed", 'quote a value that contains ": ", or check the indentation'),
    ("cannot start any token", "indent with spaces, not tabs, and quote a value that starts with @, ` or %"),
    ("tab character", "indent with spaces, not tabs"),
    ("expected key", "check the indentation and quotes of this line and the one before"),
    ("unexpected end of stream", "close the quote"),
    ("expected ',' or", "close the bracket, or add the comma"),
    ("escape character", "write the backslash twice, or use single quotes"),
    ("expected <document start>", "separate documents with a line of ---"),
    ("could not find expected ':'", "write `key: value`, or check the indentation"),
)


@dataclass(slots=True, eq=False)
class Node:
    """One value: its meaning, where it starts, and what it holds.

    `children` maps each key (or list index) to the key's position (the value's, in a list) and the value.
    `characters` is its size when written out without aliases.
    """

    data: Any
    position: Position
    anchor: str | None
    children: dict[str | int, tuple[Position, Node]] = field(default_factory=dict)
    key: tuple[str, Position] | None = None
    characters: int = 1


def compose(text: str, limits: Limits) -> Iterator[Node]:
    """Yield the root of each document; raises YamlError at the first thing that is wrong."""
    composer = _Composer(limits)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            root = composer.take(event)
            if root is not None:
                yield root
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(text, error) from error
    except yaml.YAMLError as error:  # the characters were checked before, so this names no position
        raise YamlError(1, 1, f"this is not YAML: {error}", "rewrite the file as plain YAML") from error


class _Composer:
    """Builds the nodes of one text from its events, innermost open collection last."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: list[Node] = []
        self._anchors: dict[str, Node] = {}
        self._aliases = 0
        self._alias_characters = 0

    def take(self, event: Any) -> Node | None:
        """Take the next event; return the document's root when that is complete."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            return self._scalar(event)
        if kind is yaml.MappingStartEvent:
            self._begin(event, {})
        elif kind is yaml.SequenceStartEvent:
            self._begin(event, [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            return self._complete(self._open.pop())
        elif kind is yaml.AliasEvent:
            return self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._begin_document(event)
        return None

    def _begin_document(self, event: Any) -> None:
        self._anchors.clear()
        if event.tags or event.version not in {None, (1, 2)}:
            _refuse(
                _position(event),
                "only the directive %YAML 1.2 is allowed",
                "remove the line that starts with %",
            )

    def _scalar(self, event: Any) -> Node | None:
        position = _position(event)
        _refuse_tag(event, position)
        text: str = event.value
        data = resolve(text, position) if event.implicit[0] else text
        if self._awaits_key():
            self._set_key(data, text, position, plain=event.implicit[0])
            self._remember_key_anchor(event, data, position)
            return None
        return self._complete(Node(data, position, event.anchor, characters=1 + len(text)))

    def _begin(self, event: Any, data: dict[str, Any] | list[Any]) -> None:
        position = _position(event)
        _refuse_tag(event, position)
        if self._awaits_key():
            _refuse(position, "a key must be a string, not a mapping or list", "write `key: value`")
        if len(self._open) >= self._limits.depth:
            _refuse(position, f"nested more than {self._limits.depth} deep", "flatten the structure")
        self._open.append(Node(data, position, event.anchor))

    def _alias(self, event: Any) -> Node | None:
        position = _position(event)
        target = self._anchors.get(event.anchor)
        if target is None:
            _refuse(
                position,
                f"*{event.anchor} refers to no anchor complete before it",
                f"define &{event.anchor} first",
            )
        self._aliases += 1
        self._alias_characters += target.characters
        if self._aliases > self._limits.aliases:
            _refuse(position, f"more than {self._limits.aliases} aliases in one file", "write the values out")
        if self._alias_characters > self._limits.alias_characters:
            _refuse(
                position,
                f"aliases stand for more than {self._limits.alias_characters} characters",
                "write the values out",
            )
        if self._awaits_key():
            self._set_key(target.data, str(target.data), position, plain=False)
            return None
        return self._complete(Node(target.data, target.position, None, target.children, characters=target.characters))

    def _awaits_key(self) -> bool:
        return bool(self._open) and self._open[-1].key is None and type(self._open[-1].data) is dict

    def _set_key(self, key: Any, text: str, position: Position, *, plain: bool) -> None:
        mapping = self._open[-1]
        if not isinstance(key, str):
            _refuse(position, f"key `{text}` must be a string", f'quote it: "{text}"' if text else "name the key")
        if plain and key == "<<":
            _refuse(position, "YAML 1.2 has no merge keys (<<)", "write the merged fields out")
        if key in mapping.children:
            first = mapping.children[key][0]
            _refuse(position, f"duplicate key `{key}`, first at {first}", "keep one of the two")
        mapping.key = (key, position)

    def _remember_key_anchor(self, event: Any, data: Any, position: Position) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = Node(data, position, event.anchor, characters=1 + len(event.value))

    def _complete(self, node: Node) -> Node | None:
        """Put a finished value where it belongs; return it if it is the document's root."""
        if node.anchor is not None:
            self._anchors[node.anchor] = node
        if not self._open:
            return node
        parent = self._open[-1]
        parent.characters += node.characters
        if parent.key is None:
            parent.children[len(parent.data)] = (node.position, node)
            parent.data.append(node.data)
        else:
            key, position = parent.key
            parent.children[key] = (position, node)
            parent.data[key] = node.data
            parent.characters += 1 + len(key)
            parent.key = None
        return None


def resolve(text: str, position: Position) -> str | int | float | bool | None:
    """Return what an unquoted scalar means in the YAML 1.2 core schema; dates and `NO` are strings."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        _refuse_long_number(text, position)
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        _refuse_long_number(text, position)
        return int(text, 0)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _refuse_long_number(text: str, position: Position) -> None:
    if len(text) > _LONGEST_NUMBER:
        _refuse(position, f"a number of {len(text)} digits", "quote it if it is text")


def _refuse_tag(event: Any, position: Position) -> None:
    if event.tag is not None:
        _refuse(
            position,
            f"tag `{event.tag.replace('tag:yaml.org,2002:', '!!')}` is not allowed",
            "remove it; quotes make a string of any value",
        )


def _position(event: Any) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1)


def _refuse(position: Position, message: str, hint: str) -> NoReturn:
    raise YamlError(position.line, position.column, message, hint)


def _syntax_error(text: str, error: yaml.MarkedYAMLError) -> YamlError:
    mark, context = error.problem_mark, error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    message = error.problem or "this is not YAML"
    if context is not None and error.context and mark is not None and context.index < mark.index:
        began = (context.line + 1, context.column + 1)
        if (line, column) > line_and_column(text.rstrip()):
            # What was never closed is noticed at the end of the file; its beginning is what the reader looks for.
            line, column = began
            message = f"{message} {error.context}"
        else:
            message = f"{message} {error.context} that began at {began[0]}:{began[1]}"
    hint = next((hint for part, hint in _HINTS if part in message), "check quotes, brackets and indentation")
    return YamlError(line, column, message, hint)
