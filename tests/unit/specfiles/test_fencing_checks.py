"""What specs may say of fence devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.specfiles.fleets import codes, document, load_fleet, only, write


def host(name: str, *levels: str) -> str:
    return document("Host", name, f"uri: 'qemu+ssh://{name}/system', fencing: [{', '.join(levels)}]")


def ipmi(parameters: str, secrets: str = "") -> str:
    return f"{{agent: fence_ipmilan, parameters: {{{parameters}}}, secrets: {{{secrets}}}}}"


def plug(parameters: str) -> str:
    return f"{{agent: fence_apc_snmp, parameters: {{{parameters}}}}}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ipmi("ip: 10.1.0.1"), ipmi("ip: 10.1.0.1")),
        (ipmi("ip: BMC-1"), ipmi("ipaddr: bmc-1, ipport: '623'")),
        (ipmi("ip: 10.1.0.1"), "{agent: fence_redfish, parameters: {ip: 10.1.0.1}}"),
        (plug("ip: 10.1.0.9, plug: '3'"), plug("ip: 10.1.0.9, port: '3'")),
        (plug("ip: 10.1.0.9, plug: '1,3'"), plug("ip: 10.1.0.9, plug: '3,4'")),
        (plug("ip: 10.1.0.9, plug: '2:3'"), plug("ip: 10.1.0.9, plug: '3', switch: '2'")),
        ("{agent: fence_xvm, parameters: {plug: a}}", "{agent: fence_xvm, parameters: {domain: a}}"),
    ],
)
def test_two_hosts_on_one_device_are_both_refused(tmp_path: Path, one: str, other: str) -> None:
    loaded = load_fleet(write(tmp_path, h1=host("h1", one), h2=host("h2", other), h3=host("h3")))

    assert codes(loaded) == ["S045", "S045"]
    assert "is also the power of Host/h2" in loaded.problems[0].message
    assert list(loaded.hosts) == ["h3"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ipmi("ip: 10.1.0.1"), ipmi("ip: 10.1.0.2")),
        (ipmi("ip: 10.1.0.1, ipport: '6231'"), ipmi("ip: 10.1.0.1, ipport: '6232'")),
        (plug("ip: 10.1.0.9, plug: '3'"), plug("ip: 10.1.0.9, plug: '4'")),
        (plug("ip: 10.1.0.9, plug: '1:3'"), plug("ip: 10.1.0.9, plug: '2:3'")),
        (ipmi("username: a", "ip: {env: A}"), ipmi("username: a", "ip: {env: B}")),
    ],
)
def test_devices_that_differ_or_that_the_specs_do_not_tell_are_fine(tmp_path: Path, one: str, other: str) -> None:
    assert codes(load_fleet(write(tmp_path, h1=host("h1", one), h2=host("h2", other)))) == []


def test_one_host_may_be_switched_by_two_agents_of_one_device(tmp_path: Path) -> None:
    levels = ipmi("ip: 10.1.0.1"), "{agent: fence_redfish, parameters: {ip: 10.1.0.1}}"

    assert codes(load_fleet(write(tmp_path, h1=host("h1", *levels)))) == []


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("action: 'on'", "the controller alone says what is done"),
        ("option: 'on'", "the controller alone says what is done"),
        ("method: cycle", "would bring the host back"),
        ("missing_as_off: '1'", "would count as proof"),
        ("cmd_prompt: x", "take a host that runs for one that is off"),
        ("debug-file: /tmp/x", "written to any file"),
        ("passwd_script: /tmp/x", "it runs a program"),
        ("ipmitool_path: /tmp/x", "another program than the installed one"),
        ("ssh_options: -oProxyCommand=x", "they can run programs"),
        ("sudo: '1'", "the rights of the controller's user"),
        ("version: '1'", "call that a success"),
        ("pcmk_host_list: h1", "Pacemaker's"),
        ("identity_file: /root/.ssh/id_rsa", "write secrets: {identity_file: {file: NAME}}"),
        ("ip: '10.1.0.1 -f /etc/shadow'", "more than a value"),
        ("ip: '-f/etc/shadow'", "more than a value"),
        ("plug: 'a;reboot'", "more than a value"),
        ("plug: $(reboot)", "more than a value"),
        ("IP of it: x", "no name of a parameter"),
    ],
)
def test_a_parameter_that_could_do_more_than_cut_power_is_refused(tmp_path: Path, parameters: str, reason: str) -> None:
    problem = only(load_fleet(write(tmp_path, h1=host("h1", ipmi(parameters)))))

    assert (problem.code, problem.target) == ("S046", "Host/h1")
    assert problem.field.startswith("spec.fencing[0].parameters.")
    assert reason in problem.message


def test_a_value_that_is_refused_is_not_repeated(tmp_path: Path) -> None:
    problem = only(load_fleet(write(tmp_path, h1=host("h1", ipmi("username: 'geheim geheim'")))))

    assert "geheim" not in problem.message


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ("action: {env: A}", "the controller alone"),
        ("identity_file: {env: A}", "the agent is given a path"),
        ("password: {}", "name one source"),
        ("password: {env: A, file: a}", "name one source"),
        ("password: {file: ../h1-bmc}", "names no file of the credentials directory"),
        ("password: {file: /etc/shadow}", "names no file of the credentials directory"),
        ("password: {file: a/./b}", "names no file of the credentials directory"),
        ("password: {file: a//b}", "names no file of the credentials directory"),
    ],
)
def test_a_secret_that_cannot_be_passed_on_is_refused(tmp_path: Path, secrets: str, reason: str) -> None:
    problem = only(load_fleet(write(tmp_path, h1=host("h1", ipmi("ip: a", secrets)))))

    assert (problem.code, problem.field) == ("S046", f"spec.fencing[0].secrets.{secrets.partition(':')[0]}")
    assert reason in problem.message


@pytest.mark.parametrize(
    "level",
    [
        ipmi("ip: a, ipaddr: b"),
        ipmi("ip: a", "ipaddr: {env: A}"),
        ipmi("ip: a", "ip: {env: A}"),
    ],
)
def test_a_parameter_that_is_given_twice_is_refused(tmp_path: Path, level: str) -> None:
    assert only(load_fleet(write(tmp_path, h1=host("h1", level)))).code == "S046"


def test_a_whole_level_as_people_write_it_is_accepted(tmp_path: Path) -> None:
    level = ipmi(
        "ip: '[fd00::1]', username: admin@bmc, lanplus: '1', cipher: '3', power_wait: '2'", "password: {file: a/b-1}"
    )

    assert codes(load_fleet(write(tmp_path, h1=host("h1", level)))) == []


def test_two_outlets_of_one_host_are_refused_as_levels(tmp_path: Path) -> None:
    """Levels are alternatives: one feed that is off would pass for a host that is off."""
    levels = plug("ip: 10.1.0.9, plug: '3'"), plug("ip: 10.1.0.10, plug: '3'")

    problem = only(load_fleet(write(tmp_path, h1=host("h1", *levels))))

    assert (problem.code, problem.field) == ("S048", "spec.fencing[1]")
    assert "a host with two power supplies" in problem.message


def test_outlets_of_one_device_in_one_level_must_all_be_off(tmp_path: Path) -> None:
    """Agents take several plugs and say off only of all."""
    levels = ipmi("ip: 10.1.0.1"), plug("ip: 10.1.0.9, plug: '3,4'")

    assert codes(load_fleet(write(tmp_path, h1=host("h1", *levels)))) == []


GUID = "11223344-5566-7788-99aa-bbccddeeff01"


def annotated(name: str, guid: str) -> str:
    """A host that names the GUID of its BMC."""
    plain = host(name, ipmi(f"ip: bmc-{name}"))
    return plain.replace(f"name: {name}", f"name: {name}, annotations: {{reconciler/bmc-guid: '{guid}'}}", 1)


@pytest.mark.parametrize("other", [GUID, GUID.upper(), GUID.replace("-", "")])
def test_two_hosts_that_name_one_bmc_by_its_guid_are_both_refused(tmp_path: Path, other: str) -> None:
    loaded = load_fleet(write(tmp_path, h1=annotated("h1", GUID), h2=annotated("h2", other), h3=host("h3")))

    assert codes(loaded) == ["S049", "S049"]
    assert "is named by Host/h2 too" in loaded.problems[0].message
    assert list(loaded.hosts) == ["h3"]


def test_a_guid_of_its_own_may_be_named_by_each_host(tmp_path: Path) -> None:
    other = GUID.replace("01", "02")

    assert codes(load_fleet(write(tmp_path, h1=annotated("h1", GUID), h2=annotated("h2", other)))) == []


def test_a_guid_that_is_none_is_refused(tmp_path: Path) -> None:
    problem = only(load_fleet(write(tmp_path, h1=annotated("h1", "4711"))))

    assert problem.code == "S049"
    assert "'4711' is no GUID" in problem.message
