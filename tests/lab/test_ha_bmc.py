"""The lab's BMCs are what fence agents expect, and fail the ways that real ones fail."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.lab.bmc import CIPHER, USER, LabBmc
from tests.lab.dummies import dummy_domain
from tests.lab.fixtures import why_no_lab
from tests.lab.hosts import Lab, wait_for
from tests.lab.namespaces import is_alive, wait_until_dead

pytestmark = pytest.mark.skipif(why_no_lab() is not None, reason=str(why_no_lab()))


def agent(bmc: LabBmc, action: str, **more: str) -> tuple[int, str]:
    """What fence_ipmilan answers: exit code (for `status` 0 on, 2 off) and output."""
    given = {"ip": bmc.address, "username": USER, "password": bmc.password, "lanplus": "1", "cipher": CIPHER}
    text = "".join(f"{key}={value}\n" for key, value in {**given, "action": action, **more}.items())
    done = subprocess.run(["fence_ipmilan"], input=text, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.strip()


def test_off_kills_the_host_and_its_guests_and_on_boots_it(fenced_lab: Lab) -> None:
    bmc = fenced_lab.bmcs[0]
    host = bmc.host
    domain = fenced_lab.shared / "guest.xml"
    domain.write_text(dummy_domain("guest"))
    host.virsh("create", str(domain))
    guests = host.guests()

    assert agent(bmc, "off", power_wait="0") == (0, "Success: Powered OFF")
    assert not host.is_on
    assert [pid for pid in guests if is_alive(pid)] == []
    assert agent(bmc, "on", power_wait="0") == (0, "Success: Powered ON")

    host.wait_until_booted()
    assert host.guests() == []


def test_status_tells_the_truth_whatever_the_network_does(fenced_lab: Lab) -> None:
    first, second, third = fenced_lab.bmcs
    first.host.power_cut()
    second.host.network_cut()
    third.host.freeze_all()

    assert [agent(bmc, "status") for bmc in fenced_lab.bmcs] == [
        (2, "Status: OFF"),
        (0, "Status: ON"),
        (0, "Status: ON"),
    ]


def test_a_bmc_and_its_hosts_libvirt_say_the_same_identity(fenced_lab: Lab) -> None:
    for bmc in fenced_lab.bmcs:
        said = bmc.ask("mc", "guid", "smbios").stdout.split()

        assert f"<uuid>{said[3]}</uuid>" in bmc.host.virsh("capabilities")


def test_a_lying_bmc_reports_success_and_leaves_the_host_on(fenced_lab: Lab) -> None:
    bmc = fenced_lab.bmcs[0]
    bmc.lie()

    said = bmc.ask("power", "off")

    assert said.returncode == 0
    assert bmc.host.is_on
    assert agent(bmc, "status") == (0, "Status: ON")


@pytest.mark.parametrize("fail", [LabBmc.kill, LabBmc.hang], ids=["killed", "hung"])
def test_a_bmc_that_fails_does_not_answer_until_the_next_reset(fenced_lab: Lab, fail: Callable[[LabBmc], None]) -> None:
    bmc = fenced_lab.bmcs[0]
    fail(bmc)

    assert bmc.ask("power", "status", check=False).returncode != 0
    fenced_lab.reset()

    assert agent(bmc, "status") == (0, "Status: ON")


def test_no_bmc_outlives_its_lab_even_where_its_parent_is_killed(fenced_lab: Lab) -> None:
    lab = Lab.up(1)
    lab.start_bmcs()
    pid = lab.bmcs[0].pid

    os.kill(lab.state.supervisor_pid, signal.SIGKILL)

    wait_until_dead(pid, 30)
    lab.down()
    wait_for(lambda: not lab.root.exists(), 30, "the folder stays")
    assert all(bmc.answers() for bmc in fenced_lab.bmcs)
