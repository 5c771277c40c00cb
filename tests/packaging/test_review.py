"""Hooks and jobs that a repository of specs can take over call what the program knows, as it is called."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_HOOKS = _ROOT / ".pre-commit-hooks.yaml"
_JOBS = sorted((_ROOT / "packaging" / "ci").glob("*.yml"))
_NETWORK = "apiVersion: reconciler/v1\nkind: Network\nmetadata: {name: lan}\nspec: {mode: isolated}\n"


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The program in `folder`, whose fleet is named as a hook would find it: by its configuration."""
    known = {"RECONCILER_SPECS": "fleet", "RECONCILER_STATE_DIR": str(folder / "state")}
    command = [sys.executable, "-m", "reconciler", *arguments]
    env = {**os.environ, **known}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=env)


def _lines(value: Any) -> Iterator[str]:
    """All texts in a document, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _lines(each)


def _commands(path: Path) -> list[list[str]]:
    texts = _lines(yaml.safe_load(path.read_text(encoding="utf-8")))
    return [shlex.split(text.partition(">")[0]) for text in texts if text.startswith("reconciler ")]


@pytest.mark.parametrize("path", [_HOOKS, *_JOBS], ids=lambda path: path.name)
def test_every_command_in_it_is_understood(path: Path, tmp_path: Path) -> None:
    """An option that is no more, or that the command never had, would end it with a word about usage."""
    fleet, commands = tmp_path / "fleet", _commands(path)
    fleet.mkdir()
    (fleet / "lan.yaml").write_text(_NETWORK, encoding="utf-8")

    said = [_run(arguments, tmp_path) for _, *arguments in commands]

    assert {arguments[1] for arguments in commands} == {"validate", "plan"}
    assert [one.returncode for one in said] == [0] * len(said), [one.stderr for one in said]
