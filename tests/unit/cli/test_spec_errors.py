"""Problems of specs are shown with their place, a marker and the next command, and as programs want them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from reconciler.cli.problem_formats import FORMATS
from reconciler.cli.spec_errors import next_command, render_problems
from reconciler.model.desired_state import SourceRef, SpecProblem

UNKNOWN = SpecProblem(
    where=SourceRef("fleet/web.yaml", 14, 3),
    code="S014",
    target="VirtualMachine/web-1",
    field="spec.memroy",
    message="unknown field; did you mean `memory`?",
    snippet="  memroy: 2GiB",
    width=6,
    suggestion="memory",
)
HIDDEN = SpecProblem(
    where=SourceRef("fleet/db.yaml", 3, 15),
    code="S040",
    target="VirtualMachine/db-1",
    field="spec.cloudInit.userData",
    message="holds a plain password; write its hash",
    severity="warning",
)
WHOLE_FILE = SpecProblem(
    where=SourceRef("fleet/a,b:c.yaml", 1), code="S005", target="", field="", message='100% <no> "file"\nx'
)
ALL = (HIDDEN, UNKNOWN, WHOLE_FILE)


def test_a_problem_has_its_place_first_then_the_line_a_marker_and_the_next_command() -> None:
    assert render_problems([UNKNOWN]) == (
        "fleet/web.yaml:14:3: VirtualMachine/web-1: spec.memroy: unknown field; did you mean `memory`?  error[S014]\n"
        "  14 │   memroy: 2GiB\n"
        "     │   ^^^^^^\n"
        "  → reconciler explain VirtualMachine.spec\n"
        "\n"
        "1 error in 1 file\n"
    )


def test_a_line_that_must_not_be_shown_is_left_out() -> None:
    assert render_problems([HIDDEN]) == (
        "fleet/db.yaml:3:15: VirtualMachine/db-1: spec.cloudInit.userData: holds a plain password; write its hash"
        "  warning[S040]\n"
        "  → reconciler explain S040\n"
        "\n"
        "1 warning in 1 file\n"
    )


def test_counts_name_errors_warnings_and_files() -> None:
    assert render_problems(ALL).splitlines()[-1] == "2 errors, 1 warning in 3 files"


def test_nothing_wrong_says_nothing() -> None:
    assert render_problems([]) == ""


def test_a_very_long_line_is_cut_around_the_marker() -> None:
    line = "x" * 500 + "memroy" + "y" * 500
    problem = SpecProblem(SourceRef("a.yaml", 1, 501), "S014", "", "", "m", snippet=line, width=6)

    _, shown, marker, *_ = render_problems([problem]).splitlines()

    assert len(shown) < 200
    assert [shown[index] for index, letter in enumerate(marker) if letter == "^"] == list("memroy")


def test_colours_are_only_there_when_asked_for() -> None:
    assert "\x1b" not in render_problems(ALL)
    assert "\x1b[31;1m" in render_problems(ALL, colour=True)


@pytest.mark.parametrize(
    ("field", "code", "command"),
    [
        ("spec.disks[0].sise", "S014", "reconciler explain VirtualMachine.spec.disks"),
        ("spec.disks[0].size", "S019", "reconciler explain VirtualMachine.spec.disks.size"),
        ("foo", "S014", "reconciler explain VirtualMachine"),
        ("spec.disks[0].pool", "S032", "reconciler explain S032"),
    ],
)
def test_the_next_command_explains_the_field_or_the_code(field: str, code: str, command: str) -> None:
    assert next_command(SpecProblem(SourceRef("a", 1), code, "VirtualMachine/web-1", field, "m")) == command


def test_json_has_every_field_of_every_problem() -> None:
    shown = json.loads(FORMATS["json"](ALL))

    assert shown["version"] == 1
    assert shown["problems"][1] == {
        "file": "fleet/web.yaml",
        "line": 14,
        "column": 3,
        "code": "S014",
        "severity": "error",
        "target": "VirtualMachine/web-1",
        "field": "spec.memroy",
        "message": "unknown field; did you mean `memory`?",
        "suggestion": "memory",
    }


def test_github_annotations_are_one_escaped_line_each() -> None:
    lines = FORMATS["github"](ALL).splitlines()

    assert lines[1].startswith(
        "::error file=fleet/web.yaml,line=14,col=3,title=S014 Unknown field::VirtualMachine/web-1: "
    )
    assert (
        lines[2]
        == '::error file=fleet/a%2Cb%3Ac.yaml,line=1,col=1,title=S005 Not a regular file::100%25 <no> "file"%0Ax'
    )


def test_gitlab_fingerprints_outlive_a_change_of_lines_and_tell_problems_apart() -> None:
    moved = SpecProblem(SourceRef(UNKNOWN.where.file, 99), UNKNOWN.code, UNKNOWN.target, UNKNOWN.field, UNKNOWN.message)

    prints = [entry["fingerprint"] for entry in json.loads(FORMATS["gitlab"]([*ALL, moved]))]

    assert prints[1] == prints[3]
    assert len(set(prints)) == 3


def test_sarif_names_each_rule_once_and_places_each_result() -> None:
    (run,) = json.loads(FORMATS["sarif"]([*ALL, UNKNOWN]))["runs"]

    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["S005", "S014", "S040"]
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "fleet/web.yaml"
    assert place["region"] == {"startLine": 14, "startColumn": 3, "endColumn": 9}


def test_junit_has_a_case_for_each_file_and_fails_those_with_errors() -> None:
    suite = ET.fromstring(FORMATS["junit"](ALL).encode())  # noqa: S314 - our own text

    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert [(case.get("name"), case.find("failure") is not None) for case in suite] == [
        ("fleet/a,b:c.yaml", True),
        ("fleet/db.yaml", False),
        ("fleet/web.yaml", True),
    ]
