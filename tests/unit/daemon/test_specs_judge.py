"""Whose specs are in doubt after the lead went to another controller, and what ends that."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.daemon.specs_judge import SpecsJudge, SpecsOnlooker
from reconciler.errors import PreconditionFailed
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.ledger.led_specs import LedSpecs
from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import FenceTest
from reconciler.model.resource import ObjectRef
from reconciler.specfiles.loader import load

HOST = "apiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: {name}}}\nspec: {{uri: 'test:///default'}}\n"


class Machine:
    """A controller's machine, with its own specs; the ledger is that of all."""

    def __init__(self, name: str, folder: Path, ledger: Ledger, clock: FakeClock) -> None:
        self.specs = folder / name
        self.specs.mkdir()
        self.ledger = ledger
        self.clock = clock
        self.name = name
        self.begins()

    def begins(self) -> None:
        """A new process, that knows nothing."""
        self.judge = SpecsJudge(self.ledger, f"{self.name}/id", self.clock)

    def has(self, *hosts: str) -> Machine:
        for file in self.specs.glob("*.yaml"):
            file.unlink()
        for host in hosts:
            (self.specs / f"{host}.yaml").write_text(HOST.format(name=host))
        return self

    def leads(self) -> DesiredState:
        return self.judge.judge(load(self.specs, fleet="lab"))

    def looks(self, *, is_led: bool) -> DesiredState:
        onlooker = SpecsOnlooker(self.ledger, self.judge, lambda: is_led)
        return onlooker.judge(load(self.specs, fleet="lab"))


Machines = Callable[[str], Machine]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state")


@pytest.fixture
def machine(tmp_path: Path, ledger: Ledger) -> Machines:
    clock = FakeClock()
    return lambda name: Machine(name, tmp_path, ledger, clock)


def git(folder: Path, *words: str) -> None:
    author = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", "-C", str(folder), *author, *words], check=True, capture_output=True)


def test_the_first_that_ever_led_is_believed(machine: Machines) -> None:
    assert machine("c1").has("h1").leads().doubt == ""


def test_who_led_before_may_change_its_specs_also_while_it_was_off(machine: Machines) -> None:
    one = machine("c1").has("h1")
    one.leads()
    one.begins()

    assert one.has("h2").leads().doubt == ""


def test_another_with_the_same_specs_leads_on_and_may_change_them(machine: Machines) -> None:
    machine("c1").has("h1").leads()
    two = machine("c2").has("h1")

    assert two.leads().doubt == ""
    assert two.has("h1", "h2").leads().doubt == ""


def test_another_with_other_specs_only_keeps_the_fleet_running(machine: Machines) -> None:
    first = machine("c1").has("h1", "h2").leads()

    doubtful = machine("c2").has("h1").leads()

    assert f"than those that c1 led by ({first.generation[:20]})" in doubtful.doubt
    assert doubtful.removal_hold


def test_an_edit_or_a_restart_does_not_end_it(machine: Machines) -> None:
    machine("c1").has("h1", "h2").leads()
    two = machine("c2").has("h1")
    two.leads()

    two.begins()
    assert two.leads().doubt
    assert two.has("h1", "h3").leads().doubt


def test_specs_that_become_those_it_was_led_by_end_it(machine: Machines) -> None:
    machine("c1").has("h1", "h2").leads()
    two = machine("c2").has("h1")
    two.leads()

    assert two.has("h1", "h2").leads().doubt == ""
    assert two.has("h1").leads().doubt == ""


def test_a_word_for_them_ends_it_and_the_first_one_is_in_doubt_then(machine: Machines, ledger: Ledger) -> None:
    one, two = machine("c1").has("h1", "h2"), machine("c2").has("h1")
    one.leads()
    generation = two.leads().generation

    ledger.accept_specs(generation)

    assert two.leads().doubt == ""
    assert one.leads().doubt


def test_a_word_for_specs_that_have_changed_since_is_refused(machine: Machines, ledger: Ledger) -> None:
    machine("c1").has("h1", "h2").leads()
    two = machine("c2").has("h1")
    generation = two.leads().generation
    two.has("h3").leads()

    with pytest.raises(PreconditionFailed, match="are not in doubt"):
        ledger.accept_specs(generation)


def test_one_of_the_same_name_with_a_state_directory_of_its_own_is_another(machine: Machines, ledger: Ledger) -> None:
    machine("c1").has("h1", "h2").leads()
    other = machine("other").has("h1")
    other.judge = SpecsJudge(ledger, "c1/another id", other.clock)

    assert other.leads().doubt


def test_a_directory_that_can_not_be_read_is_no_news(machine: Machines, ledger: Ledger) -> None:
    one = machine("c1").has("h1")
    one.leads()
    before = ledger.led_specs()

    one.begins()
    one.has().leads()

    assert ledger.led_specs() == before


# -- what the newest restrain ------------------------------------------------------------------------------------------

FENCED = HOST.rstrip()[:-2] + ", state: {state}, fencing: [{{agent: fence_virsh, parameters: {{plug: {plug}}}}}]}}\n"


def wired(one: Machine, plug: str, state: str = "active") -> Machine:
    (one.has().specs / "h1.yaml").write_text(FENCED.format(name="h1", plug=repr(plug), state=state))
    return one


def records_a_test(one: Machine, ledger: Ledger) -> None:
    host = load(one.specs, fleet="lab").hosts["h1"]
    ledger.record_fence_test(FenceTest("h1", 1.0, True, devices_hash(host), "passed"))


def test_a_test_of_devices_that_a_host_had_before_is_void_for_good(machine: Machines, ledger: Ledger) -> None:
    one = wired(machine("c1"), "7")
    one.leads()
    records_a_test(one, ledger)

    wired(one, "8").leads()
    wired(one, "7").leads()

    assert not ledger.view().fence_tests["h1"].passed


def test_a_test_of_the_devices_that_come_holds_and_so_does_one_of_those_that_stay(
    machine: Machines, ledger: Ledger
) -> None:
    one = wired(machine("c1"), "7")
    one.leads()
    records_a_test(wired(one, "8"), ledger)

    one.leads()
    wired(one, "8", state="cordoned").leads()

    assert ledger.view().fence_tests["h1"].passed


def test_the_older_have_the_restraints_of_the_newest_and_no_devices_of_their_own(machine: Machines) -> None:
    wired(machine("c1"), "8", state="maintenance").leads()

    older = wired(machine("c2"), "7").leads()

    assert (older.hosts["h1"].spec.state, older.hosts["h1"].spec.fencing) == ("maintenance", ())
    assert set(older.restrained) == {ObjectRef("Host", "h1")}


def test_who_looks_sees_them_as_well(machine: Machines) -> None:
    wired(machine("c1"), "8").leads()

    assert wired(machine("c2"), "7").looks(is_led=False).hosts["h1"].spec.fencing == ()


def test_after_a_word_for_the_older_those_restrain_who_has_others(machine: Machines, ledger: Ledger) -> None:
    one, two = wired(machine("c1"), "8"), wired(machine("c2"), "7", state="cordoned")
    one.leads()
    ledger.accept_specs(two.leads().generation)

    assert one.leads().hosts["h1"].spec.fencing == ()
    assert two.leads().restrained == {}
    assert one.leads().hosts["h1"].spec.state == "cordoned"


# -- Git ---------------------------------------------------------------------------------------------------------------


def committed(one: Machine, *hosts: str) -> None:
    one.has(*hosts)
    git(one.specs, "add", "-A")
    git(one.specs, "commit", "-m", "hosts")


@pytest.fixture
def checkouts(machine: Machines) -> tuple[Machine, Machine]:
    """Two of one history; the first leads by the second commit."""
    one, two = machine("c1"), machine("c2")
    git(one.specs, "init", "-b", "main")
    committed(one, "h1")
    git(two.specs.parent, "clone", str(one.specs), str(two.specs))
    committed(one, "h1", "h2")
    one.leads()
    return one, two


def test_an_older_commit_is_in_doubt(checkouts: tuple[Machine, Machine]) -> None:
    assert checkouts[1].leads().doubt


def test_a_later_commit_is_not(checkouts: tuple[Machine, Machine]) -> None:
    _, two = checkouts
    git(two.specs, "pull")
    committed(two, "h1", "h2", "h3")

    assert two.leads().doubt == ""


def test_a_commit_beside_it_is(checkouts: tuple[Machine, Machine]) -> None:
    _, two = checkouts
    committed(two, "h1", "h3")

    assert two.leads().doubt


def test_a_later_commit_with_an_edit_on_top_is(checkouts: tuple[Machine, Machine]) -> None:
    _, two = checkouts
    git(two.specs, "pull")
    committed(two, "h1", "h2", "h3")

    assert two.has("h1").leads().doubt


@pytest.mark.usefixtures("checkouts")
def test_a_plain_copy_of_a_commit_is_the_same(machine: Machines) -> None:
    assert machine("c3").has("h1", "h2").leads().doubt == ""


# -- who looks ---------------------------------------------------------------------------------------------------------


def test_who_looks_beside_a_leader_sees_what_its_own_specs_would_change(machine: Machines) -> None:
    machine("c1").has("h1", "h2").leads()

    assert machine("c2").has("h1").looks(is_led=True).doubt == ""


def test_who_looks_while_nobody_leads_sees_what_a_leader_here_would_do(machine: Machines, ledger: Ledger) -> None:
    machine("c1").has("h1", "h2").leads()
    before = ledger.led_specs()

    assert machine("c2").has("h1").looks(is_led=False).doubt
    assert ledger.led_specs() == before


def test_who_looks_with_the_specs_of_a_leader_in_doubt_sees_that(machine: Machines) -> None:
    machine("c1").has("h1", "h2").leads()
    machine("c2").has("h1").leads()
    same = machine("c3").has("h1")

    assert same.looks(is_led=True).doubt


def test_who_looks_with_others_is_told_of_it(machine: Machines, ledger: Ledger) -> None:
    one = machine("c1").has("h1", "h2")
    one.leads()
    machine("c2").has("h1").leads()
    onlooker = SpecsOnlooker(ledger, one.judge, lambda: True)

    assert onlooker.judge(load(one.specs, fleet="lab")).doubt == ""
    (told,) = onlooker.problems()
    assert "the specs that c2 leads by" in told


def test_who_looks_again_and_again_sees_the_same(checkouts: tuple[Machine, Machine], ledger: Ledger) -> None:
    _, two = checkouts
    git(two.specs, "pull")
    committed(two, "h1", "h2", "h3")
    onlooker = SpecsOnlooker(ledger, two.judge, lambda: False)

    seen = [onlooker.judge(load(two.specs, fleet="lab")).doubt for _ in range(3)]

    assert seen == ["", "", ""]


def test_after_an_upgrade_the_specs_of_the_last_pass_count(machine: Machines, ledger: Ledger) -> None:
    one, two = machine("c1").has("h1", "h2"), machine("c2").has("h1")
    ledger.note_led_specs(LedSpecs(load(one.specs, fleet="lab").generation, "", ""))

    assert two.leads().doubt
    assert one.leads().doubt == ""
