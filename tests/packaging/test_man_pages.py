"""Manual pages that troff sets without a word, with every command and every key."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.cli.commands import COMMANDS
from reconciler.config import setting_keys

_MAN = Path(__file__).parents[2] / "packaging/man"

pytestmark = pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")


def as_printed(page: str) -> str:
    done = subprocess.run(
        ["groff", "-Kutf8", "-Tutf8", "-man", "-ww", "-rLL=200n", "-P-cbou", _MAN / page],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_every_command_is_in_the_page_of_commands() -> None:
    text = as_printed("reconciler.1")

    assert [command.name for command in COMMANDS if f"reconciler {command.name}" not in text] == []


def test_every_key_is_in_the_page_of_the_configuration() -> None:
    text = as_printed("reconciler-config.5")

    assert [key for key in setting_keys() if f"{key} (default: " not in text] == []
