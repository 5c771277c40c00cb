"""What hosts can do for guests from elsewhere is asked where a plan may need it, seldom, and never for long."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.errors import HostBusy
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.abilities import CpuQuestion, GuestCpu
from reconciler.model.inventory import Inventory
from reconciler.observe.abilities import HOLD, Abilities

_PLAIN = CpuQuestion(GuestCpu("custom", "EPYC", check="full"), "kvm")
_BETTER = CpuQuestion(GuestCpu("custom", "EPYC", features=(("require", "avx512f"),), check="full"), "kvm")


class Watched(SimulatedFleet):
    """Two hosts; what they are asked fails for as long as they are told to."""

    def __init__(self) -> None:
        self.time = FakeClock()
        super().__init__(self.time)
        for name in ("h1", "h2"):
            self.add_host(name)

    def inventory(self) -> Inventory:
        return Inventory(hosts={name: self.host(name).read() for name in self.names})

    def refuse(self, name: str) -> None:
        self.fail_next(name, "abilities", HostBusy("not now", host=name))


def test_a_host_that_nobody_asks_about_is_not_asked() -> None:
    fleet = Watched()
    fleet.refuse("h1")

    found = Abilities(fleet, fleet.time).complete(fleet.inventory(), {})

    assert found == fleet.inventory()


def test_each_host_answers_what_it_is_asked() -> None:
    fleet = Watched()
    fleet.set_cpu("h2", "avx2", "avx512f")

    found = Abilities(fleet, fleet.time).complete(fleet.inventory(), dict.fromkeys(fleet.names, (_BETTER,)))

    lacking = {name: known.abilities.lacks(_BETTER) for name, known in found.hosts.items() if known.abilities}
    assert lacking == {"h1": "no CPU feature avx512f", "h2": ""}


def test_what_a_host_said_is_not_asked_again_for_a_while() -> None:
    fleet = Watched()
    abilities = Abilities(fleet, fleet.time)
    first = abilities.complete(fleet.inventory(), {"h1": {_PLAIN}})
    fleet.refuse("h1")

    again = abilities.complete(fleet.inventory(), {"h1": {_PLAIN}})
    fleet.time.advance(HOLD + 1)
    later = abilities.complete(fleet.inventory(), {"h1": {_PLAIN}})

    assert again.hosts["h1"].abilities == first.hosts["h1"].abilities
    assert later.hosts["h1"].abilities is None


def test_a_new_question_is_asked_and_the_old_answer_is_kept() -> None:
    fleet = Watched()
    abilities = Abilities(fleet, fleet.time)
    abilities.complete(fleet.inventory(), {"h1": {_PLAIN}})

    found = abilities.complete(fleet.inventory(), {"h1": {_BETTER}}).hosts["h1"].abilities

    assert found is not None
    assert (found.lacks(_PLAIN), found.lacks(_BETTER)) == ("", "no CPU feature avx512f")


def test_another_machine_under_the_name_is_asked_anew() -> None:
    fleet = Watched()
    abilities = Abilities(fleet, fleet.time)
    abilities.complete(fleet.inventory(), {"h1": {_BETTER}})
    fleet.replace_machine("h1")
    fleet.set_cpu("h1", "avx512f")

    found = abilities.complete(fleet.inventory(), {"h1": {_BETTER}}).hosts["h1"].abilities

    assert found is not None
    assert found.lacks(_BETTER) == ""


def test_a_host_that_fails_to_answer_has_said_nothing_and_is_asked_in_the_next_pass() -> None:
    fleet = Watched()
    abilities = Abilities(fleet, fleet.time)
    fleet.refuse("h1")

    failed = abilities.complete(fleet.inventory(), dict.fromkeys(fleet.names, (_PLAIN,)))
    again = abilities.complete(fleet.inventory(), dict.fromkeys(fleet.names, (_PLAIN,)))

    assert failed.hosts["h1"].abilities is None
    assert failed.hosts["h2"].abilities is not None
    assert again.hosts["h1"].abilities is not None


def test_what_all_hosts_have_in_common_is_worked_out_once() -> None:
    fleet = Watched()
    fleet.set_cpu("h2", "avx2", "sse4.2")
    abilities = Abilities(fleet, fleet.time)
    seen = abilities.complete(fleet.inventory(), dict.fromkeys(fleet.names, ()))

    first = abilities.baselines(seen, {"kvm"})
    fleet.fail_next("h1", "cpu_baseline", HostBusy("not now", host="h1"))

    assert first.baselines == {"kvm": "EPYC,+avx2"}
    assert abilities.baselines(seen, {"kvm"}).baselines == first.baselines


def test_hosts_that_have_nothing_in_common_have_no_baseline() -> None:
    fleet = Watched()
    state = fleet.world.hosts["h2"]
    state.cpu = replace(state.cpu, vendor="Intel")
    abilities = Abilities(fleet, fleet.time)
    seen = abilities.complete(fleet.inventory(), dict.fromkeys(fleet.names, ()))

    assert abilities.baselines(seen, {"kvm"}).baselines == {}


def test_why_a_host_has_not_said_what_it_can_do_is_kept_until_it_does() -> None:
    fleet = Watched()
    abilities = Abilities(fleet, fleet.time)
    fleet.refuse("h1")

    refused = abilities.complete(fleet.inventory(), {"h1": {_PLAIN}}).hosts["h1"]
    answered = abilities.complete(fleet.inventory(), {"h1": {_PLAIN}}).hosts["h1"]

    assert (refused.abilities, refused.abilities_error) == (None, "not now")
    assert (answered.abilities is None, answered.abilities_error) == (False, "")


def test_a_mistake_of_ours_in_asking_a_host_does_not_silence_it_for_ever() -> None:
    fleet = Watched()
    abilities = Abilities(fleet, fleet.time)
    fleet.world.hosts["h1"].faults.failures.append(("abilities", KeyError("mode")))  # type: ignore[arg-type]

    failed = abilities.complete(fleet.inventory(), {"h1": {_PLAIN}}).hosts["h1"]
    answered = abilities.complete(fleet.inventory(), {"h1": {_PLAIN}}).hosts["h1"]

    assert "internal error: KeyError" in failed.abilities_error
    assert answered.abilities is not None
