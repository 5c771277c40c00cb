"""Lost hosts of which much is in doubt: nothing runs twice, and nobody is shot who need not be.

What is in the guests does not matter here: they sit in their BIOS, and leave the processors to what is tested.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator

import pytest

from tests.lab.controller import POOL, blank_image, vm_spec
from tests.lab.copies import watched
from tests.lab.ha_fleet import VMS, HaFleet, guests_of, running_ha_fleet
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, wait_for


@pytest.fixture(scope="module")
def running_fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HaFleet]:
    """One fleet for all stories."""
    folder = tmp_path_factory.mktemp("ha")
    with running_ha_fleet(lab, folder, image=blank_image(folder)) as fleet:
        yield fleet


@pytest.fixture
def fleet(running_fleet: HaFleet) -> HaFleet:
    """The fleet with all hosts online, all VMs running once, and nothing to do."""
    running_fleet.settle()
    return running_fleet


def test_a_host_whose_every_process_hangs_is_fenced(fleet: HaFleet) -> None:
    """Its kernel still answers on the network; connections stay open and nothing comes."""
    lost, vms = fleet.fullest()

    with watched(fleet.lab, VMS) as copies:
        lost.freeze_all()
        fleet.wait_until_elsewhere(vms, lost)

    assert not lost.is_on
    assert copies.twice == []


def test_a_host_whose_libvirtd_is_stopped_keeps_its_vms_until_it_is_fenced(fleet: HaFleet) -> None:
    """Its guests live on, and nobody can ask it for them: no second copy while its BMC is out of reach either."""
    lost, vms = fleet.fullest()
    fleet.lab.bmc(lost.name).kill()

    with watched(fleet.lab, VMS) as copies:
        lost.stop_libvirtd()
        fleet.wait_until_fencing_failed(lost)
        alive = {vm: fleet.copies()[vm] for vm in vms}
        guests = lost.guests()
        fleet.lab.start_bmcs()
        fleet.wait_until_elsewhere(vms, lost)

    assert [len(pids) for pids in alive.values()] == [1] * len(vms)
    assert {pid for pids in alive.values() for pid in pids} <= {*guests}
    assert fleet.kind_of_proof(lost) == "fenced"
    assert copies.twice == []
    assert all(len(pids) == 1 for pids in fleet.copies().values())


def test_without_proof_nothing_restarts_and_status_says_what_a_human_may_do(fleet: HaFleet) -> None:
    """The BMC died with its host: the VMs are unknown, never running; what somebody confirms is proof."""
    lost, vms = fleet.fullest()
    fleet.lab.bmc(lost.name).hang()

    with watched(fleet.lab, VMS) as copies:
        lost.power_cut()
        fleet.wait_until_fencing_failed(lost)
        # Not while the next attempt is under way, which is told instead.
        advice = f"reconciler fence confirm {lost.name}"
        wait_for(lambda: advice in fleet.controller.run("status").out, 60, "status does not say what a human may do")
        states = {vm["name"]: vm["health"] for vm in fleet.status()["vms"]}
        homes = {vm: fleet.where()[vm] for vm in vms}
        fleet.confirm(lost)
        fleet.wait_until_elsewhere(vms, lost)

    assert {states[vm] for vm in vms} == {"unknown"}
    assert homes == {vm: [] for vm in vms}
    assert fleet.kind_of_proof(lost) == "human"
    assert copies.twice == []


def test_a_confirmation_ends_the_attempt_in_flight_and_nothing_shoots_the_host_later(fleet: HaFleet) -> None:
    """The BMC died with its host; both come back together, and the host stays on."""
    lost, vms = fleet.fullest()
    bmc = fleet.lab.bmc(lost.name)
    bmc.hang()
    lost.power_cut()
    wait_for(lambda: fleet.attempts(lost), 60, "no attempt began")

    fleet.confirm(lost)
    fleet.wait_until_elsewhere(vms, lost)
    wait_for(lambda: not fleet.agents_running(lost), 10, "an agent still runs")
    ended = [attempt.end for attempt in fleet.attempts(lost)]
    bmc.resume()
    lost.power_on()
    booted_as = lost.pid
    fleet.settle()

    assert ended == ["cancelled"]
    assert lost.pid == booted_as
    assert fleet.agents_running(lost) == []


def test_a_controller_that_is_cut_off_from_all_hosts_fences_none(fleet: HaFleet) -> None:
    homes = fleet.where()
    pids = [host.pid for host in fleet.lab.hosts]

    for host in fleet.lab.hosts:
        host.network_cut()
    wait_for(lambda: set(fleet.health().values()) == {"unreachable"}, 60, "not all are unreachable")
    held = fleet.controller.plan(whole=False)
    fleet.settle()

    assert [action for action in held["actions"] if action["kind"] == "fence-host"] == []
    assert "fencing-held" in {item["reason"] for item in held["unmet"]}
    assert [host.pid for host in fleet.lab.hosts] == pids
    assert fleet.where() == homes


def test_of_two_hosts_lost_at_once_none_is_fenced_before_a_human_has_confirmed_it(fleet: HaFleet) -> None:
    """Two of three are more likely the network, say plan and status. One that a human knows to be off is recovered."""
    lost, vms = fleet.fullest()
    homes = fleet.where()
    other = next(host for host in fleet.lab.hosts if host.name != lost.name and [host.name] in homes.values())
    gone = [lost, other]
    names = {host.name for host in gone}
    pids = [host.pid for host in gone]

    with watched(fleet.lab, VMS) as copies:
        for host in gone:
            host.network_cut()
        wait_for(lambda: {fleet.health()[name] for name in names} == {"unreachable"}, 60, "they are not lost")
        plan, text = fleet.controller.plan(whole=False), fleet.controller.run("status").out
        untouched = [fleet.attempts(host) for host in gone], [host.pid for host in gone], fleet.where()
        lost.power_cut()  # what the human does before confirming it
        fleet.confirm(lost)
        fleet.wait_until_elsewhere(vms, lost)

    held = {item["target"]: item for item in plan["unmet"] if item["reason"] == "fencing-held"}
    affected = {f"VirtualMachine/{vm}" for vm, hosts in homes.items() if names.intersection(hosts)}
    assert {*held} == {f"Host/{name}" for name in names} | affected
    assert all("2 of 3 hosts are bad at once" in item["detail"] for item in held.values())
    assert all("mend the network" in item["hint"] and "fence confirm" in item["hint"] for item in held.values())
    assert "2 of 3 hosts are bad at once, so nobody is fenced" in text
    assert plan["actions"] == []
    assert untouched == ([(), ()], pids, homes)
    assert {vm: hosts for vm, hosts in fleet.where().items() if vm not in vms} == {
        vm: hosts for vm, hosts in homes.items() if vm not in vms
    }
    assert copies.twice == []


def test_a_link_that_flaps_fences_nobody(fleet: HaFleet) -> None:
    """Each time it is suspect the link comes back; no incident, no attempt, and the same VMs on the same host."""
    flapping, vms = fleet.fullest()
    booted_as = flapping.pid
    homes = fleet.where()

    for _ in range(2):
        flapping.network_cut()
        fleet.wait_until_suspect(flapping)
        flapping.network_restore()
        wait_for(lambda: fleet.health()[flapping.name] == "online", 30, f"{flapping.name} is not online")

    assert fleet.attempts(flapping) == ()
    assert flapping.pid == booted_as
    assert {vm: fleet.where()[vm] for vm in vms} == {vm: homes[vm] for vm in vms}


def test_a_vm_that_is_lost_with_its_local_disk_is_rebuilt_from_its_newest_version(fleet: HaFleet) -> None:
    """Another host gives it what its disk had when it was captured, and says how old that is."""
    controller, lab = fleet.controller, fleet.lab
    lost = lab.hosts[0]
    spec = vm_spec("kept", extra="ha: {enabled: true, onHostLoss: rebuild}\nplacement: {hosts: [h1, h2]}")
    spec = spec.replace(f"pool: {POOL}}}", "pool: local}")
    controller.write(
        "local.yaml",
        f"""\
        apiVersion: reconciler/v1
        kind: StoragePool
        metadata: {{name: local}}
        spec: {{type: dir, target: {lab.local}/disks}}
        ---
        apiVersion: reconciler/v1
        kind: Image
        metadata: {{name: golden}}
        spec: {{source: {{vm: kept}}, pool: {POOL}, quiesce: never}}
        """,
    )
    on_h1 = spec.replace("[h1, h2]", "[h1]")
    controller.write("vms/kept.yaml", f"{on_h1}  runStrategy: Halted\n")
    disk = f"{lab.local}/disks/default.kept.root.qcow2"
    wait_for(lambda: list((lab.shared / POOL).glob("*.golden.*.version.json")), 60, "no version of it was made")
    _write(lost, disk, b"A")
    assert controller.ask("image", "capture", "golden").code == 0
    wait_for(lambda: len(list((lab.shared / POOL).glob("*.golden.*.version.json"))) == 2, 60, "no second version")
    _write(lost, disk, b"B")
    controller.write("vms/kept.yaml", spec)
    wait_for(lambda: "kept" in guests_of([lost])["h1"], 60, "it does not run")

    lost.power_cut()
    fleet.wait_until_elsewhere(["kept"], lost)

    told = controller.ask("why", "VirtualMachine/kept").out
    assert re.search(r"golden@\S+.* old", told), told
    assert _begins_with(lab.host("h2"), disk, b"A")
    for name in ("local.yaml", "vms/kept.yaml"):
        (controller.specs / name).unlink()
    wait_for(lambda: _is_gone(lab.host("h2"), "kept"), 60, "it is not removed")


def _is_gone(host: LabHost, name: str) -> bool:
    """Forced off meanwhile: who sits in the BIOS does not shut down."""
    host.exec(["virsh", "destroy", name], check=False)
    return name not in host.virsh("list", "--all", "--name").split()


def _write(host: LabHost, disk: str, letter: bytes) -> None:
    """Into the beginning of the disk, as its guest would."""
    host.exec(["qemu-io", "-f", "qcow2", "-c", f"write -P {letter[0]} 0 512", disk])


def _begins_with(host: LabHost, disk: str, letter: bytes) -> bool:
    """Of a disk that a guest may have open."""
    read = host.exec(["qemu-io", "-U", "-r", "-f", "qcow2", "-c", f"read -P {letter[0]} 0 512", disk], check=False)
    return read.returncode == 0 and "Pattern verification failed" not in read.stdout


@pytest.mark.timeout(1800)  # twenty kills, where asked for, take eight minutes
def test_a_controller_killed_at_random_during_recovery_ends_it_the_same(fleet: HaFleet) -> None:
    """Kill -9 and a new start at random instants after a power cut: each VM runs once, and nothing is left to do."""
    seed = int(os.environ.get("RECONCILER_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    kills = int(os.environ.get("RECONCILER_HA_KILLS", "2"))
    print(f"RECONCILER_CRASH_SEED={seed} RECONCILER_HA_KILLS={kills}")
    instants = random.Random(seed)  # noqa: S311 - a schedule, not a secret

    for number in range(kills):
        lost, vms = fleet.fullest()
        with watched(fleet.lab, VMS) as copies:
            cut = instants.choice([LabHost.power_cut, LabHost.network_cut])
            cut(lost)
            time.sleep(instants.uniform(0, 12))
            fleet.kill_daemon()
            fleet.start_daemon()
            fleet.wait_until_elsewhere(vms, lost, 90)
            fleet.settle()

        assert copies.twice == [], f"kill {number}"
        assert all(len(pids) == 1 for pids in fleet.copies().values()), f"kill {number}"
