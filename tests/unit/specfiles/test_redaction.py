"""Nothing secret gets into a problem, whatever else is wrong with the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.specfiles.loader import load
from tests.unit.specfiles.fleets import BASE, codes, load_fleet, only, vm, write

SECRET = "hunter2"  # noqa: S105 - the word that must not be shown

HEAD = "apiVersion: reconciler/v1\nkind: VirtualMachine\nmetadata: {name: web-1}\nspec:\n  memory: 1GiB\n"


@pytest.mark.parametrize(
    "rest",
    [
        f"  cloudInit:\n    userdata: |\n      #cloud-config\n      runcmd: [echo {SECRET}]\n",
        f'  cloudInit: {{userdata: "{SECRET}"}}\n',
        f'  cloudInit: {{userData: "{SECRET}", userDta: x}}\n',
        f"  cloudInit:\n    userData: [{SECRET}]\n",
        f"  cloudInit:\n    userData: {{a: {SECRET}}}\n",
        f"  cloudInit:\n    userData: |\n      #cloud-config\n      a\n  - {SECRET}: {SECRET}\n",
        f"  cloudInit:\n    userData: |\n      #cloud-config\n {SECRET}: *{SECRET}\n",
        f'  cloudInit:\n    userData: "{SECRET}\n',
        f"  cloudInit:\n    userData: x\n    {SECRET} {SECRET}\n",
        f"  cloudInit:\n    userData: x\n    ? [{SECRET}]\n",
        f"  cloudInit:\n    userData: |\n      #cloud-config\n  dbpw: {SECRET}\n",
        f'  cloudInit: {{\n      userData: "a\n   {SECRET}", onChange: {SECRET}}}\n',
    ],
)
def test_what_stands_in_cloud_init_is_never_shown(tmp_path: Path, rest: str) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, web=HEAD + rest))

    assert loaded.problems
    for problem in loaded.problems:
        assert SECRET not in f"{problem.snippet} {problem.message} {problem.suggestion}"


def test_credentials_in_a_uri_are_starred_out(tmp_path: Path) -> None:
    host = (
        f"apiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: h9}}\nspec:\n  uri: http://root:{SECRET}@h9/system\n"
    )

    problem = only(load_fleet(write(tmp_path, base=BASE, host=host)))

    assert SECRET not in problem.snippet + problem.message
    assert "@h9/system" in problem.snippet


def test_a_fencing_parameter_is_never_shown(tmp_path: Path) -> None:
    host = (
        "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h9}\nspec:\n  uri: qemu:///system\n"
        f"  fencing:\n    - agent: fence_ipmilan\n      parameters:\n        password: [{SECRET}]\n"
    )

    problem = only(load_fleet(write(tmp_path, base=BASE, host=host)))

    assert SECRET not in problem.snippet + problem.message


def test_the_mistyped_key_itself_is_shown(tmp_path: Path) -> None:
    web = HEAD + f"  disks: [{{name: root, pool: vms, size: 1GiB}}]\n  cloudInit:\n    userdata: {SECRET}\n"

    problem = only(load_fleet(write(tmp_path, base=BASE, web=web)))

    assert (problem.snippet, problem.suggestion) == ("    userdata:", "userData")


@pytest.mark.parametrize(
    ("user_data", "expected"),
    [
        ("#cloud-config\npassword: abc", ["S040"]),
        ("#cloud-config\nusers:\n  - name: a\n    plain_text_passwd: abc", ["S040"]),
        ("#cloud-config\nchpasswd:\n  list: |\n    root:abc", ["S040"]),
        ("#cloud-config\nssh_keys:\n  rsa_private: |\n    -----BEGIN RSA PRIVATE KEY-----", ["S040"]),
        ("#cloud-config\nusers:\n  - name: a\n    passwd: $6$salt$hash", []),
        ("#cloud-config\nchpasswd:\n  list: |\n    root:RANDOM", []),
        ("#cloud-config\nlock_passwd: true\nssh_pwauth: false", []),
        ("hostname: web-1", ["S041"]),
        ("#!/bin/sh\necho", []),
    ],
)
def test_secrets_and_missing_headers_in_user_data_are_warned_about(
    tmp_path: Path, user_data: str, expected: list[str]
) -> None:
    block = "".join(f"      {line}\n" for line in user_data.splitlines())
    disk = "  disks: [{name: root, pool: vms, size: 1GiB}]\n"
    web = f"{HEAD}{disk}  cloudInit:\n    userData: |\n{block}"

    loaded = load_fleet(write(tmp_path, base=BASE, web=web))

    assert codes(loaded) == expected
    assert list(loaded.vms) == ["web-1"]


@pytest.mark.parametrize("line", ["password: abc", "key: -----BEGIN RSA PRIVATE KEY-----"])
def test_where_the_policy_refuses_secrets_in_specs_the_object_is_not_used(tmp_path: Path, line: str) -> None:
    disk = "  disks: [{name: root, pool: vms, size: 1GiB}]\n"
    web = f"{HEAD}{disk}  cloudInit:\n    userData: |\n      #cloud-config\n      {line}\n"

    loaded = load(write(tmp_path, base=BASE, web=web), fleet="f", plain_secrets="refuse")

    assert "S053" in codes(loaded)
    assert "secrets: {NAME: {file: NAME}}" in loaded.errors[0].message
    assert loaded.vms == {}


def test_a_placeholder_that_yaml_takes_apart_is_told_with_its_place(tmp_path: Path) -> None:
    disk = "  disks: [{name: root, pool: vms, size: 1GiB}]\n"
    seed = "    userData: |\n      #cloud-config\n      a: {b: ${secret:x}}\n    secrets: {x: {env: X}}\n"

    problem = only(load_fleet(write(tmp_path, base=BASE, web=f"{HEAD}{disk}  cloudInit:\n{seed}")))

    assert problem.code == "S052"
    assert 'line 2 is no YAML; within braces and brackets write it in quotes: "${secret:NAME}"' in problem.message


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ("{userData: '#! ${secret:x}'}", "${secret:x} stands for nothing; name it below secrets"),
        ("{userData: '#!', secrets: {x: {env: X}}}", "secrets.x has no place; write ${secret:x} where it belongs"),
        ("{userData: '#! ${secret:x}', secrets: {x: {}}}", "secrets.x: name one source"),
        ("{userData: '#! ${secret: x}'}", "a placeholder is not complete"),
    ],
)
def test_secrets_and_their_places_belong_together(tmp_path: Path, seed: str, message: str) -> None:
    web = f"{HEAD}  disks: [{{name: root, pool: vms, size: 1GiB}}]\n  cloudInit: {seed}\n"

    assert message in only(load_fleet(write(tmp_path, base=BASE, web=web))).message


def test_a_fencing_password_in_the_open_and_a_connection_in_the_clear_are_warned_about(tmp_path: Path) -> None:
    spec = "uri: 'qemu+tcp://h9/system', fencing: [{agent: fence_ipmilan, parameters: {password: x}}]"
    loaded = load_fleet(write(tmp_path, base=BASE, host=vm("h9", spec).replace("VirtualMachine", "Host")))

    assert codes(loaded) == ["S042", "S040"]
    assert "h9" in loaded.hosts
