"""`reconciler schema` and `reconciler explain`."""

from __future__ import annotations

import click

from reconciler.cli.invocation import Invocation
from reconciler.cli.references import parse_kind
from reconciler.cli.tables import json_text
from reconciler.specfiles.explain import explain, overview
from reconciler.specfiles.json_schema import schema


def run(_invocation: Invocation, *, kind: str | None) -> int:
    """Print JSON Schema, draft 2020-12."""
    click.echo(json_text(schema(parse_kind(kind) if kind else None)), nl=False)
    return 0


def run_explain(_invocation: Invocation, *, path: str | None) -> int:
    """Print what a field means; without `path`, what can be asked for."""
    click.echo(explain(path) if path else overview(), nl=False)
    return 0
