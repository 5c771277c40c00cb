"""A host counts as dead only on a device's word, and nothing of an attempt outlives it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import FencingFailed, FencingStopped
from tests.unit.fencing.rack import AGENT, Attempts, Rack, asked, host, never

_REPOSITORY = Path(__file__).parents[3]


def _is_alive(file: Path) -> bool:
    """Whether the process whose number is in the file runs; one that is dead and not reaped yet does not."""
    try:
        stat = Path(f"/proc/{int(file.read_text())}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _once_there(file: Path, then: Callable[[], None]) -> None:
    """Call `then` from another thread once somebody has written the file."""

    def watch() -> None:
        ticking = threading.Event()
        while not file.exists() or not file.read_text():
            ticking.wait(0.01)
        then()

    threading.Thread(target=watch).start()


def test_a_host_is_switched_off_and_the_device_confirms_it(rack: Rack) -> None:
    outlet, attempts = rack.outlet("1"), Attempts()

    proof = rack.devices().fence(host(rack.level(outlet)), "i1", attempts, never())

    assert (proof.host, proof.incident, proof.kind, proof.by) == ("h1", "i1", "fenced", AGENT)
    assert asked(outlet) == ["status", "off", "status"]
    assert attempts.began_ == [(1, AGENT)]
    assert attempts.ends == ["confirmed"]


def test_a_device_that_has_just_said_on_is_not_asked_once_more_before_it_switches(rack: Rack) -> None:
    """Of a silent host it is asked anyway; an agent takes half a second to say so again. Its word counts once."""
    outlet, devices = rack.outlet("1"), rack.devices()
    lost = host(rack.level(outlet))
    devices.power(lost)

    devices.fence(lost, "i1", Attempts(), never())
    outlet.write_text("on")
    devices.fence(lost, "i2", Attempts(), never())

    assert asked(outlet) == ["status", "off", "status", "status", "off", "status"]


def test_what_another_device_under_that_number_has_said_does_not_count(rack: Rack) -> None:
    before, outlet, devices = rack.outlet("1"), rack.outlet("2", "off"), rack.devices()
    devices.power(host(rack.level(before)))

    proof = devices.fence(host(rack.level(outlet)), "i1", Attempts(), never())

    assert proof.kind == "found-off"


def test_a_host_that_is_off_already_is_not_switched(rack: Rack) -> None:
    outlet = rack.outlet("1", "off")

    proof = rack.devices().fence(host(rack.level(outlet)), "i1", Attempts(), never())

    assert proof.kind == "found-off"
    assert asked(outlet) == ["status"]


def test_a_device_that_reports_success_and_says_on_has_failed(rack: Rack) -> None:
    outlet, attempts = rack.outlet("1"), Attempts()

    with pytest.raises(FencingFailed, match="still says that the power is on"):
        rack.devices(seconds=2).fence(host(rack.level(outlet, "lie")), "i1", attempts, never())

    assert attempts.ends == ["failed"]


def test_a_device_that_reports_success_too_early_is_asked_until_it_says_off(rack: Rack) -> None:
    outlet = rack.outlet("1")

    proof = rack.devices().fence(host(rack.level(outlet, "early")), "i1", Attempts(), never())

    assert proof.kind == "fenced"
    assert outlet.read_text().strip() == "off"


@pytest.mark.parametrize("mode", ["hang", "hang-off"])
def test_an_agent_that_takes_too_long_has_failed_and_is_ended_with_all_it_started(rack: Rack, mode: str) -> None:
    outlet, attempts = rack.outlet("1"), Attempts()

    with pytest.raises(FencingFailed, match="no answer in time"):
        rack.devices(seconds=1).fence(host(rack.level(outlet, mode)), "i1", attempts, never())

    assert attempts.ends == ["timed-out"]
    assert not _is_alive(Path(f"{outlet}.pid"))
    assert not _is_alive(Path(f"{outlet}.child"))


@pytest.mark.parametrize(
    ("mode", "reason"), [("deaf", "exit code 1"), ("broken", "exit code 139"), ("refuse", "Timed out waiting")]
)
def test_the_next_level_is_tried_where_one_fails(rack: Rack, mode: str, reason: str) -> None:
    first, second, attempts = rack.outlet("1"), rack.outlet("2"), Attempts()

    proof = rack.devices().fence(host(rack.level(first, mode), rack.level(second)), "i1", attempts, never())

    assert proof.kind == "fenced"
    assert str(second) in proof.evidence
    assert attempts.ends == ["failed", "confirmed"]
    assert reason in attempts.ended_[0][2]


def test_where_every_level_fails_each_reason_is_told_and_what_a_human_can_do(rack: Rack) -> None:
    levels = rack.level(rack.outlet("1"), "deaf"), rack.level(rack.outlet("2"), "refuse")

    with pytest.raises(FencingFailed) as failed:
        rack.devices().fence(host(*levels), "i1", Attempts(), never())

    assert "level 1 " in failed.value.message
    assert "level 2 " in failed.value.message
    assert "reconciler fence confirm h1" in failed.value.hint


def test_a_host_without_devices_is_never_proven_dead(rack: Rack) -> None:
    with pytest.raises(FencingFailed, match="it has no fence device"):
        rack.devices().fence(host(), "i1", Attempts(), never())


def test_an_attempt_that_is_called_off_ends_at_once_and_shoots_nobody_later(rack: Rack) -> None:
    outlet, attempts, stop = rack.outlet("1"), Attempts(), never()
    pid = Path(f"{outlet}.pid")
    _once_there(pid, stop.set)

    with pytest.raises(FencingStopped):
        rack.devices(seconds=60).fence(host(rack.level(outlet, "hang-off")), "i1", attempts, stop)

    assert attempts.ends == ["cancelled"]
    assert not _is_alive(pid)
    assert not _is_alive(Path(f"{outlet}.child"))
    assert outlet.read_text() == "on"


def test_an_attempt_that_was_called_off_before_it_began_asks_nobody(rack: Rack) -> None:
    outlet, attempts, stop = rack.outlet("1"), Attempts(), never()
    stop.set()

    with pytest.raises(FencingStopped):
        rack.devices().fence(host(rack.level(outlet)), "i1", attempts, stop)

    assert (asked(outlet), attempts.began_) == ([], [])


def test_closing_ends_an_agent_that_is_under_way(rack: Rack) -> None:
    outlet, devices = rack.outlet("1"), rack.devices(seconds=60)
    pid = Path(f"{outlet}.pid")
    _once_there(pid, devices.close)

    power = devices.power(host(rack.level(outlet, "hang")))

    assert power == "unknown"
    assert not _is_alive(pid)


def test_what_a_successful_agent_left_running_is_ended_too(rack: Rack) -> None:
    outlet = rack.outlet("1")

    rack.devices().fence(host(rack.level(outlet, "children")), "i1", Attempts(), never())

    assert not _is_alive(Path(f"{outlet}.child"))


_CONTROLLER = """
import sys
from pathlib import Path
from tests.unit.fencing.rack import Attempts, Rack, host, never
rack = Rack(Path(sys.argv[1]))
outlet = rack.outlet("1")
rack.devices(seconds=60).fence(host(rack.level(outlet, "hang-off")), "i1", Attempts(), never())
"""


def test_an_agent_dies_with_the_controller_that_was_killed(tmp_path: Path) -> None:
    controller = subprocess.Popen([sys.executable, "-c", _CONTROLLER, str(tmp_path)], cwd=_REPOSITORY)
    pid = tmp_path / "1.pid"

    _once_there(pid, controller.kill)
    controller.wait()

    while _is_alive(pid):
        threading.Event().wait(0.01)
    assert (tmp_path / "1").read_text() == "on"


def test_the_power_is_what_the_first_device_says_that_answers(rack: Rack) -> None:
    levels = rack.level(rack.outlet("1"), "deaf"), rack.level(rack.outlet("2", "off"))

    assert rack.devices().power(host(*levels)) == "off"


@pytest.mark.parametrize("mode", ["deaf", "broken", "flood"])
def test_a_device_that_does_not_answer_leaves_the_power_unknown(rack: Rack, mode: str) -> None:
    assert rack.devices().power(host(rack.level(rack.outlet("1", "off"), mode))) == "unknown"


def test_a_host_without_devices_has_no_known_power(rack: Rack) -> None:
    assert rack.devices().power(host()) == "unknown"


def test_a_device_is_not_told_to_switch_off_where_something_speaks_against_it_by_then(rack: Rack) -> None:
    """It is asked for the power first, which takes its time."""
    outlet = rack.outlet("1")

    def speak_against() -> None:
        raise FencingStopped("too many hosts are bad at once")

    attempts = Attempts(on_off=speak_against)

    with pytest.raises(FencingStopped, match="too many hosts"):
        rack.devices().fence(host(rack.level(outlet)), "i1", attempts, never())

    assert asked(outlet) == ["status"]
    assert attempts.ends == ["cancelled"]
