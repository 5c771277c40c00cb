"""The table of what a change does to a running VM: every field is in it, and it says what a plan would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.cli.change_samples import SAMPLES, Sample
from reconciler.cli.change_table import change_rows, change_table, changes_of
from reconciler.specfiles.json_schema import fields_of, property_at

_VM = "VirtualMachine"


def fields_below(*path: str) -> Iterator[str]:
    """Every field that holds a value of its own, lists without their indexes."""
    for name, (field, _) in fields_of(_VM, property_at(_VM, path) or {}).items():
        if fields_of(_VM, field):
            yield from fields_below(*path, name)
        else:
            yield ".".join((*path, name))


def test_every_field_of_a_vm_is_in_the_table() -> None:
    wanted = {*fields_below("metadata"), *fields_below("spec")}

    assert wanted - {row.field for row in change_rows()} == set()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.field} {sample.when}".strip())
def test_every_row_is_of_a_field_that_there_is_and_of_a_change(sample: Sample) -> None:
    assert property_at(_VM, tuple(sample.field.split("."))) is not None
    assert sample.before != sample.after or sample.metadata


def test_rows_say_how_much_a_change_hurts() -> None:
    rows = {(row.field.removeprefix("spec."), row.when): row.disruption for row in change_rows()}

    assert rows["memory", "up to `maxMemory`, or less"] == "live"
    assert rows["memory", "beyond `maxMemory`"] == "reboot"
    assert rows["disks", "another first one"] == "rebuild"
    assert rows["disks.size", "smaller"] == "refused"
    assert rows["disks.ioTune.totalIops", ""] == "live"
    assert rows["ha.priority", ""] == "none"


def test_one_field_is_told_by_itself() -> None:
    assert {row.disruption for row in changes_of("spec.memory")} == {"live", "reboot"}
    assert changes_of("spec.nothing") == ()


def test_the_table_has_a_line_for_each_row() -> None:
    lines = [line for line in change_table().splitlines() if line.startswith("| ")]

    assert len(lines) == len(change_rows()) + 2
