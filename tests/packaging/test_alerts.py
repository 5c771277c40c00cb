"""The alert rules ask for metrics that there are, and say what to do."""

from __future__ import annotations

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


def test_rules_ask_for_metrics_and_labels_that_there_are() -> None:
    asked = [selector for rule in _rules() for selector in _SELECTOR.findall(rule["expr"])]

    assert {name for name, _ in asked} <= METRICS.keys()
    assert [
        (name, label)
        for name, labels in asked
        for label in re.findall(r"(\w+)=", labels)
        if label not in METRICS[name].labels
    ] == []


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
