"""Problems of specs as programs read them: JSON, GitHub annotations, GitLab code quality, SARIF, JUnit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from reconciler.cli.spec_errors import first_line, render_problems
from reconciler.model.desired_state import SpecProblem
from reconciler.specfiles.problem_codes import CODES

Problems = Sequence[SpecProblem]


def as_json(problems: Problems) -> str:
    """One object with `version` and `problems`, each with the fields that a person would be shown."""
    return _dump({"version": 1, "problems": [_as_object(problem) for problem in problems]})


def as_github(problems: Problems) -> str:
    """Workflow commands: GitHub shows them beside the lines of a pull request."""
    return "".join(_github_line(problem) for problem in problems)


def as_gitlab(problems: Problems) -> str:
    """A code quality report; a fingerprint outlives a change of lines."""
    return _dump(
        [
            {
                "description": _sentence(problem),
                "check_name": problem.code,
                "fingerprint": _fingerprint(problem),
                "severity": "major" if problem.severity == "error" else "minor",
                "location": {"path": problem.where.file, "lines": {"begin": problem.where.line}},
            }
            for problem in problems
        ]
    )


def as_sarif(problems: Problems) -> str:
    """A SARIF 2.1.0 log with one run."""
    used = sorted({problem.code for problem in problems})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": CODES[code].title},
            "fullDescription": {"text": CODES[code].explanation},
        }
        for code in used
    ]
    run = {
        "tool": {"driver": {"name": "reconciler", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(problem) for problem in problems],
    }
    return _dump({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]})


def as_junit(problems: Problems) -> str:
    """A JUnit report: one suite, one case per file; a file with errors fails."""
    cases = []
    failures = 0
    for file, group in groupby(sorted(problems), key=lambda problem: problem.where.file):
        found = list(group)
        errors = [problem for problem in found if problem.severity == "error"]
        warnings = [problem for problem in found if problem.severity != "error"]
        failures += bool(errors)
        cases.append(f'  <testcase classname="specs" name={_attribute(file)}>')
        if errors:
            message = _attribute(f"{len(errors)} errors" if len(errors) > 1 else errors[0].message)
            cases.append(f"    <failure message={message}>{_xml_text(errors)}</failure>")
        if warnings:
            cases.append(f"    <system-out>{_xml_text(warnings)}</system-out>")
        cases.append("  </testcase>")
    tests = sum(case.startswith("  <testcase") for case in cases)
    suite = f'<testsuite name="reconciler validate" tests="{tests}" failures="{failures}" errors="0">'
    body = "".join(f"{line}\n" for line in cases)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{suite}\n{body}</testsuite>\n'


FORMATS: Final[Mapping[str, Callable[[Problems], str]]] = MappingProxyType(
    {
        "text": render_problems,
        "json": as_json,
        "github": as_github,
        "gitlab": as_gitlab,
        "sarif": as_sarif,
        "junit": as_junit,
    }
)
"""What `validate --output-format` offers."""


def _as_object(problem: SpecProblem) -> dict[str, Any]:
    return {
        "file": problem.where.file,
        "line": problem.where.line,
        "column": problem.where.column,
        "code": problem.code,
        "severity": problem.severity,
        "target": problem.target,
        "field": problem.field,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }


def _github_line(problem: SpecProblem) -> str:
    places = {
        "file": problem.where.file,
        "line": problem.where.line,
        "col": problem.where.column,
        "title": f"{problem.code} {CODES[problem.code].title}",
    }
    properties = ",".join(f"{key}={_github_escape(str(value), ':,')}" for key, value in places.items())
    return f"::{problem.severity} {properties}::{_github_escape(_sentence(problem))}\n"


def _github_escape(text: str, more: str = "") -> str:
    for letter in "%\r\n" + more:
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def _sarif_result(problem: SpecProblem) -> dict[str, Any]:
    where = problem.where
    region = {"startLine": where.line, "startColumn": where.column, "endColumn": where.column + problem.width}
    location = {"artifactLocation": {"uri": where.file}, "region": region}
    return {
        "ruleId": problem.code,
        "level": problem.severity,
        "message": {"text": _sentence(problem)},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"reconciler/v1": _fingerprint(problem)},
    }


def _sentence(problem: SpecProblem) -> str:
    return ": ".join(part for part in (problem.target, problem.field, problem.message) if part)


def _fingerprint(problem: SpecProblem) -> str:
    identity = f"{problem.where.file}\0{problem.code}\0{problem.target}\0{problem.field}\0{problem.message}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _xml_text(problems: Problems) -> str:
    return escape("\n".join(_printable(f"{first_line(problem)} [{problem.code}]") for problem in problems))


def _attribute(text: str) -> str:
    return quoteattr(_printable(text))


def _printable(text: str) -> str:
    """XML cannot hold control characters, not even escaped."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"
