"""Annotations that are ours are understood, or told: nobody is to believe that something is held or protected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.specfiles.fleets import BASE, codes, load_fleet, only, vm, write


def annotated(annotation: str, spec: str = "memory: 1GiB") -> str:
    return vm("web-1", spec).replace("labels: {}", f"annotations: {{{annotation}}}")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ('reconciler/paused: "yes"', "'yes' is not understood; did you mean `true`?"),
        ('reconciler/paused: "True"', "'True' is not understood; did you mean `true`?"),
        ('reconciler/paused: "off"', "'off' is not understood; did you mean `false`?"),
        ('reconciler/paused: "1"', '\'1\' is not understood; the possible values are "true" and "false"'),
        ('reconciler/pause: "true"', "unknown annotation; did you mean `reconciler/paused`?"),
        ("reconciler/Prune: disabled", "unknown annotation; did you mean `reconciler/prune`?"),
        ('reconciler/prune: "false"', '\'false\' is not understood; the possible values are "disabled" and "enabled"'),
        ("reconciler/prune: Disabled", "'Disabled' is not understood; did you mean `disabled`?"),
        ("reconciler/owner: ann", "unknown annotation; those known are reconciler/paused, reconciler/prune"),
    ],
)
def test_an_annotation_of_ours_that_is_not_understood_is_an_error_with_what_was_meant(
    tmp_path: Path, annotation: str, words: str
) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, web=annotated(annotation)))

    problem = only(loaded)
    assert (problem.code, problem.severity, problem.target) == ("S051", "error", "VirtualMachine/web-1")
    assert problem.message.startswith(words)
    assert problem.where.line == 3
    assert list(loaded.vms) == []


@pytest.mark.parametrize(
    "annotation",
    [
        'reconciler/paused: "true"',
        'reconciler/paused: "false"',
        "reconciler/prune: disabled",
        "reconciler/prune: enabled",
        "example.org/pause: anything",
        "note: reconciler/pause",
    ],
)
def test_what_is_understood_and_what_is_not_ours_is_fine(tmp_path: Path, annotation: str) -> None:
    assert codes(load_fleet(write(tmp_path, base=BASE, web=annotated(annotation)))) == []


def test_it_is_told_of_an_object_with_other_mistakes_in_the_same_run(tmp_path: Path) -> None:
    web = annotated('reconciler/pause: "true"', spec="memory: 1GiB, memmory: 2GiB")

    assert sorted(codes(load_fleet(write(tmp_path, base=BASE, web=web)))) == ["S014", "S051"]


def test_the_hosts_of_a_refused_host_are_not_said_to_be_missing(tmp_path: Path) -> None:
    base = BASE.replace("labels: {rack: a}", 'annotations: {reconciler/paused: "yes"}')
    web = vm("web-1", "memory: 1GiB, placement: {hosts: [h1]}")

    assert codes(load_fleet(write(tmp_path, base=base, web=web))) == ["S051"]
