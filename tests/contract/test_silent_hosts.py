"""Real hosts that stop answering, and answer again."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from reconciler.errors import HostError, TransientHostError
from reconciler.hypervisor.interface import Hypervisor
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from tests.lab.hosts import Lab
from tests.lab.waiting import wait_for

pytestmark = pytest.mark.lab
_BACK_WITHIN_SECONDS = 10


@pytest.fixture
def fleet(fresh_lab: Lab) -> Iterator[LibvirtFleet]:
    with closing(LibvirtFleet({host.name: host.uri for host in fresh_lab.hosts}, keepalive=(1, 1))) as fleet:
        for name in fleet.names:
            fleet.host(name).sweep()
        yield fleet
    for host in fresh_lab.hosts:
        host.resume()


def _answers(host: Hypervisor) -> bool:
    try:
        host.sweep()
    except TransientHostError:
        return False
    return True


def test_many_calls_to_a_host_that_hangs_all_fail_and_it_is_back_once_it_answers(
    fleet: LibvirtFleet, fresh_lab: Lab
) -> None:
    fresh_lab.hosts[0].hang()
    errors: list[HostError] = []

    def call() -> None:
        try:
            fleet.host("h1").sweep()
        except HostError as error:
            errors.append(error)

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)

    assert len(errors) == 8
    assert all(isinstance(error, TransientHostError) for error in errors)
    fresh_lab.hosts[0].resume()
    wait_for(lambda: _answers(fleet.host("h1")), _BACK_WITHIN_SECONDS, "h1 is not back")


def test_a_host_that_hangs_costs_a_bounded_number_of_threads(fresh_lab: Lab) -> None:
    with closing(LibvirtFleet({"hung": fresh_lab.hosts[0].uri}, keepalive=(1, 1), open_deadline=2)) as fleet:
        fleet.host("hung").sweep()
        fresh_lab.hosts[0].hang()

        for _ in range(6):
            assert not _answers(fleet.host("hung"))

        assert sum(thread.name.startswith("hung-") for thread in threading.enumerate()) <= 8


def test_the_first_read_after_libvirtd_was_restarted_works(fleet: LibvirtFleet, fresh_lab: Lab) -> None:
    fresh_lab.hosts[0].restart_libvirtd()

    assert fleet.host("h1").read().facts.hostname == "h1"


def test_who_does_not_listen_notices_by_asking(fresh_lab: Lab) -> None:
    """A command that looks once has no use for libvirt's event loop, which takes its share of every call."""
    with closing(LibvirtFleet({"h1": fresh_lab.hosts[0].uri}, listens=False)) as fleet:
        assert fleet.host("h1").read().facts.hostname == "h1"
        fresh_lab.hosts[0].restart_libvirtd()

        wait_for(lambda: _answers(fleet.host("h1")), _BACK_WITHIN_SECONDS, "h1 is not back")


def test_subscribers_hear_that_a_host_went_and_came_back(fleet: LibvirtFleet, fresh_lab: Lab) -> None:
    seen: list[tuple[str, str]] = []
    fleet.subscribe(lambda event: seen.append((event.host, event.kind)))

    fresh_lab.hosts[0].hang()
    wait_for(lambda: ("h1", "disconnected") in seen, 30, "nobody was told that h1 went")
    fresh_lab.hosts[0].resume()
    wait_for(lambda: ("h1", "connected") in seen, _BACK_WITHIN_SECONDS, "nobody was told that h1 is back")


def test_a_host_whose_cable_is_pulled_is_back_once_it_is_plugged_in(fleet: LibvirtFleet, fresh_lab: Lab) -> None:
    fresh_lab.hosts[0].network_cut()
    assert not _answers(fleet.host("h1"))

    fresh_lab.hosts[0].network_restore()
    wait_for(lambda: _answers(fleet.host("h1")), _BACK_WITHIN_SECONDS, "h1 is not back")


def test_a_host_that_hangs_has_no_pulse_until_it_answers(fleet: LibvirtFleet, fresh_lab: Lab) -> None:
    host = fleet.host("h1")
    host.ping(5)
    last = host.pulse().answered_at
    fresh_lab.hosts[0].hang()

    with pytest.raises(TransientHostError):
        host.ping(0.5)

    silent_since = host.pulse().answered_at
    assert last is not None
    assert silent_since is not None
    assert silent_since - last < 1
    fresh_lab.hosts[0].resume()
    wait_for(lambda: (host.pulse().answered_at or 0) > silent_since, _BACK_WITHIN_SECONDS, "h1 has no pulse")


def test_asking_a_host_that_hangs_whether_it_lives_costs_a_bounded_number_of_threads(fresh_lab: Lab) -> None:
    with closing(LibvirtFleet({"deaf": fresh_lab.hosts[0].uri}, keepalive=(1, 1), open_deadline=2)) as fleet:
        host = fleet.host("deaf")
        host.ping(5)
        fresh_lab.hosts[0].hang()

        for _ in range(30):
            host.pulse()
            with pytest.raises(TransientHostError):
                host.ping(0.1)

        assert sum(thread.name.startswith("deaf-") for thread in threading.enumerate()) <= 5
        fresh_lab.hosts[0].resume()
