"""The lab keeps its promises: hosts break the way real ones break, heal, and leave nothing behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.dummies import dir_pool, dummy_domain, nat_network
from tests.lab.fixtures import why_no_lab
from tests.lab.hosts import Lab, LabError, LabHost
from tests.lab.layout import LABS_FOLDER
from tests.lab.namespaces import is_alive, wait_until_dead
from tests.lab.waiting import wait_for

libvirt = pytest.importorskip("libvirt")

pytestmark = pytest.mark.skipif(why_no_lab() is not None, reason=str(why_no_lab()))

_REPOSITORY = Path(__file__).parents[2]


@contextlib.contextmanager
def connected(host: LabHost) -> Iterator["libvirt.virConnect"]:
    """A connection the way a controller has it: over the network."""
    with contextlib.closing(libvirt.open(host.uri)) as connection:
        yield connection


def start_dummy(host: LabHost, name: str) -> None:
    with connected(host) as connection:
        connection.defineXML(dummy_domain(name)).create()


class Call(threading.Thread):
    """Something done in the background, to see whether it comes back."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.start()

    def run(self) -> None:
        self._work()

    def returns_within(self, seconds: float) -> bool:
        self.join(seconds)
        return not self.is_alive()


def test_hosts_answer_on_addresses_of_their_own_under_names_and_uuids_of_their_own(fresh_lab: Lab) -> None:
    names, uuids = set(), set()
    for host in fresh_lab.hosts:
        with connected(host) as connection:
            names.add(connection.getHostname())
            uuids.add(libvirt_uuid(connection))

    assert names == {"h1", "h2", "h3"}
    assert len(uuids) == 3


def libvirt_uuid(connection: "libvirt.virConnect") -> str:
    return connection.getCapabilities().partition("<uuid>")[2].partition("<")[0]


def test_a_host_has_no_kvm(fresh_lab: Lab) -> None:
    assert fresh_lab.hosts[0].exec(["test", "-e", "/dev/kvm"], check=False).returncode == 1


def test_the_shared_folder_is_one_and_the_local_folder_is_each_hosts_own(fresh_lab: Lab) -> None:
    first, second, _ = fresh_lab.hosts
    first.exec(["touch", f"{fresh_lab.shared}/everyones", f"{fresh_lab.local}/mine"])

    assert second.exec(["ls", str(fresh_lab.shared)]).stdout.split() == ["everyones"]
    assert second.exec(["ls", str(fresh_lab.local)]).stdout == ""
    assert [path.name for path in first.local.iterdir()] == ["mine"]


def test_the_serial_console_of_a_guest_can_be_read_from_outside(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    with connected(host) as connection:
        connection.createXML(dummy_domain("talker", bios_on_serial=True))

    assert wait_for(lambda: "SeaBIOS" in host.console("talker"), 20, lambda: f"console: {host.console('talker')!r}")


def test_a_nat_network_with_dhcp_starts_on_every_host_and_takes_guests(fresh_lab: Lab) -> None:
    for host in fresh_lab.hosts:
        with connected(host) as connection:
            connection.networkDefineXML(nat_network("lan", 150)).create()
            connection.createXML(dummy_domain("guest", network="lan"))

    for host in fresh_lab.hosts:
        assert "192.168.150.1" in host.exec(["ip", "-4", "address", "show", "virbr0"]).stdout
        assert "192.168.150.0/24" in host.exec(["iptables", "-t", "nat", "-S"]).stdout
        assert "dnsmasq" in host.exec(["ps", "-e", "-o", "comm"]).stdout


def test_a_guest_moves_live_to_another_host(fresh_lab: Lab) -> None:
    source, target, _ = fresh_lab.hosts
    start_dummy(source, "mover")
    with connected(source) as connection, connected(target) as there:
        flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER
        connection.lookupByName("mover").migrateToURI3(target.uri, {}, flags)

        assert there.lookupByName("mover").isActive()

    assert (len(source.guests()), len(target.guests())) == (0, 1)


def test_a_power_cut_kills_the_guests_and_the_controller_sees_only_silence(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    start_dummy(host, "victim")
    (guest,) = host.guests()
    watcher = socket.create_connection((host.address, 16509))
    watcher.settimeout(2)

    host.power_cut()

    assert not host.is_on
    assert not is_alive(guest)
    with watcher, pytest.raises(TimeoutError):
        watcher.recv(1)  # neither end of stream nor reset


def test_a_host_comes_back_from_a_power_cut_with_its_definitions_and_without_its_guests(
    fresh_lab: Lab,
) -> None:
    host = fresh_lab.hosts[0]
    start_dummy(host, "victim")
    host.power_cut()

    host.power_on()

    with connected(host) as connection:
        assert not connection.lookupByName("victim").isActive()
    assert host.guests() == []


def test_a_power_cut_of_one_host_leaves_the_others_alone(fresh_lab: Lab) -> None:
    first, second, _ = fresh_lab.hosts
    start_dummy(second, "bystander")

    first.power_cut()

    with connected(second) as connection:
        assert connection.lookupByName("bystander").isActive()


def test_a_network_cut_is_silence_while_guests_run_on_and_the_connection_survives_it(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    start_dummy(host, "runner")
    with connected(host) as connection:
        host.network_cut()
        call = Call(connection.listAllDomains)

        assert not call.returns_within(1)
        assert len(host.guests()) == 1

        host.network_restore()
        assert call.returns_within(20)


def test_a_cable_that_is_out_stays_out_over_a_power_cycle(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    host.network_cut()
    host.power_cut()
    host.power_on()

    with pytest.raises(OSError):  # noqa: PT011 - no answer comes as a timeout or as no route, both mean it
        socket.create_connection((host.address, 16509), timeout=1).close()

    host.network_restore()
    socket.create_connection((host.address, 16509), timeout=10).close()


def test_a_hang_stops_calls_and_new_connections_and_resume_heals_both(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    start_dummy(host, "runner")
    with connected(host) as connection:
        host.hang()
        calls = [Call(connection.listAllDomains), Call(lambda: libvirt.open(host.uri).close())]

        assert host.is_hung
        assert not any(call.returns_within(0.5) for call in calls)
        assert len(host.guests()) == 1

        host.resume()
        assert all(call.returns_within(20) for call in calls)


def test_a_frozen_host_goes_on_where_it_stopped(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    start_dummy(host, "runner")
    with connected(host) as connection:
        host.freeze_all()
        call = Call(connection.listAllDomains)

        assert not call.returns_within(0.5)

        host.thaw_all()
        assert call.returns_within(20)
        assert connection.lookupByName("runner").isActive()


def test_guests_outlive_the_death_of_libvirtd(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    start_dummy(host, "survivor")
    before = host.guests()

    host.restart_libvirtd()

    assert host.guests() == before
    with connected(host) as connection:
        assert connection.lookupByName("survivor").isActive()


def test_reset_heals_and_empties_every_host(lab: Lab) -> None:
    lab.reset()
    dead, cut, hung = lab.hosts
    start_dummy(hung, "left-over")
    with connected(hung) as connection:
        connection.networkDefineXML(nat_network("left-over", 151)).create()
        connection.storagePoolCreateXML(dir_pool("left-over", lab.shared))
    (lab.shared / "left-over").touch()
    dead.power_cut()
    cut.network_cut()
    cut.stop_libvirtd()
    hung.hang()

    lab.reset()

    for host in lab.hosts:
        with connected(host) as connection:
            assert connection.listAllDomains() == []
            assert connection.listAllNetworks() == []
            assert connection.listAllStoragePools() == []
        assert host.guests() == []
    assert list(lab.shared.iterdir()) == []


def test_a_second_lab_runs_alongside_and_goes_without_touching_the_first(fresh_lab: Lab) -> None:
    with Lab.up(1) as second:
        assert second.state.subnet != fresh_lab.state.subnet
        start_dummy(second.hosts[0], "same-name")
        start_dummy(fresh_lab.hosts[0], "same-name")

    assert remains(second) == []
    with connected(fresh_lab.hosts[0]) as connection:
        assert connection.lookupByName("same-name").isActive()


def remains(lab: Lab) -> list[str]:
    """What can still be seen of a lab on this machine: its link, mounts, folder and processes."""
    links = [lab.state.uplink] if Path("/sys/class/net", lab.state.uplink).exists() else []
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(lab.root) in line]
    folders = [str(lab.root)] if lab.root.exists() else []
    processes = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and mentions(entry, lab)]
    return links + mounts + folders + processes


def mentions(process: Path, lab: Lab) -> bool:
    """Whether a process other than this one and its parents was started for a lab, or sees mounts of it."""
    try:
        command = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except OSError:
        return False
    return str(lab.root).encode() in command and int(process.name) != os.getpid()


OWNER = """
import signal, sys
from pathlib import Path
from tests.lab.dummies import dummy_domain
from tests.lab.hosts import Lab

lab = Lab.up(2)
xml = Path(lab.shared, "domain.xml")
xml.write_text(dummy_domain("orphan"))
lab.hosts[0].virsh("create", str(xml))
print(lab.root, flush=True)
signal.pause()
"""


def test_nothing_is_left_after_kill_9_of_the_owner() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        lab = Lab.attach(Path(owner.stdout.readline().strip()))
        pids = [lab.state.init_pid, *(host.pid for host in lab.hosts), *lab.hosts[0].guests()]
        assert len(pids) == 4

        owner.send_signal(signal.SIGKILL)

    wait_until_dead(lab.state.supervisor_pid, 30)
    assert [pid for pid in pids if is_alive(pid)] == []
    assert remains(lab) == []


def test_no_process_or_link_is_left_after_kill_9_of_the_supervisor_and_the_next_lab_sweeps_its_folder() -> None:
    lab = Lab.up(1)
    pids = [lab.state.init_pid, lab.hosts[0].pid]

    os.kill(lab.state.supervisor_pid, signal.SIGKILL)

    for pid in pids:
        wait_until_dead(pid, 30)
    wait_for(lambda: not Path("/sys/class/net", lab.state.uplink).exists(), 30, "the link stays")
    with Lab.up(1):
        assert remains(lab) == []
    lab.down()


def test_what_a_host_cannot_be_asked_is_said_in_words(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    host.power_cut()

    with pytest.raises(LabError, match="host h1 is off; next: power-on h1"):
        host.virsh("list")


def command(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "RECONCILER_LAB_ROOT": str(root)}
    argv = [sys.executable, "-m", "tests.lab", *words]
    return subprocess.run(argv, cwd=_REPOSITORY, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def commanded_root() -> Iterator[Path]:
    """A folder for a lab from the command line, which goes down whatever the test did."""
    root = LABS_FOLDER / f"cli-{os.getpid()}"
    yield root
    if root.exists():
        command(root, "down")


def test_a_lab_from_the_command_line_lives_from_one_invocation_to_the_next(commanded_root: Path) -> None:
    brought_up = command(commanded_root, "up", "--hosts", "2")
    assert brought_up.returncode == 0, brought_up.stderr

    assert command(commanded_root, "power-cut", "h2").returncode == 0
    assert command(commanded_root, "network-cut", "h1").returncode == 0
    status = command(commanded_root, "status").stdout
    assert "h1  qemu+tcp://10.213." in status
    assert "on, network cut, 0 guests" in status
    assert "off" in status
    assert command(commanded_root, "power-on", "h2").returncode == 0
    assert command(commanded_root, "virsh", "h2", "hostname").stdout == "h2\n"
    assert command(commanded_root, "down").returncode == 0
    assert not commanded_root.exists()


def test_a_lab_from_the_command_line_ends_with_its_owner(commanded_root: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as owner:
        try:
            brought_up = command(commanded_root, "up", "--hosts", "1", "--owner-pid", str(owner.pid))
            assert brought_up.returncode == 0, brought_up.stderr
            lab = Lab.attach(commanded_root)
        finally:
            owner.kill()

    wait_until_dead(lab.state.supervisor_pid, 30)
    assert remains(lab) == []


def test_the_command_line_says_what_is_missing_in_one_line(tmp_path: Path) -> None:
    done = command(tmp_path / "nothing", "status")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no lab in" in done.stderr
