"""Guests whose agents fall silent are told, once that is certain; nothing else follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pytest
from msgspec.structs import replace

from reconciler.daemon.guest_watch import GuestWatch
from reconciler.daemon.view import View
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.domain import DomainConfig
from reconciler.planner.fleet_status import fleet_status
from tests.support.domains import domain_config
from tests.support.fleets import NOW, POLICY, Story, story, vm

LIVENESS: Final = 30.0


def now_and_here(work: Callable[[], None]) -> None:
    work()


class World:
    """One host with the running guest `web`, whose agent is watched."""

    def __init__(self, *, asked: bool = True) -> None:
        self.clock = FakeClock()
        self.fleet = SimulatedFleet(clock=self.clock)
        self.fleet.add_host("h1")
        self.story = story(vm(guestAgent={"liveness": "30s"}) if asked else vm(), hosts=1).converged()
        self.config: DomainConfig = domain_config(
            "web", uuid=self.story.domain().uuid, disks=(), nics=(), domain_type="qemu"
        )
        self.fleet.host("h1").define_domain(self.config)
        self.fleet.host("h1").start_domain(self.config.uuid)
        self.silent: Mapping[str, float] = {"left over": 1.0}
        self.notes: list[str] = []
        self.watch = GuestWatch(self.fleet, self._remember, self.clock, notify=self.notes.append, submit=now_and_here)
        self.watch.follow(self.view())

    def _remember(self, silent: Mapping[str, float]) -> None:
        self.silent = silent

    def view(self, fleet: Story | None = None) -> View:
        seen = fleet or self.story
        plan = seen.plan()
        status = fleet_status(seen.specs, seen.inventory, seen.ledger, POLICY, plan, NOW)
        return View(seen.specs, seen.inventory, seen.ledger, plan, status, NOW)

    def pass_time(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            self.clock.advance(min(self.watch.poll(), until - self.clock.monotonic()))
        self.watch.poll()


def test_a_guest_that_answers_is_not_told_of() -> None:
    world = World()

    world.pass_time(10 * LIVENESS)

    assert world.silent == {}
    assert world.notes == []


def test_a_guest_that_falls_silent_is_told_of_after_its_time_with_when_it_last_answered() -> None:
    world = World()
    world.pass_time(100)
    last = world.clock.now()
    world.fleet.people("h1").deafen("web")

    world.pass_time(LIVENESS - 5)
    assert world.silent == {}

    world.pass_time(15)
    assert world.silent["web"] == pytest.approx(last, abs=LIVENESS / 3)
    assert world.notes == ["guest agent of web"]


def test_a_guest_that_answers_again_is_told_of_no_more() -> None:
    world = World()
    world.fleet.people("h1").deafen("web")
    world.pass_time(2 * LIVENESS)

    world.fleet.world.hosts["h1"].deaf_guests.clear()
    world.pass_time(LIVENESS)

    assert world.silent == {}
    assert len(world.notes) == 2


def test_a_guest_on_a_host_that_does_not_answer_is_not_called_silent() -> None:
    world = World()
    world.fleet.people("h1").deafen("web")
    world.fleet.cut_network("h1")

    world.pass_time(10 * LIVENESS)

    assert world.silent == {}


def test_a_controller_that_slept_asks_before_it_calls_a_guest_silent() -> None:
    world = World()
    world.pass_time(10)

    world.clock.advance(10 * LIVENESS)
    world.watch.poll()

    assert world.silent == {}


def test_a_guest_that_is_off_is_not_silent() -> None:
    world = World()
    world.fleet.people("h1").deafen("web")
    world.pass_time(2 * LIVENESS)

    off = world.story.with_domain(replace(world.story.domain(), state="shutoff", live=None))
    world.watch.follow(world.view(off))

    assert world.silent == {}


def test_an_agent_is_asked_only_where_the_spec_wants_it() -> None:
    world = World(asked=False)
    world.fleet.people("h1").deafen("web")

    world.pass_time(10 * LIVENESS)

    assert world.silent == {}


def test_nobody_is_called_silent_once_the_watch_has_ended() -> None:
    world = World()
    world.fleet.people("h1").deafen("web")
    world.pass_time(2 * LIVENESS)

    world.watch.close()

    assert world.silent == {}
