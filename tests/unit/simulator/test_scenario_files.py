"""A scenario is read strictly: what is not understood is refused, with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.simulator.scenario import load_scenario
from reconciler.simulator.scenario_files import ScenarioError
from reconciler.simulator.verbs import VERBS

if TYPE_CHECKING:
    from pathlib import Path

HOST = """\
apiVersion: reconciler/v1
kind: Host
metadata: {name: h1}
spec: {uri: qemu:///system}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "hosts.yaml").write_text(HOST)
    return tmp_path


@pytest.mark.parametrize(
    ("events", "place", "words"),
    [
        ("- {at: 1s, do: power-cutt h1}\n", "1:16", "did you mean power-cut?"),
        ("- {at: 1s, do: power-cut h9}\n", "1:16", "'h9' is no host of this fleet (h1)"),
        ("- {at: 1s, do: slow h1}\n", "1:16", "write it as: slow HOST DURATION"),
        ("- {at: 1s, do: clock-jump 1d}\n", "1:16", "write +1d or -1d"),
        ("- {at: 1s, do: virsh h1 dance web}\n", "1:16", "'dance' is not destroy or start"),
        ("- {at: 1s, do: remove /etc/passwd}\n", "1:16", "not a file below the scenario's folder"),
        ("- {at: 1s, do: links-up, when: now}\n", "1:32", "Extra inputs are not permitted"),
        ("- {at: soon, do: links-up}\n", "1:8", "'soon' is not a duration"),
        ("- {at: 5s, do: links-up}\n- {at: 1s, do: links-up}\n", "2:8", "is before the event above"),
        ("at: 5s\n", "1:1", "events are a list"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(folder: Path, events: str, place: str, words: str) -> None:
    (folder / "events.yaml").write_text(events)

    with pytest.raises(ScenarioError) as refused:
        load_scenario(folder, VERBS)

    assert f"events.yaml:{place}: " in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ("{h1: h2}", "h1 is no fence device of the specs (by plug, or address)"),
        ("{10.1.0.11: h9}", "h9 is no host of this fleet"),
    ],
)
def test_a_device_or_host_that_is_not_there_is_refused_with_its_place(folder: Path, devices: str, words: str) -> None:
    device = "fencing: [{agent: fence_ipmilan, parameters: {ip: 10.1.0.11}, secrets: {password: {env: P}}}]"
    (folder / "specs" / "hosts.yaml").write_text(HOST.replace("system}", f"system, {device}}}"))
    (folder / "fleet.yaml").write_text(f"devices: {devices}\n")

    with pytest.raises(ScenarioError) as refused:
        load_scenario(folder, VERBS)

    assert "fleet.yaml:1:" in str(refused.value)
    assert words in str(refused.value)


def test_an_unknown_key_of_the_fleet_is_refused_with_its_place(folder: Path) -> None:
    (folder / "fleet.yaml").write_text("hosts:\n  h1: {memory: 8GiB, wheels: 4}\n")

    with pytest.raises(ScenarioError, match=r"fleet.yaml:2:\d+: hosts.h1.wheels: Extra inputs"):
        load_scenario(folder, VERBS)


def test_a_folder_without_specs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="specs is no directory"):
        load_scenario(tmp_path, VERBS)


def test_hosts_of_the_specs_need_not_be_named_again(folder: Path) -> None:
    (folder / "events.yaml").write_text("- {at: 1s, do: power-cut h1}\n")

    scenario = load_scenario(folder, VERBS)

    assert [event.command.text for event in scenario.events] == ["power-cut h1"]
