"""The meaning of a YAML text, with the position of every key and value.

This is the authority: YAML 1.2 core schema over libyaml's events. It composes without recursion, so that no
nesting can exhaust the stack, and shares what aliases stand for instead of copying it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml
from msgspec import Struct

from reconciler.specfiles.yaml_text import Limits, Position, YamlError, line_and_column

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_NUMBER: Final = 1_000

_HINTS: Final = (
    ("mapping values are not allowed", 'quote a value that contains ": ", or check the indentation'),
    ("cannot start any token", "indent with spaces, not tabs, and quote a value that starts with @, ` or %"),
    ("tab character", "indent with spaces, not tabs"),
    ("expected key", "check the indentation and quotes of this line and the one before"),
    ("unexpected end of stream", "close the quote"),
    ("expected ',' or", "close the bracket, or add the comma"),
    ("invalid Unicode", r"write the character itself, or \U and its eight hexadecimal digits"),
    ("escape character", "write the backslash twice, or use single quotes"),
    ("expected <document start>", "separate documents with a line of ---"),
    ("could not find expected ':'", "write `key: value`, or check the indentation"),
)


class Node(Struct, eq=False):
    """One value: its meaning, where it starts, and what it holds.

    `children` maps each key or list index to its node, `keys` each key to its position; both None in a scalar.
    `characters` is its size when written out without aliases.
    """

    data: Any
    mark: yaml.Mark
    characters: int = 1
    children: dict[str | int, Node] | None = None
    keys: dict[str | int, yaml.Mark] | None = None
    anchor: str | None = None
    pending: tuple[str, yaml.Mark] | None = None
    """The key whose value comes next, while a mapping is open."""

    @property
    def position(self) -> Position:
        return position_of(self.mark)


def position_of(mark: yaml.Mark) -> Position:
    """Return where a mark of libyaml, which counts from 0, points."""
    return Position(mark.line + 1, mark.column + 1)


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
    """Builds the nodes of one text from its events."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: list[Node] = []  # innermost collection last
        self._anchors: dict[str, Node] = {}
        self._aliases = 0
        self._alias_characters = 0

    def take(self, event: Any) -> Node | None:
        """Take the next event; return the document's root when that is complete."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            return self._scalar(event)
        if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            return self._complete(self._open.pop())
        if kind is yaml.AliasEvent:
            return self._alias(event)
        if kind is yaml.MappingStartEvent:
            self._begin(event, {})
        elif kind is yaml.SequenceStartEvent:
            self._begin(event, [])
        elif kind is yaml.DocumentStartEvent:
            self._begin_document(event)
        return None

    def _begin_document(self, event: Any) -> None:
        self._anchors.clear()
        if event.tags or event.version not in {None, (1, 2)}:
            _refuse(event.start_mark, "only the directive %YAML 1.2 is allowed", "remove the line that starts with %")

    def _scalar(self, event: Any) -> Node | None:
        mark = event.start_mark
        if event.tag is not None:
            _refuse_tag(event)
        text: str = event.value
        plain: bool = event.implicit[0]
        node = Node(resolve(text, mark) if plain else text, mark, 1 + len(text), anchor=event.anchor)
        if not self._awaits_key():
            return self._complete(node)
        if plain and text == "<<":
            _refuse(mark, "YAML 1.2 has no merge keys (<<)", "write the merged fields out")
        self._set_key(node.data, mark)
        self._remember(node)
        return None

    def _begin(self, event: Any, data: dict[str, Any] | list[Any]) -> None:
        mark = event.start_mark
        if event.tag is not None:
            _refuse_tag(event)
        if self._awaits_key():
            _refuse(mark, "a key must be a string, not a mapping or list", "write `key: value`")
        if len(self._open) >= self._limits.depth:
            _refuse(mark, f"nested more than {self._limits.depth} deep", "flatten the structure")
        self._open.append(Node(data, mark, children={}, keys={}, anchor=event.anchor))

    def _alias(self, event: Any) -> Node | None:
        mark, name = event.start_mark, event.anchor
        target = self._anchors.get(name)
        if target is None:
            _refuse(mark, f"*{name} stands for nothing that is complete before it", f"define &{name} first")
        self._count_alias(target, mark)
        if self._awaits_key():
            self._set_key(target.data, mark)
            return None
        return self._complete(target)

    def _count_alias(self, target: Node, mark: yaml.Mark) -> None:
        self._aliases += 1
        self._alias_characters += target.characters
        if self._aliases > self._limits.aliases:
            _refuse(mark, f"more than {self._limits.aliases} aliases in one file", "write the values out")
        if self._alias_characters > self._limits.alias_characters:
            allowed = self._limits.alias_characters
            _refuse(mark, f"the aliases stand for more than {allowed} characters", "write the values out")

    def _awaits_key(self) -> bool:
        return bool(self._open) and self._open[-1].pending is None and type(self._open[-1].data) is dict

    def _set_key(self, key: Any, mark: yaml.Mark) -> None:
        mapping = self._open[-1]
        if not isinstance(key, str):
            _refuse(mark, f"a key must be a string, not {_name_of(key)}", "put it in quotes")
        if mapping.keys is not None and key in mapping.keys:
            first = position_of(mapping.keys[key])
            _refuse(mark, f"duplicate key `{key}`, first at {first}", "keep one of the two")
        mapping.pending = (key, mark)

    def _remember(self, node: Node) -> None:
        if node.anchor is not None:
            self._anchors[node.anchor] = node

    def _complete(self, node: Node) -> Node | None:
        """Put a finished value where it belongs; return it if it is the document's root."""
        self._remember(node)
        if not self._open:
            return node
        parent = self._open[-1]
        parent.characters += node.characters
        step: str | int
        if parent.pending is None:
            step, mark = len(parent.data), node.mark
            parent.data.append(node.data)
        else:
            step, mark = parent.pending
            parent.data[step] = node.data
            parent.characters += 1 + len(step)
            parent.pending = None
        if parent.children is not None and parent.keys is not None:
            parent.children[step] = node
            parent.keys[step] = mark
        return None


def resolve(text: str, mark: yaml.Mark) -> str | int | float | bool | None:
    """Return what an unquoted scalar means in the YAML 1.2 core schema; dates and `NO` are strings."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > _LONGEST_NUMBER:
            _refuse(mark, f"a number of {len(text)} characters", "put it in quotes if it is text")
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _SPECIAL_FLOAT.fullmatch(text) else text


def _name_of(key: bool | float | None) -> str:
    return "empty or null" if key is None else f"the {'boolean' if isinstance(key, bool) else 'number'} {key}"


def _refuse_tag(event: Any) -> NoReturn:
    tag = event.tag.replace("tag:yaml.org,2002:", "!!")
    _refuse(event.start_mark, f"tag `{tag}` is not allowed", "remove it; quotes make a string of any value")


def _refuse(mark: yaml.Mark, message: str, hint: str) -> NoReturn:
    raise YamlError(mark.line + 1, mark.column + 1, message, hint)


def _syntax_error(text: str, error: yaml.MarkedYAMLError) -> YamlError:
    mark, context = error.problem_mark, error.context_mark
    position = Position(1, 1) if mark is None else position_of(mark)
    message = error.problem or "this is not YAML"
    if context is not None and error.context and position_of(context) < position:
        if position >= Position(*line_and_column(text.rstrip())):
            # What was never closed is noticed at the end; where it began is what the reader looks for.
            position = position_of(context)
            message = f"{message} {error.context}"
        else:
            message = f"{message} {error.context} that began at {position_of(context)}"
    hint = next((hint for part, hint in _HINTS if part in message), "check quotes, brackets and indentation")
    return YamlError(position.line, position.column, message, hint)
