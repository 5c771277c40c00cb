"""`reconciler image versions`."""

from __future__ import annotations

from typing import Any

import click
from msgspec import Struct

from reconciler.cli.command_line import command_line
from reconciler.cli.image_names import Known, known_versions
from reconciler.cli.invocation import Invocation
from reconciler.cli.ledger_doubts import warn_of_ledger
from reconciler.cli.tables import Column, TableFormat, chosen, csv_text, json_text, markdown_table, table, yaml_text
from reconciler.cli.terminal import stdout_terminal
from reconciler.cli.words import age, revision
from reconciler.model.quantities import approximate_size
from reconciler.model.version import ImageVersion, instant_of, stamp_of
from reconciler.planner.schedules import explain, next_instant
from reconciler.planner.version_uses import keeping

_GOES = "nothing: it goes with the next apply"


class VersionRow(Struct, frozen=True):
    """One version, and why it stays; `age` in seconds."""

    version: ImageVersion
    age: float
    kept: tuple[str, ...]
    doomed: bool = False
    """People have asked for its end."""


def run(invocation: Invocation, *, name: str | None, format: TableFormat, columns: str | None) -> int:
    """List the versions of one captured image, or of all, oldest first."""
    settings = invocation.settings()
    known = known_versions(invocation.doors(), settings)
    warn_of_ledger(settings)
    names = [known.image(name)] if name is not None else sorted(known.captured)
    rows = [row for each in names for row in _rows(known, each)]
    keys = [key.strip() for key in columns.split(",")] if columns else []
    click.echo(_text(rows, format, keys), nl=False)
    if format == "table":
        for each in names:
            click.echo(_summary(known, each), err=True)
        if not names:
            click.echo("no image is captured from a VM; see reconciler explain Image.spec.source.vm", err=True)
    elif not rows and name is not None:
        click.echo(f"{name} has no version yet; next: {command_line(invocation).call('plan')}", err=True)
    return 0


def _rows(known: Known, name: str) -> list[VersionRow]:
    reasons = keeping(known.world, name)
    asked = {removal.stamp for removal in known.ledger.removals if removal.image == name}
    return [
        VersionRow(
            version=each,
            age=known.world.now - each.taken_at,
            kept=reasons.get(each.stamp, ()),
            doomed=each.stamp in asked,
        )
        for each in known.versions.get(name, ())
    ]


def _text(rows: list[VersionRow], format: TableFormat, keys: list[str]) -> str:
    columns = chosen(_COLUMNS, keys)
    if format == "table":
        return table(rows, columns, stdout_terminal())
    if format == "csv":
        return csv_text(rows, columns)
    if format == "markdown":
        return markdown_table(rows, columns)
    data = [{column.key: column.text(row) for column in columns} if keys else _data(row) for row in rows]
    return json_text(data) if format == "json" else yaml_text(data)


def _kind(row: VersionRow) -> str:
    parent = row.version.parent
    return "full" if parent is None else f"increment of {instant_of(parent)}"


def _why(row: VersionRow) -> str:
    if row.doomed:
        return "to be deleted, as was asked"
    return ", ".join(row.kept) or _GOES


_COLUMNS: tuple[Column[VersionRow], ...] = (
    Column("version", lambda row: row.version.name),
    Column("taken", lambda row: instant_of(stamp_of(row.version.taken_at))),
    Column("age", lambda row: age(row.age)),
    Column("size", lambda row: approximate_size(row.version.size)),
    Column("virtual", lambda row: approximate_size(sum(disk.virtual_size for disk in row.version.disks))),
    Column("consistency", lambda row: row.version.consistency),
    Column("kind", _kind),
    Column("generation", lambda row: revision(row.version.generation)),
    Column("kept", _why, heading="kept because"),
)


def _data(row: VersionRow) -> dict[str, Any]:
    version = row.version
    return {
        "version": version.name,
        "image": version.image,
        "vm": version.vm,
        "pool": version.pool,
        "host": version.host,
        "taken": version.taken_at,
        "ageSeconds": int(row.age),
        "size": version.size,
        "virtualSize": sum(disk.virtual_size for disk in version.disks),
        "consistency": version.consistency,
        "kind": "full" if version.parent is None else "increment",
        "parent": None if version.parent is None else f"{version.image}@{instant_of(version.parent)}",
        "generation": version.generation,
        "kept": list(row.kept),
        "toBeDeleted": row.doomed or not row.kept,
        "disks": [
            {
                "name": disk.name,
                "volume": disk.volume,
                "size": disk.size,
                "virtualSize": disk.virtual_size,
                "digest": disk.digest,
                "parent": disk.parent_volume,
            }
            for disk in version.disks
        ],
    }


def _summary(known: Known, name: str) -> str:
    """What there is, and when the next one comes."""
    versions = known.versions.get(name, ())
    total = approximate_size(sum(version.size for version in versions))
    image = known.world.desired.images.get(name)
    number = f"{len(versions)} version{'' if len(versions) == 1 else 's'}, {total}"
    if image is None:
        return f"{name}: {number}; not in the specs any more, so none is added and none goes by itself"
    cron = image.spec.schedule
    if cron is None:
        return f"{name}: {number}; captured by reconciler image capture {name}"
    at = next_instant(cron, known.world.now)
    following = "" if at is None else f", next {instant_of(stamp_of(at))}"
    return f"{name}: {number}; captured {explain(cron)}{following}"
