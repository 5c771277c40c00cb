"""What is said to do while a host is not fenced: nothing that would have a living one taken for dead, or shot."""

from __future__ import annotations

import pytest

from reconciler.planner.host_health import POWER_OFF
from tests.unit.planner.test_fencing import WEB, armed


def test_under_a_brake_the_network_is_to_be_mended_rather_than_a_death_confirmed() -> None:
    fleet = armed().lost("h1").in_state("h2", "suspect")

    for target in ("Host/h1", WEB):
        hint = fleet.unmet(target)["fencing-held"].hint
        assert hint.startswith("mend the network")
        assert "fence confirm h1 --reason" not in hint


@pytest.mark.parametrize("what", ["Host/h1", "fleet"])
def test_a_silent_host_is_not_to_be_resumed_before_it_answers(what: str) -> None:
    hint = armed().lost("h1").with_ledger(paused=frozenset({what})).unmet("Host/h1")["paused"].hint

    assert hint.startswith("have h1 answer first (start libvirtd on it)")
    assert "reconciler resume" not in hint


def test_a_held_host_whose_device_says_off_may_be_resumed() -> None:
    held = armed().lost("h1").in_state("h1", "unreachable", POWER_OFF).with_ledger(paused=frozenset({"Host/h1"}))

    assert held.unmet("Host/h1")["paused"].hint == "reconciler resume Host/h1"


def test_a_held_host_is_told_of_while_all_is_well() -> None:
    unmet = armed().with_ledger(paused=frozenset({"Host/h2"})).unmet("Host/h2")["paused"]

    assert (unmet.severity, unmet.hint) == ("info", "reconciler resume Host/h2")
    assert "not fenced" in unmet.detail
