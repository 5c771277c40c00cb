"""The watchdog of a spec is told from the one of the chipset, and from others that people add."""

from __future__ import annotations

import pytest

from reconciler.hypervisor.domain_amend import amend
from reconciler.hypervisor.domain_xml import parse, render
from reconciler.model.domain import WatchdogConfig
from tests.support.domains import domain_config


def with_device(xml: str, device: str) -> str:
    return xml.replace("</devices>", f"{device}</devices>")


def test_the_watchdog_of_the_chipset_is_neither_ours_nor_strange() -> None:
    parsed = parse(with_device(render(domain_config()), "<watchdog model='itco' action='reset'/>"))

    assert parsed.config.watchdog is None
    assert parsed.restricted == ()


def test_a_watchdog_that_no_spec_can_ask_for_is_told() -> None:
    parsed = parse(with_device(render(domain_config()), "<watchdog model='ib700' action='reset'/>"))

    assert parsed.restricted == ("watchdog model='ib700'",)


def test_our_watchdog_is_found_beside_that_of_the_chipset() -> None:
    wanted = WatchdogConfig("i6300esb", "pause")
    xml = with_device(render(domain_config()), "<watchdog model='itco' action='reset'/>")

    assert parse(amend(xml, domain_config(watchdog=wanted))).config.watchdog == wanted


@pytest.mark.parametrize("wanted", [None, WatchdogConfig("i6300esb", "none")])
def test_another_watchdog_takes_the_place_of_ours_and_leaves_that_of_the_chipset(wanted: WatchdogConfig | None) -> None:
    before = domain_config(watchdog=WatchdogConfig("i6300esb", "reset"))
    xml = with_device(render(before), "<watchdog model='itco' action='reset'/>")

    amended = amend(xml, domain_config(watchdog=wanted))

    assert parse(amended).config.watchdog == wanted
    assert amended.count("<watchdog") == 1 + (wanted is not None)
