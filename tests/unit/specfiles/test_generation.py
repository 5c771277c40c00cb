"""A snapshot of specs is named after its commit where it is just that, else after its content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.git import git
from tests.unit.specfiles.fleets import BASE, load_fleet, vm, write


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    write(tmp_path, base=BASE, web=vm("web-1"))
    (tmp_path / "README.md").write_text("a fleet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a fleet")
    return tmp_path


def test_a_clean_checkout_is_named_after_its_commit(checkout: Path) -> None:
    assert load_fleet(checkout).generation == git(checkout, "rev-parse", "HEAD")


def test_a_directory_within_a_checkout_is_named_after_the_commit_too(checkout: Path) -> None:
    (checkout / "fleet").mkdir()
    write(checkout / "fleet", base=BASE)
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "another")

    assert load_fleet(checkout / "fleet").generation == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("change", ["edited", "added", "deleted"])
def test_a_checkout_with_changes_is_named_after_its_content(checkout: Path, change: str) -> None:
    if change == "deleted":
        (checkout / "web.yaml").unlink()
    else:
        write(checkout, **{"web" if change == "edited" else "new": vm("web-2")})

    assert load_fleet(checkout).generation.startswith("content-")


def test_files_that_are_no_specs_do_not_matter(checkout: Path) -> None:
    (checkout / "README.md").write_text("changed")
    (checkout / "notes.txt").write_text("new")

    assert load_fleet(checkout).generation == git(checkout, "rev-parse", "HEAD")


def test_plain_directories_of_the_same_content_have_the_same_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for directory in (one, other):
        directory.mkdir()
        write(directory, base=BASE, web=vm("web-1"))

    generation = load_fleet(one).generation

    assert generation == load_fleet(other).generation
    assert generation != load_fleet(write(other, web=vm("web-2"))).generation


def test_nothing_of_the_checkout_is_executed(checkout: Path) -> None:
    trap = checkout / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {checkout}/sprung\ncat\n")
    trap.chmod(0o755)
    (checkout / ".gitattributes").write_text("*.yaml filter=trap\n")
    for key in ("core.fsmonitor", "filter.trap.clean", "filter.trap.smudge", "filter.trap.process", "core.pager"):
        git(checkout, "config", key, str(trap))
    for hook in ("post-checkout", "post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (checkout / ".git/hooks" / hook).symlink_to(trap)
    os.utime(checkout / "web.yaml")

    load_fleet(checkout)

    assert not (checkout / "sprung").exists()


def test_another_repository_named_by_the_environment_is_not_asked(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")

    assert len(load_fleet(checkout).generation) == 40


def test_a_commit_changes_the_name_of_unchanged_files(checkout: Path) -> None:
    before = load_fleet(checkout)
    git(checkout, "commit", "-q", "--allow-empty", "-m", "nothing")

    after = load_fleet(checkout, before)

    assert (before.generation != after.generation, after.generation) == (True, git(checkout, "rev-parse", "HEAD"))


def test_a_damaged_repository_is_named_after_its_content(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    assert load_fleet(write(tmp_path, base=BASE)).generation.startswith("content-")
