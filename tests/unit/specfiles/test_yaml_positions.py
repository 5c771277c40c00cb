"""Where values and keys stand."""

from __future__ import annotations

import pytest

from reconciler.specfiles.yaml_documents import YamlError
from reconciler.specfiles.yaml_positions import Position, locate

TEXT = """\
# a comment
kind: VirtualMachine
metadata: {name: wéb, labels: {app: web}}
spec:
  memory:
  disks:
    - {name: root, size: 20GiB}
    - name: data
      "size": |
        text
---
kind: Host
"""


@pytest.mark.parametrize(
    ("document", "path", "line", "column"),
    [
        (0, (), 2, 1),
        (0, ("kind",), 2, 7),
        (0, ("metadata", "labels"), 3, 31),
        (0, ("metadata", "labels", "app"), 3, 37),
        (0, ("spec", "memory"), 5, 10),
        (0, ("spec", "disks", 0, "size"), 7, 26),
        (0, ("spec", "disks", 1), 8, 7),
        (0, ("spec", "disks", 1, "size"), 9, 15),
        (1, ("kind",), 12, 7),
    ],
)
def test_a_value_is_found_where_it_starts(document: int, path: tuple[str | int, ...], line: int, column: int) -> None:
    assert locate(TEXT.encode()).position(document, path) == Position(line, column)


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("metadata", "labels"), 3, 23),
        (("spec", "memory"), 5, 3),
        (("spec", "disks", 1), 8, 7),
        (("spec", "disks", 1, "size"), 9, 7),
    ],
)
def test_a_key_is_found_where_it_starts(path: tuple[str | int, ...], line: int, column: int) -> None:
    assert locate(TEXT.encode()).key_position(0, path) == Position(line, column)


def test_a_missing_field_is_shown_at_its_closest_parent() -> None:
    index = locate(TEXT.encode())

    assert index.position(0, ("spec", "disks", 0, "pool")) == Position(7, 7)
    assert index.position(0, ("spec", "disks", 7, "pool")) == Position(7, 5)
    assert index.position(0, ("kind", "name")) == Position(2, 7)


def test_a_document_that_is_not_there_is_shown_at_the_start_of_the_file() -> None:
    assert locate(b"# nothing\n").position(0, ("kind",)) == Position(1, 1)


def test_what_an_alias_stands_for_is_where_its_anchor_is() -> None:
    index = locate(b"a: &x {b: 1}\nc: *x\n")

    assert index.position(0, ("c", "b")) == Position(1, 11)
    assert index.key_position(0, ("c",)) == Position(2, 1)


def test_a_broken_file_has_no_positions() -> None:
    with pytest.raises(YamlError):
        locate(b"a: [\n")
