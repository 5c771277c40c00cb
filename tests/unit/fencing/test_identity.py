"""Whose power a device switches, by the plugs that it lists, or by its GUID."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import FencingFailed
from reconciler.fencing.agents import Agents
from reconciler.fencing.identity import Identity, IdentityProbe, Machines
from reconciler.fencing.ipmi_guid import GuidReader
from reconciler.fencing.levels import Asker, Level, Stopped, levels_of
from reconciler.fencing.secrets import Credentials
from reconciler.model.fencing_devices import GUID_ANNOTATION, devices_hash
from reconciler.model.health import FenceTest
from reconciler.model.host import FencingLevel
from reconciler.model.policy import HighAvailability
from reconciler.model.secret_ref import SecretRef
from tests.unit.fencing.rack import Attempts, Rack, host, never

MACHINE = "11223344-5566-7788-99aa-bbccddeeff01"
OTHER = "00000000-1111-2222-3333-444444444444"


def _test(
    rack: Rack,
    agent: str,
    plug: str,
    listing: str,
    machine: str | None = MACHINE,
    others: Mapping[str, str] | None = None,
) -> FenceTest:
    """A test of an agent that says `on` of any plug, and lists `listing`."""
    script = f'#!/bin/sh\ngrep -q action=list || exit 0\ncat <<"EOF"\n{listing}\nEOF\n'
    rack.install(agent, script)
    level = FencingLevel(agent=agent, parameters={"ip": "10.1.0.9", "plug": plug})
    return rack.devices().test(host(level), identity=machine, others=others or {})


@pytest.mark.parametrize(
    ("agent", "plug", "listing", "told"),
    [
        ("fence_apc_snmp", "3", "1,rack-1\n3,Outlet 3", "it lists plug 3, called Outlet 3"),
        ("fence_apc_snmp", "1:3", "3,db", "it lists plug 1:3, called db"),
        ("fence_apc_snmp", "1,3", "1,db\n3,db", "it lists plug 1,3, called db, db"),
        ("fence_virsh", "vm-1", "vm-1,\nvm-2,", "it lists plug vm-1"),
        ("fence_virsh", MACHINE, "vm-1,", "has the machine's UUID"),
        ("fence_xvm", "vm-1", f"vm-1   {MACHINE} on", "plug vm-1 has the machine's UUID"),
        ("fence_xvm", "vm-1", "NOTICE: List option is not working", "it lists no plugs"),
        ("fence_redfish", "1", "N/A", "fence_redfish can't be asked whose it is"),
    ],
)
def test_a_device_that_has_the_plug_passes(rack: Rack, agent: str, plug: str, listing: str, told: str) -> None:
    result = _test(rack, agent, plug, listing)

    assert result.passed, result.message
    assert told in result.message


@pytest.mark.parametrize(
    ("agent", "plug", "listing", "told"),
    [
        ("fence_apc_snmp", "2", "1,Outlet 2\n3,db", "it lists no plug 2"),
        ("fence_virsh", OTHER, "vm-1,", f"is the machine {OTHER}, not {MACHINE}"),
        ("fence_xvm", "vm-1", f"vm-1 {OTHER} on\nvm-2 {MACHINE} on", f"is the machine {OTHER}, not {MACHINE}"),
    ],
)
def test_a_device_without_the_plug_or_of_another_machine_fails(
    rack: Rack, agent: str, plug: str, listing: str, told: str
) -> None:
    result = _test(rack, agent, plug, listing)

    assert not result.passed
    assert told in result.message


def _virsh(rack: Rack, plug: str, listing: str) -> FencingLevel:
    """A fence_virsh that says `off` of any plug."""
    rack.install("fence_virsh", f'#!/bin/sh\ngrep -q action=list || exit 2\nprintf "{listing}"\n')
    return FencingLevel(agent="fence_virsh", parameters={"ip": "10.1.0.9", "plug": plug})


@pytest.mark.parametrize(
    ("plug", "listing", "power"),
    [
        ("vm-1", "vm-1,\\nvm-2,\\n", "off"),
        (MACHINE, "vm-1,\\n", "off"),
        ("vm-1", "vm-2,\\n", "unknown"),
        ("vm-1", "", "unknown"),
        (MACHINE, "", "unknown"),
    ],
)
def test_an_agent_that_says_off_by_default_is_believed_only_of_plugs_that_it_lists(
    rack: Rack, plug: str, listing: str, power: str
) -> None:
    assert rack.devices().power(host(_virsh(rack, plug, listing))) == power


def test_a_device_that_says_off_of_what_it_does_not_list_is_no_proof(rack: Rack) -> None:
    level = _virsh(rack, "vm-1", "")

    with pytest.raises(FencingFailed, match="it says off, but lists no plug vm-1"):
        rack.devices().fence(host(level), "i1", Attempts(), never())


def test_a_machine_that_was_never_read_is_compared_with_nothing(rack: Rack) -> None:
    assert _test(rack, "fence_virsh", OTHER, "vm-1,", machine=None).passed


def test_a_machine_that_is_another_host_fails_the_test_even_where_its_own_was_never_read(rack: Rack) -> None:
    result = _test(rack, "fence_virsh", OTHER, "vm-1,", machine=None, others={OTHER: "h2"})

    assert not result.passed
    assert "is the machine of Host/h2: are the two swapped?" in result.message


# -- the GUID of a BMC -------------------------------------------------------------------------------------------------


class _Guids(GuidReader):
    """Every BMC tells the same GUID."""

    def __init__(self, guid: str) -> None:
        super().__init__(SystemClock())
        self._guid = guid

    def read(self, level: Level, secrets: Mapping[str, str], deadline: float, stopped: Stopped) -> str | None:
        del level, secrets, deadline, stopped
        return self._guid


def _whose(
    guid: str, machine: str | None = MACHINE, annotated: str = "", others: Mapping[str, str] | None = None
) -> Identity:
    """What is made of a BMC of h1 that tells `guid`."""
    clock = SystemClock()
    asker = Asker(Agents(HighAvailability(), clock), Credentials({}), clock)
    named = host(FencingLevel(agent="fence_ipmilan"), annotations={GUID_ANNOTATION: annotated} if annotated else {})
    level = next(levels_of(named))
    machines = Machines(machine, others or {})
    return IdentityProbe(asker, _Guids(guid)).check(named, level, machines, clock.monotonic() + 5, lambda: False)


def test_a_bmc_with_the_guid_of_the_machine_is_its_own() -> None:
    found = _whose(MACHINE, others={OTHER: "h2"})

    assert (found.same, found.text) == (True, "its GUID is this machine's")


def test_a_bmc_with_a_guid_of_its_own_is_its_hosts_once_the_host_names_it() -> None:
    strange, named = _whose(OTHER), _whose(OTHER, annotated=OTHER)

    assert strange.same is False
    assert f'{GUID_ANNOTATION}: "{OTHER}"' in strange.text
    assert (named.same, named.text) == (True, "its GUID is the one that the host's annotation names")


@pytest.mark.parametrize("annotated", ["", OTHER, str(uuid.UUID(bytes=uuid.UUID(OTHER).bytes_le))])
@pytest.mark.parametrize("machine", [MACHINE, None])
def test_the_bmc_of_another_host_is_refused_whatever_the_annotation_says(annotated: str, machine: str | None) -> None:
    """Whoever follows a hint would have a healthy host switched off in the place of a dead one."""
    found = _whose(OTHER, machine, annotated, others={OTHER: "h2"})

    assert found.same is False
    assert "its GUID is that of Host/h2: are their addresses swapped?" in found.text
    assert GUID_ANNOTATION not in found.text


def test_a_guid_that_two_machines_share_tells_nothing() -> None:
    assert _whose(MACHINE, others={MACHINE: "h2"}).same is None


def test_a_bmc_is_not_compared_where_no_machine_is_known() -> None:
    assert _whose(OTHER, machine=None).same is None


def test_one_level_that_fails_fails_the_test(rack: Rack) -> None:
    levels = rack.level(rack.outlet("1")), rack.level(rack.outlet("2"), "deaf")

    result = rack.devices().test(host(*levels), identity=None)

    assert not result.passed
    assert "level 1 " in result.message
    assert "level 2 " in result.message


def test_a_host_without_devices_fails_the_test(rack: Rack) -> None:
    assert not rack.devices().test(host(), identity=None).passed


# -- which devices were tested -----------------------------------------------------------------------------------------


def _level(**parameters: str) -> FencingLevel:
    return FencingLevel(agent="fence_ipmilan", parameters=parameters, secrets={"password": SecretRef(file="a")})


def test_a_test_names_the_devices_that_it_was_of(rack: Rack) -> None:
    tested = host(rack.level(rack.outlet("1")))

    assert rack.devices().test(tested, identity=None).devices == devices_hash(tested)


@pytest.mark.parametrize(
    "other",
    [
        host(_level(ip="10.1.0.2")),
        host(_level(ip="10.1.0.1", cipher="3")),
        host(_level(ip="10.1.0.1"), _level(ip="10.1.0.2")),
        host(
            FencingLevel(agent="fence_ilo4", parameters={"ip": "10.1.0.1"}, secrets={"password": SecretRef(file="a")})
        ),
        host(
            FencingLevel(
                agent="fence_ipmilan", parameters={"ip": "10.1.0.1"}, secrets={"password": SecretRef(file="b")}
            )
        ),
        host(),
    ],
)
def test_other_devices_have_another_hash(other: object) -> None:
    assert devices_hash(other) != devices_hash(host(_level(ip="10.1.0.1")))  # type: ignore[arg-type]


def test_devices_are_the_same_under_another_spelling_order_or_password() -> None:
    one = host(_level(ip="10.1.0.1", username="a", community="old"))
    other = host(_level(community="new", login="a", ipaddr="10.1.0.1"), name="h2")

    assert devices_hash(one) == devices_hash(other)
