"""Pools and networks: made, started, and never taken from others."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model import steps
from tests.unit.executor.bench import NETWORK_CONFIG, POOL, POOL_CONFIG, Bench

STRANGER = "00000000-0000-4000-8000-000000000000"
POOL_TARGET = "StoragePool/vms"
NETWORK_TARGET = "Network/lan"


def test_defined_pool_is_active_and_autostarts(bench: Bench) -> None:
    assert bench.run_one(steps.DefinePool(POOL_CONFIG), POOL_TARGET).status == "done"

    pool = bench.h1.pool(POOL)
    assert (pool.active, pool.autostart) == (True, True)


def test_pool_of_that_name_that_is_not_ours_is_left_alone(bench: Bench) -> None:
    bench.h1.define_pool(replace(POOL_CONFIG, uuid=STRANGER))

    outcome = bench.run_one(steps.DefinePool(POOL_CONFIG), POOL_TARGET)

    assert (outcome.status, outcome.transient) == ("failed", False)
    assert bench.h1.pool(POOL).uuid == STRANGER


def test_pool_begun_before_is_completed(bench: Bench) -> None:
    bench.h1.define_pool(POOL_CONFIG)
    bench.fleet.people("h1").set_pool_active(POOL, active=False)

    assert bench.run_one(steps.DefinePool(POOL_CONFIG), POOL_TARGET).status == "done"
    assert bench.h1.pool(POOL).active


def test_stopped_pool_is_started(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.fleet.people("h1").set_pool_active(POOL, active=False)

    outcome = bench.run_one(steps.StartPool(POOL, start=True, autostart=False), POOL_TARGET)

    assert outcome.status == "done"
    assert (bench.h1.pool(POOL).active, bench.h1.pool(POOL).autostart) == (True, False)


def test_pool_that_is_gone_is_not_started(bench: Bench) -> None:
    assert bench.run_one(steps.StartPool(POOL, start=True, autostart=True), POOL_TARGET).status == "refused"


def test_defined_network_is_active_and_autostarts(bench: Bench) -> None:
    assert bench.run_one(steps.DefineNetwork(NETWORK_CONFIG), NETWORK_TARGET).status == "done"

    network = bench.h1.read().networks["lan"]
    assert (network.active, network.autostart) == (True, True)


def test_network_of_that_name_that_is_not_ours_is_left_alone(bench: Bench) -> None:
    bench.h1.define_network(replace(NETWORK_CONFIG, uuid=STRANGER))

    outcome = bench.run_one(steps.DefineNetwork(NETWORK_CONFIG, redefine=True), NETWORK_TARGET)

    assert (outcome.status, outcome.transient) == ("failed", False)


def test_redefined_network_is_stopped_first_so_that_the_change_takes_effect(bench: Bench) -> None:
    bench.h1.define_network(NETWORK_CONFIG)

    changed = replace(NETWORK_CONFIG, subnet="10.0.0.0/24")
    outcome = bench.run_one(steps.DefineNetwork(changed, redefine=True), NETWORK_TARGET)

    assert outcome.status == "done"
    assert [call.method for call in bench.fleet.calls][1:] == ["stop_network", "define_network"]
    assert bench.h1.read().networks["lan"].subnet == "10.0.0.0/24"


def test_network_that_a_guest_was_started_on_meanwhile_is_not_stopped(bench: Bench) -> None:
    bench.with_vm(running=True)

    changed = replace(NETWORK_CONFIG, subnet="10.0.0.0/24")
    outcome = bench.run_one(steps.DefineNetwork(changed, redefine=True), NETWORK_TARGET)

    assert (outcome.status, outcome.transient) == ("refused", True)
    assert "web" in outcome.message
    assert bench.h1.read().networks["lan"].active


def test_stopped_network_is_started(bench: Bench) -> None:
    bench.with_pool_and_network()
    bench.fleet.people("h1").set_network_active("lan", active=False)

    outcome = bench.run_one(steps.StartNetwork("lan", start=True, autostart=True), NETWORK_TARGET)

    assert outcome.status == "done"
    assert bench.h1.read().networks["lan"].active
