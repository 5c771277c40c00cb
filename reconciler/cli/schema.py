"""`reconciler schema` and `reconciler explain`."""

from __future__ import annotations

import re
from typing import Final

import click

from reconciler.cli.change_table import changes_of
from reconciler.cli.invocation import Invocation
from reconciler.cli.references import parse_kind
from reconciler.cli.tables import json_text
from reconciler.specfiles.explain import explain, overview
from reconciler.specfiles.json_schema import schema

_INDEX: Final = re.compile(r"\[\d*\]")


def run(_invocation: Invocation, *, kind: str | None) -> int:
    """Print JSON Schema, draft 2020-12."""
    click.echo(json_text(schema(parse_kind(kind) if kind else None)), nl=False)
    return 0


def run_explain(_invocation: Invocation, *, path: str | None) -> int:
    """Print what a field means; without `path`, what can be asked for."""
    click.echo(explain(path) + _what_a_change_does(path) if path else overview(), nl=False)
    return 0


def _what_a_change_does(path: str) -> str:
    """To a running VM, as the planner decides it; empty for what is no field of one."""
    kind, _, field = _INDEX.sub("", path).partition(".")
    if kind.lower() not in ("virtualmachine", "virtualmachines", "vm", "vms") or not field:
        return ""
    lines = [f"{row.when}: {row.disruption}" if row.when else row.disruption for row in changes_of(field)]
    return "".join(f"  {'' if number else 'changed':<9}{line}\n" for number, line in enumerate(lines))
