"""Every host is read at once, and none hides or holds up another."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from reconciler.clock import SystemClock
from reconciler.errors import HostUnreachable
from reconciler.hypervisor.interface import DomainSummary
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DomainState
from reconciler.model.inventory import HostInventory, Inventory, ObservedDomain, ObservedPool
from reconciler.observe.collector import Collector
from reconciler.observe.readers import Answers, Reading, Threads
from tests.contract.objects import domain_config
from tests.support.fleets import desired, host, observed_host, observed_pool, pool, volume

HOSTS = ("h1", "h2", "h3")
SPECS = desired(*(host(name) for name in HOSTS))


class SlowHost:
    """A host whose answer comes when it is let go."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answers = threading.Event()
        self.answers.set()
        self.fails = False
        self.reads = 0
        self.sweeps = 0
        self.connected = False
        self.state: DomainState = "running"
        self.listed: set[str] = set()
        self.stored: set[str] = set()
        """Volumes of the shared pool: those that its libvirtd has in its list, and those that are there."""

    def read(self, *, pools_with_volumes: Iterable[str] = (), refresh: bool = False) -> HostInventory:
        """Wait to be let go, then answer or fail."""
        del pools_with_volumes, refresh
        self.reads += 1
        self.answers.wait()
        if self.fails:
            raise HostUnreachable("no route", host=self.name, hint="look at the cable")
        config = domain_config()
        found = ObservedDomain("web-1", "uuid-1", self.state, persistent=True, config=config, live=None, fingerprint="")
        return observed_host(self.name, domains=[found], pools=[observed_pool("vms", volumes=None)])

    def pool(self, name: str, *, refresh: bool = False) -> ObservedPool:
        """The shared pool, looked at afresh or as it is in the list."""
        self.listed |= self.stored if refresh else set()
        return observed_pool(name, volumes=[volume(each, name) for each in self.listed])

    def sweep(self) -> tuple[DomainSummary, ...]:
        """The domain's state, in two calls."""
        self.sweeps += 1
        return (DomainSummary("web-1", "uuid-1", self.state, "", persistent=True),)


class SlowFleet:
    """Hosts that answer when they are let go."""

    def __init__(self) -> None:
        self.hosts = {name: SlowHost(name) for name in HOSTS}

    def host(self, name: str) -> Any:
        """The host of that name."""
        return self.hosts[name]

    @contextmanager
    def hanging(self, name: str) -> Iterator[None]:
        """The host does not answer within the block."""
        self.hosts[name].answers.clear()
        try:
            yield
        finally:
            self.hosts[name].answers.set()


class HeldUp(Threads):
    """Readers of whom the answers of one host's first reading are kept back until they are delivered."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._kept: list[tuple[SimpleQueue[Reading], Reading]] = []
        self._keeps = True

    def answers(self) -> Answers:
        """A queue into which what is kept back does not come yet."""
        held, queue = self, SimpleQueue[Reading]()

        class Kept:
            def put(self, item: Reading) -> None:
                if held._keeps and item.host == held._host:
                    held._kept.append((queue, item))
                else:
                    queue.put(item)

            def get(self, *, timeout: float) -> Reading:
                return queue.get(timeout=timeout)

        return Kept()

    def deliver(self) -> None:
        """Hand over what was kept back, and keep nothing back any more."""
        self._keeps = False
        for queue, reading in self._kept:
            queue.put(reading)


def _collect(
    collector: Collector,
    *,
    specs: DesiredState = SPECS,
    usual: Mapping[str, float] | None = None,
    resync_after: float = 0.0,
) -> Inventory:
    round_ = collector.begin(specs, resync_after=resync_after)
    return collector.finish(round_, specs, {}, timeout=30.0, usual=usual)


def test_all_hosts_are_in_the_inventory() -> None:
    """Three hosts that answer are three hosts seen."""
    inventory = _collect(Collector(SlowFleet(), SystemClock()))

    assert set(inventory.hosts) == set(HOSTS)
    assert inventory.unread == {}


def test_a_host_that_fails_has_an_error_and_no_absences() -> None:
    """Its error and hint are kept; the others are seen."""
    fleet = SlowFleet()
    fleet.hosts["h2"].fails = True

    inventory = _collect(Collector(fleet, SystemClock()))

    assert set(inventory.hosts) == {"h1", "h3"}
    assert (inventory.unread["h2"].error, inventory.unread["h2"].hint) == ("no route", "look at the cable")


def test_a_host_that_hangs_is_unread_and_the_others_are_seen() -> None:
    """Nobody waits for it until it answers."""
    fleet = SlowFleet()
    with fleet.hanging("h3"):
        inventory = _collect(Collector(fleet, SystemClock()))

    assert set(inventory.hosts) == {"h1", "h2"}
    assert " has not answered (asked " in inventory.unread["h3"].error
    assert "://" in inventory.unread["h3"].error.split()[0]


def test_a_host_that_hangs_gets_one_reader_however_often_it_is_asked() -> None:
    """Hung reads must not pile up."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())
    with fleet.hanging("h3"):
        for _ in range(3):
            _collect(collector, usual=dict.fromkeys(HOSTS, 0.01))

    assert fleet.hosts["h3"].reads == 1


def test_a_host_that_answers_again_is_seen_again() -> None:
    """The next round takes its late answer, or reads afresh."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())
    with fleet.hanging("h3"):
        _collect(collector, usual=dict.fromkeys(HOSTS, 0.01))
    _wait_until_idle()

    inventory = _collect(collector)

    assert set(inventory.hosts) == set(HOSTS)


def test_a_host_that_is_always_slow_is_seen_one_round_behind() -> None:
    """Its answer to one round is taken by the next, which asks it again."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())
    seen = []
    for _ in range(3):
        with fleet.hanging("h3"):
            seen.append("h3" in _collect(collector, usual=dict.fromkeys(HOSTS, 0.01)).hosts)
        _wait_until_idle()

    assert seen == [False, True, True]
    assert fleet.hosts["h3"].reads == 3


def test_a_late_answer_of_before_a_change_is_not_taken() -> None:
    """What was done to the host meanwhile is not in it."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())
    with fleet.hanging("h3"):
        _collect(collector, usual=dict.fromkeys(HOSTS, 0.01))
        collector.touch("h3")
    _wait_until_idle()

    with fleet.hanging("h3"):
        inventory = _collect(collector, usual=dict.fromkeys(HOSTS, 0.01))

    assert set(inventory.unread) == {"h3"}


def test_a_late_answer_of_before_a_change_is_not_taken_in_any_later_round() -> None:
    """Not even where a reading that was begun after the change is under way by then."""
    fleet, readers = SlowFleet(), HeldUp("h3")
    collector = Collector(fleet, SystemClock(), readers)
    _collect(collector, usual=dict.fromkeys(HOSTS, 0.01))
    collector.touch("h3")

    with fleet.hanging("h3"):
        _collect(collector, usual=dict.fromkeys(HOSTS, 0.01))
        readers.deliver()
        inventory = _collect(collector, usual=dict.fromkeys(HOSTS, 0.01))

    assert set(inventory.unread) == {"h3"}


def test_when_a_host_was_last_seen_is_remembered() -> None:
    """An unread host says since when."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())
    _collect(collector)
    fleet.hosts["h1"].fails = True

    inventory = _collect(collector)

    assert inventory.unread["h1"].last_seen is not None


def test_how_long_each_host_took_is_known_afterwards() -> None:
    """Only of hosts that were read."""
    fleet = SlowFleet()
    fleet.hosts["h2"].fails = True
    collector = Collector(fleet, SystemClock())

    _collect(collector)

    assert set(collector.seconds) == {"h1", "h3"}


def test_how_long_a_host_takes_is_measured_while_it_has_to_be_connected_to() -> None:
    """Whoever looks later opens a connection too, and would else give up before ssh has."""
    collector = Collector(SlowFleet(), SystemClock())
    _collect(collector)
    at_first = collector.seconds

    _collect(collector)

    assert collector.seconds == at_first


def _effort(fleet: SlowFleet) -> dict[str, tuple[int, int]]:
    return {name: (host.reads, host.sweeps) for name, host in fleet.hosts.items()}


def test_an_unchanged_fleet_is_only_swept() -> None:
    """The second pass costs two calls a host, and finds what the first one found."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())
    first = _collect(collector, resync_after=60)

    second = _collect(collector, resync_after=60)

    assert _effort(fleet) == dict.fromkeys(HOSTS, (1, 1))
    assert second.hosts["h1"].domains == first.hosts["h1"].domains


def test_a_state_that_changed_is_found_by_the_sweep() -> None:
    """Then that host is read in full, and no other."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())
    _collect(collector, resync_after=60)
    fleet.hosts["h2"].state = "shutoff"

    inventory = _collect(collector, resync_after=60)

    assert inventory.hosts["h2"].domains["web-1"].state == "shutoff"
    assert _effort(fleet) == {"h1": (1, 1), "h2": (2, 1), "h3": (1, 1)}


def test_a_host_that_was_touched_is_read_in_full() -> None:
    """An event, or an action of ours, may have changed what no sweep tells."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())
    _collect(collector, resync_after=60)
    collector.touch("h3")

    _collect(collector, resync_after=60)
    _collect(collector, resync_after=60)

    assert _effort(fleet) == {"h1": (1, 2), "h2": (1, 2), "h3": (2, 1)}


def test_an_old_reading_is_made_again() -> None:
    """What libvirt tells by no event is found after a while."""
    fleet = SlowFleet()
    clock = FakeClock()
    collector = Collector(fleet, clock)
    _collect(collector, resync_after=30)
    clock.advance(31)

    _collect(collector, resync_after=30)

    assert _effort(fleet) == dict.fromkeys(HOSTS, (2, 0))


def _wait_until_idle() -> None:
    """Until the reader of a host that was let go has ended."""
    for thread in threading.enumerate():
        if thread.name.startswith("read-"):
            thread.join()


def test_a_host_that_was_dialled_long_ago_is_silent_already() -> None:
    """It had its time while everything else was loaded: no more of it is spent on waiting."""
    fleet, clock = SlowFleet(), FakeClock()
    fleet.hosts["h1"].connected = fleet.hosts["h3"].connected = True
    collector = Collector(fleet, clock)

    with fleet.hanging("h2"):
        round_ = collector.begin(SPECS, dialled_at=clock.monotonic() - 10)
        inventory = collector.finish(round_, SPECS, {}, timeout=30.0, usual=dict.fromkeys(HOSTS, 3.0))

    assert set(inventory.unread) == {"h2"}


def test_a_host_that_is_known_to_be_silent_is_not_asked_and_says_why() -> None:
    """Whoever watches hosts knows sooner; the next round asks it again."""
    fleet = SlowFleet()
    collector = Collector(fleet, SystemClock())

    with fleet.hanging("h2"):
        round_ = collector.begin(SPECS, silent={"h2": "no route to host"})
        inventory = collector.finish(round_, SPECS, {}, timeout=30.0)

    assert fleet.hosts["h2"].reads == 0
    assert set(inventory.hosts) == {"h1", "h3"}
    assert inventory.unread["h2"].error == "does not answer (no route to host)"
    assert set(_collect(collector).hosts) == set(HOSTS)


# -- shared pools ------------------------------------------------------------------------------------------------------


def test_volumes_of_a_host_that_left_the_specs_are_seen_by_the_one_that_remains() -> None:
    """A libvirtd knows only what was made through it, until it looks."""
    fleet, specs = SlowFleet(), desired(host("h1"), pool(shared=True))
    fleet.hosts["h1"].stored = {"made-by-h2"}

    inventory = _collect(Collector(fleet, SystemClock()), specs=specs)

    assert set(inventory.hosts["h1"].pools["vms"].volumes or ()) == {"made-by-h2"}


def test_a_shared_pool_is_not_read_through_another_machine_under_the_name_of_a_host() -> None:
    """What that machine has under the pool's name is not the storage that the others share."""
    fleet, specs = SlowFleet(), desired(host("h1"), host("h2"), pool(shared=True))
    fleet.hosts["h1"].stored, fleet.hosts["h2"].stored = {"of-another"}, {"ours"}
    collector = Collector(fleet, SystemClock())

    inventory = collector.finish(
        collector.begin(specs), specs, {}, timeout=30.0, is_stranger=lambda found: found.name == "h1"
    )

    assert inventory.hosts["h1"].pools["vms"].volumes is None
    assert set(inventory.hosts["h2"].pools["vms"].volumes or ()) == {"ours"}
