"""What the watch sees of hosts, in simulated time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec.structs import replace

from tests.support.fleets import host
from tests.unit.daemon.watching import Watched


def test_hosts_that_answer_are_not_silent_and_call_for_nothing() -> None:
    watched = Watched()
    watched.pass_seconds(60)
    watched.told.clear()

    watched.pass_seconds(100)

    assert watched.signs().silent == 0
    assert watched.told == []
    assert watched.devices.asked == []


def test_silence_is_as_old_as_the_last_answer() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    watched.fleet.cut_network("h1")

    watched.pass_seconds(4)

    assert watched.signs().silent == 4
    assert watched.signs().error == "no route to host"
    assert watched.signs("h2").silent == 0


def test_a_pass_is_called_for_when_a_host_becomes_suspect_and_when_the_grace_is_over() -> None:
    watched = Watched(fencing=False)
    watched.pass_seconds(10)
    watched.told.clear()
    watched.fleet.cut_network("h1")

    watched.pass_seconds(60)

    assert watched.told == ["h1 is silent", "h1 is silent", "quiet period over"]


def test_a_device_is_asked_once_its_host_is_suspect_and_what_it_says_calls_for_a_pass() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    watched.told.clear()
    watched.devices.says["h1"] = "off"
    watched.fleet.power_off("h1")

    watched.pass_seconds(2)

    assert watched.signs().power == "off"
    assert watched.signs().power_age == 0
    assert watched.devices.asked == ["h1"]
    assert watched.told == ["h1 is silent", "h1 is silent"]


def test_a_device_that_does_not_know_is_asked_again_while_the_host_is_silent() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    watched.fleet.cut_network("h1")

    watched.pass_seconds(5)

    assert watched.devices.asked == ["h1"] * 4


def test_the_device_of_a_host_that_answers_is_asked_every_few_minutes() -> None:
    watched = Watched()
    watched.devices.says["h1"] = "on"
    watched.watch.follow(watched.hosts, checked={"h1"})

    watched.pass_seconds(1000)

    assert watched.devices.asked == ["h1"] * 4
    assert watched.signs().device_doubt == ""


def test_a_device_that_stopped_answering_is_in_doubt_and_calls_for_a_pass_until_it_answers_again() -> None:
    watched = Watched()
    watched.watch.follow(watched.hosts, checked={"h1"})
    watched.pass_seconds(100)
    assert watched.signs().device_doubt == "does not answer"
    assert watched.told.count("the fence device of h1 is in doubt") == 1

    watched.devices.says["h1"] = "on"
    watched.pass_seconds(300)

    assert watched.signs().device_doubt == ""
    assert watched.told[-1] == "the fence device of h1 answers"


def test_a_device_that_says_off_of_a_host_that_answers_is_in_doubt() -> None:
    watched = Watched()
    watched.devices.says["h1"] = "off"
    watched.watch.follow(watched.hosts, checked={"h1"})

    watched.pass_seconds(100)

    assert "off" in watched.signs().device_doubt


def test_one_answer_that_is_missing_is_no_doubt() -> None:
    watched = Watched()
    watched.watch.follow(watched.hosts, checked={"h1"})

    watched.pass_seconds(1)
    assert watched.devices.asked == ["h1"]
    watched.devices.says["h1"] = "on"
    watched.pass_seconds(200)

    assert watched.signs().device_doubt == ""
    assert "the fence device of h1 is in doubt" not in watched.told


def test_devices_of_hosts_that_answer_are_asked_one_after_the_other() -> None:
    watched = Watched()
    waiting: list[Callable[[], None]] = []
    watched.watch = watched.new_watch(submit=waiting.append)
    watched.watch.follow(watched.hosts, checked=watched.hosts)

    watched.pass_seconds(10)
    assert len(waiting) == 1
    waiting.pop()()
    watched.pass_seconds(10)

    assert len(waiting) == 1


def test_other_devices_are_not_in_doubt_for_what_the_ones_before_said() -> None:
    watched = Watched()
    watched.watch.follow(watched.hosts, checked={"h1"})
    watched.pass_seconds(100)
    other = host("h1", fencing=[{"agent": "fence_ipmilan", "parameters": {"ip": "10.1.0.12"}}])

    watched.watch.follow({**watched.hosts, "h1": other}, checked={"h1"})

    assert watched.signs().device_doubt == ""


def test_a_device_that_is_in_use_is_left_alone() -> None:
    watched = Watched()
    watched.watch.follow(watched.hosts, unasked={"h1"})
    watched.fleet.cut_network("h1")

    watched.pass_seconds(5)

    assert watched.devices.asked == []


def test_what_a_device_said_is_forgotten_once_the_host_answers() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    watched.devices.says["h1"] = "off"
    watched.fleet.cut_network("h1")
    watched.pass_seconds(5)

    watched.fleet.restore_network("h1")
    watched.pass_seconds(1)

    assert watched.signs().power == "unknown"
    assert watched.signs().power_age is None


def test_answers_are_counted_anew_after_each_silence() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    watched.fleet.cut_network("h1")
    watched.pass_seconds(3)
    assert watched.signs().answers == 0

    watched.fleet.restore_network("h1")
    watched.pass_seconds(1)

    assert watched.signs().answers == 2
    watched.pass_seconds(10)
    assert watched.signs().answers == 3


def test_many_answers_within_a_moment_are_one() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    watched.fleet.cut_network("h1")
    watched.pass_seconds(3)
    watched.fleet.restore_network("h1")

    for _ in range(10):
        watched.clock.advance(0.01)
        watched.watch.signs()

    assert watched.signs().answers == 1


def test_time_in_which_nobody_looked_is_no_silence() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    watched.fleet.cut_network("h1")
    watched.clock.advance(3600)

    assert watched.signs().silent == 2


def test_a_host_that_answered_before_nobody_looked_for_a_while_is_not_suspect() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    answered_at = watched.clock.monotonic() + 0.01
    watched.fleet.cut_network("h1")

    watched.clock.advance(5)
    watched.fleet.world.hosts["h1"].answered_at = answered_at  # the answer to the question of before

    assert watched.signs().silent == 1
    assert watched.watch.silent() == {}


def test_a_jump_of_the_wall_clock_is_no_silence() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    before = watched.signs()

    watched.clock.jump(86_400)

    assert watched.signs() == before


def test_what_a_host_answered_to_an_earlier_controller_does_not_count() -> None:
    watched = Watched()
    watched.pass_seconds(10)
    watched.fleet.cut_network("h1")
    watched.clock.advance(1)

    watched.watch = watched.new_watch()
    watched.pass_seconds(3)

    assert watched.signs().silent is None
    assert watched.signs().watched == 3


def test_the_quiet_period_is_counted_from_the_start_and_its_end_calls_for_a_pass() -> None:
    watched = Watched(quiet_period="10s")
    watched.pass_seconds(9)
    young = watched.watch.quiet

    watched.pass_seconds(1)

    assert young
    assert not watched.watch.quiet
    assert watched.told[-1] == "quiet period over"


def test_a_watch_after_a_reload_is_only_quiet_until_each_host_could_be_called_unreachable() -> None:
    watched = Watched(quiet_period="60s", unreachable_after="6s")
    watched.watch = watched.new_watch(quiet_period="60s", unreachable_after="6s", watched_before=1000.0)
    watched.pass_seconds(5)
    young = watched.watch.quiet

    watched.pass_seconds(1)

    assert young
    assert not watched.watch.quiet


def test_a_watch_that_is_young_itself_brings_no_more_than_its_age() -> None:
    watched = Watched()
    watched.watch = watched.new_watch(quiet_period="60s", watched_before=10.0)
    watched.pass_seconds(49)
    young = watched.watch.quiet

    watched.pass_seconds(1)

    assert (young, watched.watch.quiet) == (True, False)


def test_a_slow_host_is_slow_and_not_silent() -> None:
    watched = Watched()
    watched.fleet.slow_down("h1", 30)

    watched.pass_seconds(20)

    assert watched.signs().silent == 0
    assert watched.signs().slow == 30
    assert watched.watch.silent() == {}


def test_hosts_of_the_specs_are_followed() -> None:
    watched = Watched()
    watched.pass_seconds(3)

    watched.watch.follow({"h2": watched.hosts["h2"]})
    watched.pass_seconds(3)

    assert watched.watch.signs().keys() == {"h2"}


def test_a_silent_host_is_not_worth_asking() -> None:
    watched = Watched()
    watched.pass_seconds(3)
    watched.fleet.hang("h1")

    watched.pass_seconds(3)

    assert watched.watch.silent() == {"h1": "no answer"}


def test_a_device_that_fails_is_asked_again_all_the_same() -> None:
    watched = Watched()
    watched.fleet.cut_network("h1")
    watched.devices.mistakes, watched.devices.says["h1"] = 1, "off"

    watched.pass_seconds(4)

    assert watched.signs().power == "off"


def test_a_thread_watches_until_it_is_closed() -> None:
    watched = Watched()
    silent = threading.Event()
    watched.watch.subscribe(lambda _: silent.set())
    watched.fleet.cut_network("h1")

    watched.watch.start()

    assert silent.wait(10)
    watched.watch.close()
    assert replace(watched.signs(), watched=0.0).silent is None
