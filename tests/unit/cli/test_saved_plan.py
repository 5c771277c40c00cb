"""A saved plan is carried out on the specs and the fleet that it was decided from, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.daemon.view import View
from tests.support.fleets import Story, story, unread, vm
from tests.unit.cli.calling import CHANGES, invoke
from tests.unit.cli.test_why_of_drained_hosts import view
from tests.unit.cli.worlds import FakeSession


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    folder = tmp_path / "fleet"
    folder.mkdir()
    return folder


def bigger() -> Story:
    """A running VM that is to have more memory at its next boot."""
    return at("g1", story(vm(), vm("db")).converged().with_specs(vm(memory="2GiB")))


def at(generation: str, fleet: Story) -> Story:
    return replace(fleet, specs=replace(fleet.specs, generation=generation))


def _committed(fleet: Story) -> Story:
    """Another commit that leaves all as it is but the words of one VM, which is not of this plan."""
    return at("g2", fleet.with_specs(vm("db", title="the shop's")))


def _moved(fleet: Story) -> Story:
    """Somebody switched another VM off, which by its strategy may stay so."""
    return fleet.with_domain(replace(fleet.domain("db"), state="shutoff", live=None))


def _out_of_sight(fleet: Story) -> Story:
    hosts = {name: host for name, host in fleet.inventory.hosts.items() if name != "h2"}
    return replace(fleet, inventory=replace(fleet.inventory, hosts=hosts, unread={"h2": unread("h2")}))


def _edited_behind_its_back(fleet: Story) -> Story:
    return fleet.with_domain(replace(fleet.domain("db"), fingerprint="another"))


def apply_saved(specs: Path, saved: View, now: View) -> tuple[Any, FakeSession]:
    file = specs.parent / "p.json"
    assert invoke("plan", specs, "--out", file, onto=FakeSession([saved])).exit_code == 2
    session = FakeSession([now, now])
    return invoke("apply", specs, "--plan", file, "--yes", onto=session), session


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda fleet: at("g2", fleet), "the specs were g1 and are g2"),
        (_committed, "VirtualMachine/db was changed"),
        (lambda fleet: at("g2", fleet.with_specs(vm("new"))), "VirtualMachine/new is new in them"),
        (lambda fleet: at("g2", fleet.with_specs(without=["VirtualMachine/db"])), "VirtualMachine/db has left them"),
        (_moved, "domain db on h1 was running, and is shutoff"),
        (_edited_behind_its_back, "domain db on h1 was changed behind the plan's back (running)"),
        (_out_of_sight, "Host/h2 was in sight, and is out of sight"),
    ],
)
def test_what_moved_is_told_and_nothing_is_done(specs: Path, change: Callable[[Story], Story], told: str) -> None:
    fleet = bigger()

    result, session = apply_saved(specs, view(fleet), view(change(fleet)))

    assert result.exit_code == 1
    assert "the world has moved, so nothing of it is done" in result.stderr
    assert f"  - {told}" in result.stderr
    assert "look at what it would be now" in result.stderr
    assert session.expected == []


def test_what_did_not_move_is_carried_out(specs: Path) -> None:
    _, session = apply_saved(specs, view(bigger()), view(bigger()))

    assert session.expected == [view(bigger()).plan.fingerprint]


def test_a_stranger_on_a_host_is_nothing_that_moved(specs: Path) -> None:
    fleet = bigger()
    ours = fleet.domain("db")
    config = replace(ours.config, name="payroll", uuid="0f0f0f0f-0000-4000-8000-000000000001", mark=None)
    stranger = replace(ours, name=config.name, uuid=config.uuid, config=config, state="shutoff", live=None)
    now = fleet.with_domain(stranger)

    _, session = apply_saved(specs, view(fleet), view(now))

    assert session.expected


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda _: "[]", "this is no plan of --out"),
        (
            lambda _: '{"version": 1, "fingerprint": "0123456789ab"}',
            "or one of another version",
        ),
        (lambda text: text[: len(text) // 2], "only a part of one"),
        (lambda text: text.replace("web-1", "web-2"), "the plan was edited since it was written"),
        (lambda text: json.dumps({**json.loads(text), "basis": {}}), "the plan was edited since it was written"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(specs: Path, damage: Callable[[str], str], told: str) -> None:
    file = specs.parent / "p.json"
    invoke("plan", specs, "--out", file, onto=FakeSession([CHANGES]))
    file.write_text(damage(file.read_text()))
    session = FakeSession([CHANGES])

    result = invoke("apply", specs, "--plan", file, "--yes", onto=session)

    assert result.exit_code == 1
    assert told in result.stderr
    assert "make it again" in result.stderr
    assert session.expected == []


def test_no_password_of_a_spec_is_in_the_file(specs: Path) -> None:
    seeded = vm(cloudInit={"userData": "#cloud-config\npassword: hunter2\n"})
    file = specs.parent / "p.json"

    invoke("plan", specs, "--out", file, onto=FakeSession([view(story(seeded))]))

    assert "hunter2" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
