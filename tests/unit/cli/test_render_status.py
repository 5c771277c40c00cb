"""The text of the fleet's state."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Literal

import pytest
import yaml
from msgspec.structs import replace

from reconciler.cli.render_status import render_status
from reconciler.cli.status import status_text
from reconciler.cli.terminal import Terminal
from reconciler.errors import UsageError
from reconciler.model.ledger import Migration, MigrationProgress
from reconciler.model.migration import MigrationRules
from reconciler.model.status import FleetStatus
from reconciler.model.steps import MigrateDomain
from reconciler.planner.on_its_way import words
from tests.conftest import Golden
from tests.unit.cli.worlds import HEALTHY, TROUBLED, UNARMED, vm

_PLAIN = Terminal()


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local times are the same everywhere."""
    monkeypatch.setattr("reconciler.cli.words.time.localtime", __import__("time").gmtime)


@pytest.mark.parametrize(("name", "status"), [("healthy", HEALTHY), ("troubled", TROUBLED), ("unarmed", UNARMED)])
def test_a_fleet_reads_as_in_the_golden_file(name: str, status: FleetStatus, golden: Golden) -> None:
    text = render_status(status, _PLAIN)

    golden(f"status-{name}.txt", text)


def test_a_host_that_would_not_be_fenced_is_not_well_and_the_way_out_is_told() -> None:
    text = render_status(UNARMED, _PLAIN)

    assert text.startswith("✗ 1 host not armed · 1 host held · 1 VM held · 2 of 2 VMs running\n")
    assert "→ reconciler fence test h2" in text
    assert not UNARMED.healthy


def test_a_held_vm_is_told_of_though_all_is_well() -> None:
    held = replace(HEALTHY, vms=(vm("web-1", is_held=True, message="held"), vm("web-2")))

    assert "✔ healthy and in sync: 2 hosts, 2 VMs, 1 image · 1 VM held" in render_status(held, _PLAIN)


def _on_its_way() -> FleetStatus:
    step = MigrateDomain("web-1", "u", "h1", "h2", 2, "qemu+tls://h2/system", MigrationRules(60.0, 30.0))
    move = Migration("web-1", 1000.0, step, "drain", MigrationProgress(3 << 30, 4 << 30, 1 << 30, 1010.0, 0.25))
    return replace(HEALTHY, vms=(vm("web-1", migration=move, message=words(move)), vm("web-2")))


def test_a_vm_on_its_way_is_told_with_where_from_and_to_and_what_is_left() -> None:
    text = render_status(_on_its_way(), _PLAIN)

    assert re.search(r"^web-1 +h1 → h2 +running", text, re.MULTILINE)
    assert "75 %, 1GiB left, 3GiB sent" in " ".join(text.split())


def test_programs_are_told_how_far_a_migration_is() -> None:
    moving, still = json.loads(status_text(_on_its_way(), "json", [], None, _PLAIN))["vms"]

    assert still["migration"] is None
    assert moving["migration"] == {
        "source": "h1",
        "target": "h2",
        "since": 1000.0,
        "sent": 3 << 30,
        "total": 4 << 30,
        "remaining": 1 << 30,
        "downtime": 0.25,
    }


def test_programs_are_told_who_is_held_and_who_armed() -> None:
    told = json.loads(status_text(UNARMED, "json", [], None, _PLAIN))

    assert {host["name"]: (host["armed"], host["held"]) for host in told["hosts"]} == {
        "h1": (True, False),
        "h2": (False, False),
        "h3": (True, True),
        "h4": (None, False),
    }
    assert [vm["held"] for vm in told["vms"]] == [False, True]


def test_a_pool_that_failed_is_in_the_first_line_and_is_what_to_look_at_next() -> None:
    text = render_status(TROUBLED, _PLAIN)

    assert "1 pool not ready · 1 network not ready" in text.splitlines()[0]
    assert "→ reconciler why StoragePool/vms" in text
    assert not replace(HEALTHY, pools=TROUBLED.pools).healthy


@pytest.mark.parametrize(("section", "names"), [("pools", ["vms", "backup"]), ("networks", ["lan"])])
def test_pools_and_networks_can_be_listed_alone(section: Literal["pools", "networks"], names: list[str]) -> None:
    rows = csv.DictReader(io.StringIO(status_text(TROUBLED, "csv", [], section, _PLAIN)))

    assert [row["name"] for row in rows] == names


def test_problems_come_first_in_every_list() -> None:
    text = render_status(TROUBLED, _PLAIN)

    order = [
        text.index(f"\n{name} ")
        for name in ("h4", "h5", "h1", "web-3", "db-1", "web-2", "batch", "web-1", "alpine", "debian-12")
    ]
    assert order == sorted(order)


def test_what_is_unknown_is_never_green() -> None:
    text = render_status(TROUBLED, Terminal(colour=True))

    green = re.findall(r"\x1b\[(?:\d+;)*32(?:;\d+)*m([^\x1b]*)", text)
    assert set(green) == {"online", "running", "in-sync"}


def test_stale_figures_are_grey_and_carry_their_age() -> None:
    text = render_status(TROUBLED, Terminal(colour=True))

    line = next(line for line in text.splitlines() if "\x1b[1mh4" in line)
    assert "\x1b[2m4m ago" in line


def test_chosen_columns_are_shown_in_the_order_that_was_asked_for() -> None:
    text = status_text(TROUBLED, "csv", ["sync", "name"], None, _PLAIN)

    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["sync", "name"]
    assert ["in-sync", "web-1"] in rows


def test_bars_are_left_to_tables() -> None:
    assert "░" in status_text(TROUBLED, "table", [], "hosts", _PLAIN)
    assert "░" not in status_text(TROUBLED, "csv", [], "hosts", _PLAIN)


def test_a_column_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="no column 'size'"):
        status_text(TROUBLED, "table", ["size"], None, _PLAIN)


def test_json_and_yaml_say_the_same() -> None:
    as_json = json.loads(status_text(TROUBLED, "json", [], None, _PLAIN))

    assert yaml.safe_load(status_text(TROUBLED, "yaml", [], None, _PLAIN)) == as_json
    assert {"name", "host", "state", "sync", "restartPending", "unmet"} <= as_json["vms"][0].keys()


def test_markdown_has_a_table_for_each_list() -> None:
    text = status_text(TROUBLED, "markdown", [], None, _PLAIN)

    titles = [line.removeprefix("#### ") for line in text.splitlines() if line.startswith("####")]
    assert titles == ["Hosts", "VMs", "Pools", "Networks", "Images"]


def test_no_line_ends_in_spaces() -> None:
    lines = render_status(TROUBLED, _PLAIN).splitlines()

    assert [line for line in lines if line != line.rstrip()] == []
