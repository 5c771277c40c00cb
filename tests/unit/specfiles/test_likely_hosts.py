"""What connecting begins with, before the specs are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.specfiles.likely_hosts import likely_hosts

_H1 = "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec: {uri: 'qemu+ssh://h1.example/system'}\n"
_H2 = _H1.replace("h1", "h2")


def test_hosts_of_all_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(_H1)
    (tmp_path / "b.yaml").write_text(f"kind: Network\n---\n{_H2}")

    assert likely_hosts(tmp_path) == {
        "h1": "qemu+ssh://h1.example/system",
        "h2": "qemu+ssh://h2.example/system",
    }


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://h1.example/system?command=/tmp/evil",
        "qemu+ssh://h1.example/system?no_verify=1",
        "qemu+ext://h1.example/system",
        "qemu+ssh://user:secret@h1.example/system",
        "qemu+ssh://h1.example/system\\n",
    ],
)
def test_nothing_is_connected_to_that_a_spec_may_not_name(tmp_path: Path, uri: str) -> None:
    """A URI can run programs: what the specs refuse is refused here too."""
    (tmp_path / "a.yaml").write_text(_H1.replace("'qemu+ssh://h1.example/system'", f'"{uri}"'))

    assert likely_hosts(tmp_path) == {}


@pytest.mark.parametrize("text", ["kind: Host\nmetadata: [h1]\n", "kind: Host\nspec: {uri: 1}\n", "kind: Host\n  - :"])
def test_mistakes_are_left_to_the_loader(tmp_path: Path, text: str) -> None:
    """It will say them; here they only mean that there is nothing to connect to yet."""
    (tmp_path / "a.yaml").write_text(text)

    assert likely_hosts(tmp_path) == {}


def test_a_directory_that_is_not_there_has_no_hosts(tmp_path: Path) -> None:
    assert likely_hosts(tmp_path / "nowhere") == {}
