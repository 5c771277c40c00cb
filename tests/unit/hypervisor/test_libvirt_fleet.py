"""The driver against libvirt's own test driver, and against sockets that never answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.errors import HostTimeout, HostUnreachable
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from tests.contract.objects import MIB, domain_config, uuid_of


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[LibvirtFleet]:
    """One host of libvirt's test driver without domains."""
    node = tmp_path / "node.xml"
    node.write_text("<node/>")
    with closing(LibvirtFleet({"h1": f"test://{node}"})) as fleet:
        yield fleet


@pytest.fixture
def silent_socket(tmp_path: Path) -> Iterator[Path]:
    """A socket that is listened on and never answered, as a stopped libvirtd's."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path


def test_an_unchanged_domain_is_the_very_object_of_the_last_read(fleet: LibvirtFleet) -> None:
    host = fleet.host("h1")
    for name in ("a", "b"):
        host.define_domain(replace(domain_config(name), domain_type="test"))
    before = host.read().domains

    host.define_domain(replace(domain_config("b"), domain_type="test", memory=16 * MIB))

    after = host.read().domains
    assert after["a"] is before["a"]
    assert after["b"].config.memory == 16 * MIB


def test_a_change_of_autostart_alone_is_seen(fleet: LibvirtFleet) -> None:
    host = fleet.host("h1")
    host.define_domain(replace(domain_config(), domain_type="test"))
    host.read()

    host.set_autostart(uuid_of("web-1"), autostart=True)

    assert host.read().domains["web-1"].config.autostart


def test_a_host_that_nobody_listens_for_is_unreachable(tmp_path: Path) -> None:
    with (
        closing(LibvirtFleet({"h1": f"test+unix:///default?socket={tmp_path}/none"})) as fleet,
        pytest.raises(HostUnreachable) as caught,
    ):
        fleet.host("h1").sweep()

    assert "h1" in str(caught.value)


def test_connecting_to_a_host_that_never_answers_ends_at_its_deadline(silent_socket: Path) -> None:
    uri = f"test+unix:///default?socket={silent_socket}"
    with closing(LibvirtFleet({"h1": uri}, open_deadline=0.3)) as fleet, pytest.raises(HostTimeout) as caught:
        fleet.host("h1").sweep()

    assert "connecting took more than 0.3 s" in str(caught.value)


def test_attempts_to_connect_do_not_pile_up(silent_socket: Path) -> None:
    uri = f"test+unix:///default?socket={silent_socket}"
    with closing(LibvirtFleet({"crowded": uri}, open_deadline=0.3)) as fleet:
        callers = [threading.Thread(target=_try, args=(fleet, "crowded")) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()

        assert sum(thread.name.startswith("crowded-open") for thread in threading.enumerate()) <= 2


def _try(fleet: LibvirtFleet, host: str) -> None:
    with pytest.raises((HostTimeout, HostUnreachable)):
        fleet.host(host).sweep()


def test_a_host_known_not_to_answer_says_since_when(silent_socket: Path) -> None:
    uri = f"test+unix:///default?socket={silent_socket}"
    with closing(LibvirtFleet({"h1": uri}, open_deadline=1.2)) as fleet:
        _try(fleet, "h1")

        with pytest.raises(HostUnreachable) as caught:
            fleet.host("h1").sweep()

    assert "not answering since" in str(caught.value)


def test_a_changed_host_set_keeps_the_hosts_that_stay(fleet: LibvirtFleet, tmp_path: Path) -> None:
    first = fleet.host("h1")

    fleet.update({"h1": first.uri, "h2": "test:///default"})

    assert fleet.names == ("h1", "h2")
    assert fleet.host("h1") is first
    fleet.update({"h1": f"test://{tmp_path}/other.xml"})
    assert fleet.names == ("h1",)
    assert fleet.host("h1") is not first


def test_a_host_that_was_never_connected_has_no_pulse_until_it_answers(fleet: LibvirtFleet) -> None:
    host = fleet.host("h1")

    assert host.pulse().answered_at is None
    host.ping(10)

    assert host.pulse().answered_at is not None
    assert host.pulse().error == ""


def test_asking_a_host_that_never_answers_costs_a_bounded_number_of_threads(silent_socket: Path) -> None:
    with closing(LibvirtFleet({"mute": f"qemu+unix:///system?socket={silent_socket}"}, open_deadline=0.3)) as fleet:
        host = fleet.host("mute")

        for _ in range(20):
            with pytest.raises((HostTimeout, HostUnreachable)):
                host.ping(0.05)
            assert host.pulse().answered_at is None

        assert sum(thread.name.startswith("mute-") for thread in threading.enumerate()) <= 4
