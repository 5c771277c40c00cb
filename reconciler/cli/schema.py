"""`reconciler schema` and `reconciler explain`."""

from __future__ import annotations

import click

from reconciler.cli.change_table import changes_of
from reconciler.cli.explain_setting import setting_text
from reconciler.cli.invocation import Invocation
from reconciler.cli.references import parse_kind
from reconciler.cli.tables import json_text
from reconciler.specfiles.explain import Meaning, look_up, overview
from reconciler.specfiles.json_schema import schema


def run(_invocation: Invocation, *, kind: str | None) -> int:
    """Print JSON Schema, draft 2020-12."""
    click.echo(json_text(schema(parse_kind(kind) if kind else None)), nl=False)
    return 0


def run_explain(_invocation: Invocation, *, path: str | None) -> int:
    """Print what a field means; without `path`, what can be asked for."""
    click.echo(_explained(path) if path else overview(), nl=False)
    return 0


def _explained(path: str) -> str:
    of_configuration = setting_text(path)
    if of_configuration:
        return of_configuration
    meaning = look_up(path)
    return f"{meaning.text}{_what_a_change_does(meaning)}"


def _what_a_change_does(meaning: Meaning) -> str:
    """To a running VM, as the planner decides it; empty for what is no field of one."""
    if meaning.kind != "VirtualMachine" or not meaning.field:
        return ""
    lines = [f"{row.when}: {row.disruption}" if row.when else row.disruption for row in changes_of(meaning.field)]
    return "".join(f"  {'' if number else 'changed':<9}{line}\n" for number, line in enumerate(lines))
