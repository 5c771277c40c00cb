"""What is kept of a removed VM is deleted once its time is over, foretold before, and never in uncertainty."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.domain import DomainConfig
from reconciler.model.steps import DeleteVolume
from reconciler.planner.plan_check import check
from tests.support.fleets import Story, observed_pool, pool, ref, story, vm, volume

WEB = "VirtualMachine/web"
ROOT = "prod.web.root.qcow2"
DAY = 86400.0
PROBLEM = SpecProblem(SourceRef("x.yaml", 1), "S001", "VirtualMachine/other", "", "not YAML")


def buried(*, shared: bool = False) -> Story:
    """`web` ran on h1, its spec is gone, and so is it but for its disk."""
    return story(vm(), shared=shared).converged().with_specs(without=[WEB]).converged()


def after(fleet: Story, seconds: float, *, counted: float | None = None) -> Story:
    """So much later by the wall clock, and by what was counted."""
    passed = seconds if counted is None else counted
    return replace(fleet, now=fleet.now + seconds, ledger=replace(fleet.ledger, counted=fleet.ledger.counted + passed))


def test_the_removal_says_until_when_the_disks_are_kept() -> None:
    fleet = story(vm()).converged().with_specs(without=[WEB])

    assert fleet.action("undefine-domain").detail == (
        "undefine; its disks are kept until 1970-01-19 13:46Z, 7 days: put its spec back before that"
    )


def test_nothing_is_done_or_said_while_there_is_time() -> None:
    fleet = after(buried(), 5.9 * DAY)

    assert fleet.plan().empty
    assert fleet.unmet() == {}


def test_a_day_before_its_end_everybody_is_told() -> None:
    fleet = after(buried(), 6.5 * DAY)

    assert fleet.plan().empty
    told = fleet.unmet()["expires-soon"]
    assert told.detail == "what is kept of it (root) is deleted for good in 12 h, at 1970-01-19 13:46Z"
    assert told.hint == "reconciler tombstone keep web"


def test_then_it_is_deleted_for_good() -> None:
    gone = after(buried(), 7 * DAY)

    action = gone.action("delete-volume")

    assert (action.why, action.disruption, action.host) == ("expired", "data-loss", "h1")
    assert gone.applied().ledger.tombstones == ()
    assert "web" in gone.applied().ledger.removed  # its epoch is still known


@pytest.mark.parametrize(("wall", "counted"), [(30 * DAY, 6.9 * DAY), (6.9 * DAY, 30 * DAY)])
def test_both_clocks_have_to_say_that_its_time_is_over(wall: float, counted: float) -> None:
    assert after(buried(), wall, counted=counted).plan().empty


def test_what_is_purged_goes_at_once() -> None:
    fleet = buried()
    given_up = tuple(replace(stone, purged=True) for stone in fleet.ledger.tombstones)

    assert fleet.with_ledger(tombstones=given_up).kinds() == ["delete-volume"]


UNCERTAIN: dict[str, Callable[[Story], Story]] = {
    "mistakes": lambda fleet: fleet.with_specs(problems=(PROBLEM,)),
    "unusable": lambda fleet: fleet.with_specs(unusable={ref("VirtualMachine/other"): PROBLEM}),
    "empty": lambda fleet: fleet.with_specs(removal_hold="the directory is empty"),
    "doubt": lambda fleet: fleet.with_specs(doubt="they may be older"),
    "unread": lambda fleet: fleet.losing_sight_of("h1"),
    "held": lambda fleet: fleet.with_ledger(paused=frozenset({WEB})),
    "pool held": lambda fleet: fleet.with_ledger(paused=frozenset({"StoragePool/vms"})),
    "overlay": lambda fleet: fleet.with_volumes(volume("theirs.qcow2", backing_path=f"/srv/vms/{ROOT}")),
    "used": lambda fleet: fleet.with_domain(
        replace(story(vm()).converged().domain(), name="clone", uuid="0000-clone", config=_of_somebody())
    ),
}


def _of_somebody() -> DomainConfig:
    config = story(vm()).converged().domain().config
    return replace(config, name="clone", uuid="0000-clone", mark=None, nics=())


@pytest.mark.parametrize("why", UNCERTAIN)
def test_nothing_expires_where_anything_is_uncertain_and_that_is_said(why: str) -> None:
    fleet = UNCERTAIN[why](after(buried(), 8 * DAY))

    assert "delete-volume" not in fleet.kinds()
    assert "stays for now" in fleet.unmet()["expiry-held"].detail


def test_nothing_expires_in_a_shared_pool_while_one_of_its_hosts_is_out_of_sight() -> None:
    fleet = after(buried(shared=True), 8 * DAY).losing_sight_of("h2")

    assert fleet.plan().empty
    assert fleet.kinds() == []


def test_nothing_expires_of_a_vm_that_is_in_the_specs_again_though_it_can_not_be_made() -> None:
    back = after(buried(), 8 * DAY).with_specs(vm(domainType="kvm", placement={"hosts": ["h2"]}))

    assert back.plan().empty
    assert set(back.unmet()) == {"no-host-fits"}


def test_a_disk_that_the_spec_left_out_when_it_was_put_back_expires() -> None:
    data = {"name": "data", "pool": "vms", "size": "10GiB"}
    both = vm(disks=[{"name": "root", "pool": "vms", "image": "debian", "size": "10GiB"}, data])
    gone = story(both).converged().with_specs(without=[WEB]).converged()
    back = gone.with_specs(vm())

    assert "its disk data of before is not in its spec" in back.unmet()["immutable"].detail
    later = after(back.converged(), 8 * DAY)
    assert [action.step for action in later.plan().actions] == [DeleteVolume("vms", "prod.web.data.qcow2")]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda fleet: fleet.with_ledger(counted=0.0),
        lambda fleet: fleet.with_ledger(tombstones=()),
        lambda fleet: fleet.with_specs(problems=(PROBLEM,)),
        lambda fleet: fleet.with_specs(vm()),
    ],
)
def test_a_deletion_that_does_not_follow_from_a_tombstone_whose_time_is_over_is_refused(
    spoil: Callable[[Story], Story],
) -> None:
    due = after(buried(), 8 * DAY)
    plan, other = due.plan(), spoil(due)

    assert check(plan, other.specs, other.inventory, other.ledger, other.policy) != ()


# -- the spec is put back ----------------------------------------------------------------------------------------------
def test_a_vm_that_is_put_back_has_its_disks_uuid_and_macs_again_and_the_plan_says_so() -> None:
    before = story(vm()).converged()
    back = before.with_specs(without=[WEB]).converged().with_specs(vm())

    assert (
        back.action("define-domain").detail == "define; it comes back with its disk root, kept since 1970-01-12 13:46Z"
    )
    again = back.converged()
    first, second = before.domain().config, again.domain().config
    assert (first.uuid, first.nics, first.disks) == (second.uuid, second.nics, second.disks)
    assert again.inventory.hosts["h1"].pools == before.inventory.hosts["h1"].pools
    assert again.ledger.tombstones == ()


def test_a_larger_disk_grows_when_its_vm_is_put_back() -> None:
    larger = {"name": "root", "pool": "vms", "image": "debian", "size": "20GiB"}

    assert buried().with_specs(vm(disks=[larger])).kinds() == ["grow-volume", "define-domain", "start-domain"]


@pytest.mark.parametrize(
    ("disk", "said"),
    [({"pool": "fast"}, "write pool: vms"), ({"format": "raw", "image": None}, "write format: qcow2")],
)
def test_no_empty_disk_is_made_in_the_place_of_one_that_is_kept_elsewhere(disk: dict[str, str], said: str) -> None:
    root = {"name": "root", "pool": "vms", "size": "10GiB", **disk}
    wanted = {key: value for key, value in root.items() if value is not None}
    fleet = buried().with_pool(observed_pool("fast")).with_pool(observed_pool("fast"), on="h2")

    back = fleet.with_specs(vm(disks=[wanted]), pool("fast"))

    assert back.plan().empty
    assert said in back.unmet()["conflict"].hint
    assert "reconciler tombstone purge web" in back.unmet()["conflict"].hint


def test_a_vm_that_may_not_be_where_its_disks_are_kept_waits_and_says_where_they_are() -> None:
    back = buried().with_specs(vm(placement={"hosts": ["h2"]}))

    waits = back.unmet()["no-host-fits"]
    assert waits.detail == "its disks are kept on h1, which does not take it"
    assert waits.hint == "allow h1, or have what is kept there deleted: reconciler tombstone purge web"
    assert back.plan().empty
