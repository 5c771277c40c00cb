"""What the documentation tells people to type and to write exists: commands, options, fields, keys."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from reconciler.cli.app import app
from reconciler.cli.explain_setting import setting_text
from reconciler.config import item_keys, load_settings, setting_keys
from reconciler.model.resource import KINDS
from reconciler.specfiles.explain import look_up
from reconciler.specfiles.json_schema import fields_of, property_at
from reconciler.specfiles.yaml_documents import parse

ROOT = Path(__file__).resolve().parents[3]
PAGES = (ROOT / "README.md", ROOT / "docs/OPERATIONS.md", ROOT / "docs/RUNBOOKS.md")
_PLACEHOLDER = re.compile(r"[A-Z…]|^[.]+$")


def typed(page: Path) -> Iterator[str]:
    """Each command line of ours that the page shows, in blocks and within sentences."""
    text = page.read_text()
    for line in re.findall(r"^ {4,}(?:\$ )?(?:sudo )?(reconciler [^\n]*)$", text, re.MULTILINE):
        yield re.split(r"\s+(?:#|>|\|)|\s\s+", line)[0]
    for span in re.findall(r"`(?:sudo )?(reconciler [^`]+)`", text):
        yield " ".join(span.split())


COMMANDS = sorted({line for page in PAGES for line in typed(page)})


def fault(line: str) -> str:
    """What of the line the program would not understand; empty where it would."""
    command: click.Command = app
    _, *words = shlex.split(line)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        if found is None:
            return f"no command {name}"
        command = found
    options = {name: each for each in [*command.params, *app.params] for name in (*each.opts, *each.secondary_opts)}
    left = []
    while words:
        word = words.pop(0)
        name, equals, _ = word.partition("=")
        option = options.get(name)
        if not word.startswith("-"):
            left.append(word)
        elif word not in ("--help", "-h", "--version") and option is None:
            return f"no option {name}"
        elif isinstance(option, click.Option) and not option.is_flag and not option.count and not equals:
            words = words[1:]
    takes = [each.nargs for each in command.params if isinstance(each, click.Argument)]
    if -1 not in takes and len(left) > sum(takes):
        return f"more than it takes: {' '.join(left)}"
    return ""


def test_the_documentation_shows_commands() -> None:
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("line", COMMANDS)
def test_a_documented_command_is_understood(line: str) -> None:
    assert fault(line) == ""


@pytest.mark.parametrize("line", ["reconciler stauts", "reconciler plan --mrkdown", "reconciler fence test h1 h2"])
def test_what_is_not_understood_would_be_found(line: str) -> None:
    assert fault(line) != ""


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("reconciler explain ")])
def test_what_the_documentation_has_explained_is_explained(line: str) -> None:
    word = line.split()[2]

    assert _PLACEHOLDER.search(word) or setting_text(word) or look_up(word).text


def test_keys_of_the_configuration_that_the_documentation_names_are_there() -> None:
    keys = {*setting_keys(), *item_keys()}
    sections = {key.rpartition(".")[0] for key in keys if "." in key}
    named = {
        name for page in PAGES for name in re.findall(r"`((?:[a-z][A-Za-z]*\.)+[a-z][A-Za-z]*)[`:]", page.read_text())
    }

    missing = {
        name
        for name in named
        if name.rpartition(".")[0] in sections and name not in keys | sections and not _is_field(name)
    }

    assert missing == set()


def _is_field(name: str) -> bool:
    return any(property_at(kind, ("spec", *name.split("."))) is not None for kind in KINDS)


def blocks(page: Path) -> Iterator[tuple[bool, str]]:
    """Each block of YAML, and whether it is part of a configuration rather than of specs."""
    text = page.read_text()
    shown = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    shown += [
        re.sub("^    ", "", block, flags=re.MULTILINE)
        for block in re.findall(r"(?:^    [^\n]*\n)+", text, re.MULTILINE)
        if re.match(r"    (?:kind|spec|placement): ?", block)
    ]
    for block in shown:
        yield not re.search(r"^(?:kind|spec|placement|metadata):", block, re.MULTILINE), block


@pytest.mark.parametrize("block", [block for page in PAGES for is_ours, block in blocks(page) if is_ours])
def test_a_documented_configuration_can_be_used(block: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(block)

    assert load_settings(environ={}, config_file=file).config_file == file


@pytest.mark.parametrize("block", [block for page in PAGES for is_ours, block in blocks(page) if not is_ours])
def test_a_documented_spec_has_no_field_that_is_unknown(block: str) -> None:
    for document in parse(block.encode()):
        data = document.data
        data = {"spec": data} if "placement" in data else data
        kinds = (data["kind"],) if "kind" in data else KINDS
        assert min((sorted(_unknown(kind, (), data)) for kind in kinds), key=len) == []


def _unknown(kind: str, path: tuple[str, ...], value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        known = fields_of(kind, property_at(kind, path) or {})
        if not isinstance(item, dict) or (path and not known):
            continue
        for name, inner in item.items():
            if name in known:
                yield from _unknown(kind, (*path, name), inner)
            else:
                yield ".".join([kind, *path, name])
