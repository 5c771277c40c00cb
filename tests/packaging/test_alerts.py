"""The alert rules and the dashboard ask for metrics that there are; the alerts say what to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.daemon.metrics.catalogue import METRICS

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "packaging/alerts"
_SELECTOR = re.compile(r"(reconciler_\w+)(?:\{([^}]*)\})?")


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ALERTS / "reconciler.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads((ROOT / "packaging/grafana/reconciler.json").read_text())["panels"]
    return panels


def _queries() -> list[str]:
    shown = [target["expr"] for panel in _panels() for target in panel["targets"]]
    return [*(rule["expr"] for rule in _rules()), *shown]


def test_rules_and_panels_ask_for_metrics_and_labels_that_there_are() -> None:
    selectors = [selector for query in _queries() for selector in _SELECTOR.findall(query)]
    asked = [(name.removesuffix("_bucket"), labels) for name, labels in selectors]

    assert {name for name, _ in asked} <= METRICS.keys()
    assert [
        (name, label)
        for name, labels in asked
        for label in re.findall(r"(\w+)=", labels)
        if label not in METRICS[name].labels
    ] == []


def test_panels_lie_beside_one_another() -> None:
    places = [panel["gridPos"] for panel in _panels()]
    cells = [
        (column, row)
        for place in places
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) < 24
    assert len({panel["id"] for panel in _panels()}) == len(places)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_panels_can_be_asked(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(_queries())]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    said = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)

    assert said.returncode == 0, said.stdout + said.stderr


def test_each_alert_says_how_bad_it_is_and_what_to_do() -> None:
    runbooks = (ROOT / "docs/RUNBOOKS.md").read_text()
    sections = re.findall(r"^## (\w+)$", runbooks, re.MULTILINE)

    assert [rule["alert"] for rule in _rules()] == sections
    for rule in _rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"RUNBOOKS.md#{rule['alert'].lower()}"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_rules_fire_when_they_should() -> None:
    said = subprocess.run(
        ["promtool", "test", "rules", "reconciler_test.yaml"], cwd=ALERTS, capture_output=True, text=True, check=False
    )

    assert said.returncode == 0, said.stdout + said.stderr
