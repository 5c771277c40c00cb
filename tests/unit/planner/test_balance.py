"""Loads are evened out where that is asked for: by few moves, each worth it, and never back and forth."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.plan import Action
from reconciler.model.policy import Balance, Migration, Policy
from tests.support.fleets import FLEET, GIB, NOW, Spec, Story, host, pool, story, vm
from tests.unit.planner.test_drain import moves, settled

_LATER = NOW + 86_400.0
_BALANCED = Balance(enabled=True, moves_per_hour=100)


def crowded(*vms: Spec, hosts: int = 2, balance: Balance = _BALANCED, **fields: object) -> Story:
    """VMs that came to be on h1 long ago, while the other hosts took none."""
    names = [f"h{number}" for number in range(2, hosts + 1)]
    there = story(*vms, *(host(name, state="cordoned") for name in names), hosts=hosts, shared=True, **fields)
    fleet = there.converged().with_specs(*(host(name) for name in names), without=[f"Host/{name}" for name in names])
    return replace(fleet, policy=Policy(fleet=FLEET, balance=balance), now=_LATER)


def four(**fields: object) -> Story:
    return crowded(*(vm(f"web-{number}", memory="3GiB") for number in range(4)), **fields)  # type: ignore[arg-type]


def test_nothing_is_moved_for_balance_by_default() -> None:
    assert replace(four(), policy=Policy(fleet=FLEET)).plan().empty


def test_loads_are_evened_out_and_each_move_tells_what_it_gains() -> None:
    fleet = four()
    first: Action = fleet.plan().actions[0]

    assert moves(fleet) == {"web-0": "h2", "web-1": "h2"}
    assert (first.why, first.disruption) == ("balance", "migrate")
    assert "h1 75 → 56.2 % of memory, h2 0 → 18.8 % of memory" in first.detail
    assert settled(fleet).plan().empty


def test_nothing_is_moved_while_hosts_are_close_enough() -> None:
    assert four(balance=Balance(enabled=True, threshold=0.8)).plan().empty


def test_a_move_that_gains_too_little_is_not_made() -> None:
    assert four(balance=Balance(enabled=True, min_gain=0.5)).plan().empty


def test_a_vm_that_was_placed_lately_stays() -> None:
    fleet = four()
    fresh = {name: replace(placement, since=_LATER - 60) for name, placement in fleet.ledger.placements.items()}

    assert fleet.with_ledger(placements=fresh).plan().empty


def test_no_more_are_moved_within_an_hour_than_the_policy_allows() -> None:
    fleet = four(balance=Balance(enabled=True, moves_per_hour=1))

    once = fleet.applied()

    assert len(moves(fleet)) == 1
    assert once.plan().empty
    assert len(moves(replace(once, now=_LATER + 7200))) == 1


def test_the_limits_of_migrations_hold_for_balance_too() -> None:
    policy = Policy(fleet=FLEET, balance=_BALANCED, migration=Migration(parallel_per_source=1))

    assert len(moves(replace(four(), policy=policy))) == 1


def test_balance_waits_while_a_host_is_out_of_sight() -> None:
    assert four(hosts=3).losing_sight_of("h3").plan().empty


def test_balance_waits_while_something_else_is_to_be_done() -> None:
    fleet = four().with_specs(vm("new", memory="1GiB"))

    assert moves(fleet) == {}


def test_a_host_that_takes_no_new_vms_has_no_part_in_it() -> None:
    fleet = four(hosts=3).with_specs(host("h2", state="cordoned"), without=["Host/h2"])

    assert set(moves(fleet).values()) == {"h3"}


def test_a_held_vm_stays() -> None:
    fleet = four().with_ledger(paused=frozenset({"VirtualMachine/web-0"}))

    assert "web-0" not in moves(fleet)


def test_a_vm_is_not_brought_to_those_that_it_is_to_be_spread_from_if_that_can_be_had() -> None:
    rule = {"labels": {"app": "db"}, "placement": {"preferSpread": {"app": "db"}}}
    there = crowded(vm("db-1", **rule), vm("web", memory="9GiB"))
    there = settled(there.with_specs(vm("db-2", placement={"hosts": ["h2"]}, labels={"app": "db"})))

    assert sorted(settled(replace(there, now=2 * _LATER)).inventory.hosts["h1"].domains) == ["db-1", "web"]


def test_of_equal_moves_the_one_that_copies_no_disk_is_made() -> None:
    disk = {"name": "root", "pool": "own", "image": "debian", "size": "10GiB"}
    there = crowded(pool("own"), vm("a", memory="3GiB", disks=[disk]), *(vm(name, memory="3GiB") for name in "bcd"))

    assert moves(there) == {"b": "h2", "c": "h2"}


def loads(fleet: Story) -> list[float]:
    """Shares of memory or CPUs that hosts have promised, whichever is higher, the fullest host first."""
    return sorted(
        (
            max(
                sum(domain.config.max_memory for domain in known.domains.values()) / known.facts.memory,
                sum(domain.config.vcpus for domain in known.domains.values()) / (4 * known.facts.cpus),
            )
            for known in fleet.inventory.hosts.values()
        ),
        reverse=True,
    )


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    memories=st.lists(st.sampled_from([16, 32, 64]), min_size=2, max_size=4),
    rules=st.builds(
        Balance,
        enabled=st.just(True),
        threshold=st.sampled_from([0.05, 0.2, 0.4]),
        min_gain=st.sampled_from([0.01, 0.05]),
        moves_per_hour=st.sampled_from([1, 3, 100]),
    ),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_loads_are_each_plan_brings_the_fullest_hosts_down_and_at_last_nothing_is_moved(
    sizes: list[int], memories: list[int], rules: Balance
) -> None:
    vms = [vm(f"vm-{number}", memory=f"{size}GiB") for number, size in enumerate(sizes)]
    fleet = crowded(*vms, hosts=len(memories), balance=rules, memory=64 * GIB)
    for number, memory in enumerate(memories[1:], start=2):
        known = fleet.inventory.hosts[f"h{number}"]
        fleet = fleet.with_host(f"h{number}", facts=replace(known.facts, memory=memory * GIB))
    for _ in range(60):
        fleet = replace(fleet, now=fleet.now + 86_400)
        if fleet.plan().empty:
            break
        before, fleet = loads(fleet), fleet.applied()
        assert loads(fleet) < before

    assert fleet.plan().empty
    assert replace(fleet, now=fleet.now + 86_400).plan().empty


def test_a_fleet_that_has_had_its_moves_of_the_hour_says_why_its_loads_stay_apart() -> None:
    once = four(balance=Balance(enabled=True, moves_per_hour=1, threshold=0.1)).applied()

    waits = once.unmet("Host/h1")["move-waits"]

    assert once.plan().empty
    assert waits.severity == "info"
    assert "balance.movesPerHour (1)" in waits.detail
    assert "Host/h1" not in {str(item.target) for item in replace(once, now=_LATER + 7200).plan().unmet}


def test_a_fleet_whose_loads_are_close_enough_says_nothing_of_its_moves_of_the_hour() -> None:
    once = four(balance=Balance(enabled=True, moves_per_hour=1, threshold=0.6)).applied()

    assert once.plan().unmet == ()
