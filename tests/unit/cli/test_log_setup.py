"""What reaches the log, and what must not."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

BREAK_OFF = """
import structlog
from reconciler.cli.log_setup import configure_logs
from reconciler.config import Settings

configure_logs(Settings(log_format="{form}"), daemon=True)
user_data = "password: hunter2"
try:
    1 // 0
except ZeroDivisionError:
    structlog.get_logger().exception("plan.failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_traceback_in_the_log_shows_no_values_of_variables(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BREAK_OFF.replace("{form}", form)], capture_output=True, text=True, check=True
    )

    assert "ZeroDivisionError" in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(("form", "zone"), [("json", "Z"), ("console", "+05:30")])
def test_times_in_the_log_name_their_zone(form: str, zone: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BREAK_OFF.replace("{form}", form)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TZ": "Asia/Kolkata"},
    )

    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}" + re.escape(zone), done.stderr)
