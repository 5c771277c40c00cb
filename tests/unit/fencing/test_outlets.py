"""A host that hangs on several outlets is off once all of them are, each asked for by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import FencingFailed
from reconciler.model.host import FencingLevel
from tests.unit.fencing.rack import Attempts, Rack, host, never

REAL_AGENT = Path("/usr/sbin/fence_apc_snmp")
# What snmpget, snmpset and snmpwalk of a strip would do; each outlet is a file with 1 for on and 2 for off.
_SNMP = """\
#!/bin/sh
set -- "$(basename "$0")" "$@"
for word; do case $word in .1.*) oid=$word ;; esac; last=$word; done
outlet={folder}/outlet-${{oid##*.}}
absent() {{ echo "$oid No Such $1 currently exists at this OID"; }}
case $1 in
    get) if [ -f "$outlet" ]; then echo "$oid $(cat "$outlet")"; else absent Instance; fi ;;
    set) echo "$last" >"$outlet"; echo "$oid $last" ;;
    walk)
        case $oid in
            .1.3.6.1.2.1.1.2.0) echo "$oid .1.3.6.1.4.1.318.1.3.4.5"; exit ;;
        esac
        [ -f {folder}/outlet-1 ] || absent Object
        for each in {folder}/outlet-?; do [ -f "$each" ] && echo "$oid.${{each##*-}} Outlet-${{each##*-}}"; done ;;
esac
exit 0
"""
# The agent as it is installed, with these for the net-snmp tools.
_WRAPPER = """\
#!/bin/sh
{{ cat; for tool in get set walk; do echo "snmp${{tool}}_path={folder}/$tool"; done; }} | {agent}
"""


class Strip:
    """The real agent before a strip of outlets that speaks SNMP 2c."""

    def __init__(self, rack: Rack, outlets: dict[str, str]) -> None:
        self._rack = rack
        for tool in ("get", "set", "walk"):
            path = rack.folder / tool
            path.write_text(_SNMP.format(folder=rack.folder))
            path.chmod(0o755)
        rack.install("fence_apc_snmp", _WRAPPER.format(folder=rack.folder, agent=REAL_AGENT))
        for number, power in outlets.items():
            self.outlet(number).write_text(power)

    def outlet(self, number: str) -> Path:
        return self._rack.folder / f"outlet-{number}"

    def level(self, plug: str) -> FencingLevel:
        parameters = {"ip": "10.1.0.9", "snmp_version": "2c", "community": "private", "plug": plug}
        return FencingLevel(agent="fence_apc_snmp", parameters=parameters)


pytestmark = pytest.mark.skipif(not REAL_AGENT.exists(), reason="fence_apc_snmp is not installed")


def test_every_outlet_of_a_host_is_switched_off(rack: Rack) -> None:
    strip = Strip(rack, {"1": "1", "2": "1"})

    proof = rack.devices(seconds=30).fence(host(strip.level("1,2")), "i1", Attempts(), never())

    assert proof.kind == "fenced"
    assert [strip.outlet(number).read_text().strip() for number in ("1", "2")] == ["2", "2"]


@pytest.mark.parametrize(
    ("outlets", "plug", "power"),
    [
        ({"1": "1"}, "1", "on"),
        ({"1": "2"}, "1", "off"),
        ({"1": "2", "2": "1"}, "1,2", "on"),
        ({"1": "2", "2": "2"}, "1,2", "off"),
        ({"1": "1"}, "7", "unknown"),
        ({"1": "2"}, "1,7", "unknown"),
        ({}, "2", "unknown"),
    ],
)
def test_the_power_is_off_where_each_outlet_exists_and_is_off(
    rack: Rack, outlets: dict[str, str], plug: str, power: str
) -> None:
    strip = Strip(rack, outlets)

    assert rack.devices(seconds=30).power(host(strip.level(plug))) == power


def test_an_outlet_that_does_not_exist_is_no_proof(rack: Rack) -> None:
    strip = Strip(rack, {"1": "1"})

    with pytest.raises(FencingFailed, match="it says off, but lists no plug 7"):
        rack.devices(seconds=30).fence(host(strip.level("7")), "i1", Attempts(), never())
