"""Reading a directory never blocks, never leaves it, and never shows what it refused."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from reconciler.specfiles.directory import DirectoryLimits, read_directory
from tests.unit.specfiles.fleets import write


def found(directory: Path, limits: DirectoryLimits | None = None) -> tuple[list[str], dict[str, str]]:
    listing = read_directory(directory, limits)
    return list(listing.contents), {path: problem.code for path, problem in listing.problems.items()}


def test_only_yaml_files_are_read_and_what_begins_with_a_dot_is_not(tmp_path: Path) -> None:
    write(tmp_path, a="a", **{".hidden": "h"})
    (tmp_path / "b.yml").write_text("b")
    (tmp_path / "c.txt").write_text("c")
    (tmp_path / "c.sops.yaml").write_text("token: ENC[]")
    (tmp_path / ".git").mkdir()
    write(tmp_path / ".git", config="x")

    assert found(tmp_path) == (["a.yaml", "b.yml"], {})


def test_fifos_sockets_and_devices_are_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.yaml"))

        assert found(tmp_path) == ([], {"fifo.yaml": "S005", "socket.yaml": "S005", "zero.yaml": "S006"})


def test_a_link_out_of_the_directory_is_refused_and_nothing_of_its_target_is_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2: [")
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "web.yaml").symlink_to("../secret")

    listing = read_directory(specs)

    assert listing.problems["web.yaml"].code == "S006"
    assert "hunter2" not in repr(listing)


def test_a_link_within_the_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / ".data").mkdir()
    write(tmp_path / ".data", web="web")
    (tmp_path / "web.yaml").symlink_to(".data/web.yaml")

    assert found(tmp_path) == (["web.yaml"], {})


@pytest.mark.parametrize("target", [".", "..", "/etc", "loop"])
def test_links_to_directories_are_not_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "loop").symlink_to(target)
    write(tmp_path, web="web")

    contents, problems = found(tmp_path)

    assert contents == ["web.yaml"]
    assert problems == ({} if target == "loop" else {"loop": "S006"})


def test_giant_files_too_many_files_and_too_deep_directories_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a="x" * 100, b="y")
    (tmp_path / "1/2/3").mkdir(parents=True)
    write(tmp_path / "1/2/3", c="z")
    limits = DirectoryLimits(files=10, file_bytes=50, depth=2)

    assert found(tmp_path, limits) == (["b.yaml"], {"a.yaml": "S007", "1/2/3": "S007"})
    too_many = read_directory(tmp_path, DirectoryLimits(files=2)).unusable
    assert too_many is not None
    assert too_many.code == "S007"


def test_a_sparse_giant_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "giant.yaml").open("wb") as giant:
        giant.truncate(1 << 40)

    assert found(tmp_path) == ([], {"giant.yaml": "S007"})


def test_a_directory_that_everybody_may_write_is_refused_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path, web="web")
    tmp_path.chmod(0o777)

    listing = read_directory(tmp_path)

    assert listing.contents == {}
    assert listing.unusable is not None
    assert listing.unusable.code == "S003"


def test_a_file_or_directory_below_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    write(tmp_path, web="web", db="db")
    (tmp_path / "web.yaml").chmod(0o666)
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", inner="x")
    (tmp_path / "sub").chmod(0o777)

    contents, problems = found(tmp_path)

    assert contents == ["db.yaml"]
    assert set(problems.values()) == {"S003"}


def test_a_missing_directory_and_a_file_in_its_place_are_said_to_be_so(tmp_path: Path) -> None:
    write(tmp_path, web="web")

    missing = read_directory(tmp_path / "nowhere").unusable
    a_file = read_directory(tmp_path / "web.yaml").unusable

    assert missing is not None
    assert a_file is not None
    assert (missing.code, a_file.code) == ("S001", "S001")
    assert "not a directory" in a_file.message


def test_control_characters_of_a_file_name_are_shown_escaped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a\n\x1b[31m.yaml")

    (problem,) = read_directory(tmp_path).problems.values()

    assert problem.where.file.isprintable()
