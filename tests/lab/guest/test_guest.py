"""The lab's guest images boot, speak and power off, as their README promises."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.guest import tiny_image
from tests.lab.guest.machine import Machine, boot
from tests.lab.guest.seed import write_seed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The tiny image, booted as far as its third tick; the last test ends it."""
    with boot(tiny_image(), tmp_path_factory.mktemp("tiny")) as machine:
        yield _ticking(machine)


def _ticking(machine: Machine) -> Machine:
    machine.wait_for_line("tick 1 ")
    print(f"tiny: first tick {time.monotonic() - machine.began:.1f} s after QEMU's start")
    machine.wait_for_line("tick 3 ")
    return machine


def test_tiny_guest_prints_its_boot_id_and_then_monotone_ticks(lasting: Machine) -> None:
    boot_id = lasting.wait_for_line("lab-guest boot ").split()[2]
    ticks = [line.split() for line in lasting.console() if line.startswith("tick ")]
    uptimes = [float(tick[3]) for tick in ticks]
    assert [int(tick[1]) for tick in ticks] == list(range(1, len(ticks) + 1))
    assert {tick[2] for tick in ticks} == {boot_id[:8]}
    assert uptimes == sorted(set(uptimes))


def test_tiny_guest_ticks_on_while_its_file_system_is_frozen(lasting: Machine) -> None:
    frozen = lasting.agent("guest-fsfreeze-freeze")
    count = sum(line.startswith("tick ") for line in lasting.console())
    lasting.wait_for_line("tick ", times=count + 2)
    assert lasting.agent("guest-fsfreeze-thaw") == frozen == 1


def test_tiny_guest_brings_up_a_plugged_in_cpu_and_nic(lasting: Machine) -> None:
    (slot,) = (cpu for cpu in lasting.monitor("query-hotpluggable-cpus") if "qom-path" not in cpu)
    lasting.monitor("device_add", id="cpu1", driver=slot["type"], **slot["props"])
    lasting.monitor("netdev_add", type="user", id="net")
    lasting.monitor("device_add", id="nic", driver="virtio-net-pci", netdev="net", bus="spare")
    assert lasting.wait_for_line("lab-guest address ").startswith("lab-guest address eth0 10.0.2.")
    waiting = "for _ in $(seq 100); do grep -q 0-1 $1 && break; sleep 0.1; done; cat $1"
    assert lasting.run_in_guest(f"set -- /sys/devices/system/cpu/online; {waiting}") == "0-1\n"


def test_tiny_guest_powers_off_through_its_agent(lasting: Machine) -> None:
    lasting.agent_shutdown()
    assert lasting.wait_for_exit() == 0


def test_tiny_guest_has_its_name_from_a_seed_keeps_files_over_a_reboot_and_ends_at_the_button(tmp_path: Path) -> None:
    user_data = "#cloud-config\n{}\n"
    seed = write_seed(tmp_path / "seed.iso", hostname="web-1", instance_id="i-1", user_data=user_data)
    drive = ["-drive", f"file={seed},format=raw,if=virtio,readonly=on"]
    with boot(tiny_image(), tmp_path / "machine", extra=drive) as machine:
        machine.wait_for_line("tick 1 ")
        assert "lab-guest hostname web-1" in machine.console()
        assert "lab-guest instance-id i-1" in machine.console()
        assert f"lab-guest user-data {hashlib.sha256(user_data.encode()).hexdigest()}" in machine.console()
        assert machine.run_in_guest("hostname") == "web-1\n"

        machine.run_in_guest("echo kept >/root/file")
        machine.agent_shutdown("reboot")
        machine.wait_for_line("tick 1 ", times=2, seconds=120)
        first, second = (line for line in machine.console() if line.startswith("lab-guest boot "))
        assert first != second
        assert machine.wait_for_line("lab-guest boot-count", times=2) == "lab-guest boot-count 2"
        assert machine.run_in_guest("cat /root/file") == "kept\n"

        machine.monitor("system_powerdown")
        assert machine.wait_for_exit() == 0
        assert "lab-guest poweroff" in machine.console()
