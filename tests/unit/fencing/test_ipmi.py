"""The real fence_ipmilan against a real IPMI service, whose power is a file."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import FencingFailed
from reconciler.fencing.devices import FenceDevices
from reconciler.fencing.secrets import Credentials
from reconciler.model.fencing_devices import GUID_ANNOTATION
from reconciler.model.host import FencingLevel
from reconciler.model.policy import HighAvailability
from reconciler.model.secret_ref import SecretRef
from tests.unit.fencing.rack import Attempts, host, never

pytestmark = pytest.mark.lab

MACHINE = "11223344-5566-7788-99aa-bbccddeeff01"
_CHASSIS = """\
#!/bin/sh
# folder, get|set, what, value
case "$2 $3" in
    "get power") echo "power:$(cat "$1/power")" ;;
    "get "*) echo "$3:0" ;;
    "set power") [ -e "$1/lies" ] || echo "$4" >"$1/power" ;;
esac
"""
_EMULATOR = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""
_CONFIGURATION = """\
name "bmc"
set_working_mc 0x20
startlan 1
  addr 127.0.0.1 {port}
  priv_limit admin
  allowed_auths_admin md5
  guid {guid}
endlan
chassis_control "sh {folder}/chassis.sh {folder}"
user 2 true "admin" "{password}" admin 10 md5
"""


@dataclass
class Bmc:
    """One IPMI service; `power` is 1 or 0."""

    folder: Path
    port: int
    password: str
    process: subprocess.Popen[bytes]

    @property
    def power(self) -> str:
        return (self.folder / "power").read_text().strip()

    def level(self, **parameters: str) -> FencingLevel:
        usual = {"ip": "127.0.0.1", "ipport": str(self.port), "username": "admin", "lanplus": "1", "cipher": "3"}
        return FencingLevel(
            agent="fence_ipmilan", parameters=usual | parameters, secrets={"password": SecretRef(env="BMC")}
        )

    def devices(self, seconds: int = 20, password: str = "") -> FenceDevices:
        policy = HighAvailability.model_validate({"fence_timeout": f"{seconds}s"})
        return FenceDevices(policy, SystemClock(), credentials=Credentials({"BMC": password or self.password}))


@pytest.fixture(params=["smbios", "ipmi", "rfc4122"])
def byte_order(request: pytest.FixtureRequest) -> str:
    """How the firmware puts its GUID on the wire."""
    order: str = request.param
    return order


def _wire(order: str) -> str:
    machine = uuid.UUID(MACHINE)
    return {"smbios": machine.bytes_le, "ipmi": machine.bytes[::-1], "rfc4122": machine.bytes}[order].hex()


@pytest.fixture
def bmc(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bmc]:
    order = request.getfixturevalue("byte_order") if "byte_order" in request.fixturenames else "smbios"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_hex(8)
    (tmp_path / "state").mkdir()
    (tmp_path / "power").write_text("1\n")
    (tmp_path / "chassis.sh").write_text(_CHASSIS)
    (tmp_path / "bmc.emu").write_text(_EMULATOR)
    text = _CONFIGURATION.format(port=port, guid=_wire(order), folder=tmp_path, password=password)
    (tmp_path / "lan.conf").write_text(text)
    files = "-c", tmp_path / "lan.conf", "-f", tmp_path / "bmc.emu", "-s", tmp_path / "state"
    words = ["ipmi_sim", "-n", *map(str, files)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    made = Bmc(tmp_path, port, password, process)
    try:
        while made.devices().power(host(made.level())) == "unknown":
            assert process.poll() is None, (tmp_path / "log").read_text()
        yield made
    finally:
        process.kill()
        process.wait()


def _ipmitools(bmc: Bmc) -> list[str]:
    """Command lines of ipmitool that are at this BMC."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"ipmitool") and str(bmc.port).encode() in words:
            lines.append(folder.name)
    return lines


def test_a_host_is_switched_off_and_the_bmc_confirms_it(bmc: Bmc) -> None:
    proof = bmc.devices().fence(host(bmc.level()), "i1", Attempts(), never())

    assert (proof.kind, proof.by) == ("fenced", "fence_ipmilan")
    assert bmc.power == "0"


def test_a_host_whose_bmc_says_off_is_not_switched(bmc: Bmc) -> None:
    (bmc.folder / "power").write_text("0\n")

    assert bmc.devices().power(host(bmc.level())) == "off"
    assert bmc.devices().fence(host(bmc.level()), "i1", Attempts(), never()).kind == "found-off"


def test_a_bmc_that_hangs_is_a_failure_and_leaves_nothing_behind(bmc: Bmc) -> None:
    attempts = Attempts()
    os.kill(bmc.process.pid, signal.SIGSTOP)

    with pytest.raises(FencingFailed):
        bmc.devices(seconds=2).fence(host(bmc.level()), "i1", attempts, never())

    assert attempts.ends == ["timed-out"]
    assert _ipmitools(bmc) == []


def test_a_bmc_that_lies_is_a_failure(bmc: Bmc) -> None:
    (bmc.folder / "lies").touch()
    level = bmc.level(power_timeout="2", power_wait="0")

    with pytest.raises(FencingFailed, match="Timed out waiting to power OFF"):
        bmc.devices().fence(host(level), "i1", Attempts(), never())

    assert bmc.power == "1"


def test_a_wrong_password_is_a_failure_that_does_not_tell_it(bmc: Bmc) -> None:
    wrong = "0123456789abcdef"

    result = bmc.devices(password=wrong).test(host(bmc.level()), identity=MACHINE)

    assert not result.passed
    assert wrong not in result.message
    assert "no power status" in result.message


def test_the_bmc_of_the_machine_passes_in_whichever_byte_order(bmc: Bmc, byte_order: str) -> None:
    result = bmc.devices().test(host(bmc.level()), identity=MACHINE)

    assert result.passed, (byte_order, result.message)
    assert "its GUID is this machine's" in result.message


def test_the_bmc_of_another_machine_fails_the_test_unless_the_host_names_its_guid(bmc: Bmc) -> None:
    other = str(uuid.UUID(int=7))
    devices = bmc.devices()

    refused = devices.test(host(bmc.level()), identity=other)
    annotated = host(bmc.level(), annotations={GUID_ANNOTATION: MACHINE})
    named = devices.test(annotated, identity=other)
    swapped = devices.test(annotated, identity=other, others={MACHINE: "h2"})

    assert not refused.passed
    assert "it may be another machine's" in refused.message
    assert named.passed
    assert not swapped.passed
    assert "its GUID is that of Host/h2" in swapped.message
