"""Where in a file a value stands: asked for only once something was found to be wrong with it."""

from __future__ import annotations

from msgspec import Struct

from reconciler.specfiles.yaml_composer import Node, compose, position_of
from reconciler.specfiles.yaml_text import Limits, Position, decode

__all__ = ["Position", "PositionIndex", "locate"]

_START = Position(1, 1)


class PositionIndex(Struct, frozen=True):
    """The positions of every key and value of a file, by document index and path (keys and list indexes).

    A path that leads nowhere, such as a missing field's, gives the position of the closest parent.
    What an alias stands for is where its anchor is.
    """

    _documents: tuple[Node, ...]

    def position(self, document: int, path: tuple[str | int, ...] = ()) -> Position:
        """Return where the value at `path` starts."""
        return self._follow(document, path)[1]

    def key_position(self, document: int, path: tuple[str | int, ...]) -> Position:
        """Return where the last key of `path` stands; for a list's item, where the item starts."""
        return self._follow(document, path)[0]

    def _follow(self, document: int, path: tuple[str | int, ...]) -> tuple[Position, Position]:
        if not 0 <= document < len(self._documents):
            return _START, _START
        node = self._documents[document]
        key = node.position
        for step in path:
            if node.children is None or node.keys is None or step not in node.children:
                break
            key, node = position_of(node.keys[step]), node.children[step]
        return key, node.position


def locate(text: bytes, *, limits: Limits | None = None) -> PositionIndex:
    """Index the positions of a file that `parse` read; raises YamlError where `parse` would."""
    bounds = limits or Limits()
    return PositionIndex(tuple(compose(decode(text, bounds), bounds)))
