"""A large fleet is read in several processes: the same is found, no host holds up another, nothing is left running."""

import json
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from reconciler.hypervisor.looking_fleet import LookingFleet
from tests.lab.waiting import wait_for

FLEET = {f"h{number}": "test:///default" for number in range(1, 41)}


def looking(case: str, uris: dict[str, str]) -> subprocess.Popen[str]:
    """A process that looks; see looking.py."""
    words = [sys.executable, "-m", "tests.unit.hypervisor.looking", case, json.dumps(uris)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def look(case: str, uris: dict[str, str]) -> Any:
    """What it printed."""
    with looking(case, uris) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(out)


def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    """Domains, pools with their volumes, networks, and the error of a host where nobody listens."""
    fleet = {**FLEET, "closed": f"test+unix:///default?socket={tmp_path}/none"}

    found = look("same", fleet)

    assert found["same"]
    assert found["processes"] >= 2
    assert found["connected"]


def test_hosts_whose_process_died_are_unread_and_the_others_are_not() -> None:
    """A host that nobody can read any more has an error and no absences."""
    found = look("dead-child", FLEET)

    unread = {name: told for name, told in found.items() if isinstance(told, list)}
    assert 0 < len(unread) < len(FLEET)
    assert {kind for kind, *_ in unread.values()} == {"HostUnreachable"}
    assert unread.keys() == {host for _, host, *_ in unread.values()}
    assert all("test" in told["domains"] for name, told in found.items() if name not in unread)


def test_a_host_that_hangs_holds_up_no_other_of_its_process(tmp_path: Path) -> None:
    """Somebody who listens and never answers, as a stopped libvirtd, costs the others nothing."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        found = look("hung-host", {"hung": f"qemu+unix:///system?socket={path}", **FLEET})

    assert found.keys() == FLEET.keys()
    assert all("test" in told["domains"] for told in found.values())


def test_no_process_outlives_a_command_that_was_killed() -> None:
    """Kill -9 of the parent leaves nobody with connections to the hosts."""
    with looking("wait", FLEET) as process:
        assert process.stdout is not None
        children = json.loads(process.stdout.readline())
        process.kill()

    assert children
    wait_for(lambda: not any(map(_runs, children)), 30, "a reading process is still there")


def test_a_small_fleet_is_read_by_the_process_itself() -> None:
    """Starting others would take longer than they save."""
    with closing(LookingFleet({"h1": "test:///default"})) as fleet:
        found = fleet.host("h1").read()

    assert "test" in found.domains


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
