"""Attack cases 16 to 25, 28 and 34 to 37: what a spec says, and what is put among the specs.

Each goes in by the door that specs use, is refused by the code of its kind, and nothing that it leads to is told.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from reconciler.cli.open_directories import refuse_open_directories
from reconciler.clock import SystemClock
from reconciler.errors import ConfigurationError, FencingError, SecretRefused, StateError
from reconciler.fencing.agents import Agents
from reconciler.fencing.secrets import Credentials
from reconciler.ledger.state_directory import prepare_state_directory
from reconciler.model.host import FencingLevel
from reconciler.model.policy import HighAvailability
from reconciler.model.secret_ref import SecretRef
from reconciler.specfiles.loader import LoadedSpecs
from tests.unit.specfiles.fleets import BASE, codes, document, load_fleet, only, vm, write

PASSWORD = "hunter2"  # noqa: S105  # the word that must not be shown


def refused(tmp_path: Path, text: str) -> LoadedSpecs:
    """The fleet with `text` as one more file, of which nothing is usable."""
    specs = tmp_path / "specs"
    specs.mkdir()
    loaded = load_fleet(write(specs, base=BASE, evil=text))
    assert loaded.vms == {}
    assert loaded.errors
    assert PASSWORD not in repr(loaded.problems)
    return loaded


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/cron.d/x",
        "..",
        "a/b",
        '"a\\0b"',
        '"a\\nb"',
        "wеb-1",
        "web\u2024x",
        '"web\\u200b"',
        "WEB",
        "a.b",
        "-a",
        '""',
    ],
)
def test_16_names_that_are_paths_or_look_like_others(tmp_path: Path, name: str) -> None:
    assert set(codes(refused(tmp_path, vm(name)))) <= {"S010", "S019"}


@pytest.mark.parametrize("field", ["memory: 1GiB, machine", "memory: 1GiB, domainType", "memory"])
def test_17_xml_where_a_word_belongs(tmp_path: Path, field: str) -> None:
    evil = "\"</name><qemu:commandline><qemu:arg value='-x'/></qemu:commandline>\""

    refused(tmp_path, vm("web", f"{field}: {evil}"))


@pytest.mark.parametrize(
    "field",
    [
        "emulator: /tmp/evil",
        "loader: /etc/shadow",
        "kernel: /boot/vmlinuz",
        "kernelArgs: x",
        "xml: '<x/>'",
        "filesystems: [{source: /}]",
        "serial: {file: /etc/shadow}",
        "serial: {tcp: '0.0.0.0:1'}",
        "seclabel: {type: none}",
        "hooks: {start: /tmp/x}",
        "qemuArgs: ['-x']",
    ],
)
def test_18_what_would_reach_into_the_host_cannot_be_expressed(tmp_path: Path, field: str) -> None:
    assert codes(refused(tmp_path, vm("web", f"memory: 1GiB, {field}"))) == ["S014"]


@pytest.mark.parametrize(
    "field",
    [
        "disks: [{name: root, pool: vms, size: 1GiB, path: /dev/sda}]",
        "disks: [{name: root, pool: vms, size: 1GiB, source: /dev/sda}]",
        "hostDevices: ['0000:00:1f.0']",
        "disks: [{name: ../../dev/sda, pool: vms, size: 1GiB}]",
        "disks: [{name: root, pool: /dev, size: 1GiB}]",
    ],
)
def test_19_disks_and_devices_of_the_host(tmp_path: Path, field: str) -> None:
    """There is no allowlist, as they can't be expressed."""
    assert set(codes(refused(tmp_path, vm("web", f"memory: 1GiB, {field}")))) <= {"S014", "S019"}


@pytest.mark.parametrize("kind", ["aliases", "nesting", "size"])
def test_20_alias_bombs_deep_nesting_and_size(tmp_path: Path, kind: str) -> None:
    text = {
        "aliases": "a0: &a0 [x,x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 30)),
        "nesting": "a: " + "[" * 5000 + "]" * 5000,
        "size": "a: " + "x" * (2 << 20),
    }[kind]

    assert codes(refused(tmp_path, text)) in (["S010"], ["S007"])


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['touch pwned']", "!x y", "!!binary aGk="])
def test_21_tags(tmp_path: Path, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert codes(refused(tmp_path, f"a: {tag}\n")) == ["S010"]
    assert not (tmp_path / "pwned").exists()


def test_22_keys_that_are_there_twice(tmp_path: Path) -> None:
    assert codes(refused(tmp_path, vm("web").replace("spec:", "spec: {}\nspec:"))) == ["S010"]


def test_23_words_and_numbers_are_what_yaml_1_2_says(tmp_path: Path) -> None:
    """`NO` is a text, so is a MAC without quotes, and `1:2:3` is no number in base 60."""
    spec = "memory: 1GiB, networks: [{network: lan, mac: 52:54:00:12:34:56}]"

    loaded = load_fleet(write(tmp_path, base=BASE, web=vm("web", spec, "{zone: NO, ratio: 1:2:3}")))

    assert loaded.problems == ()
    assert loaded.vms["web"].metadata.labels == {"zone": "NO", "ratio": "1:2:3"}
    assert loaded.vms["web"].spec.networks[0].mac == "52:54:00:12:34:56"


@pytest.mark.parametrize("target", ["file", "directory"])
def test_24_a_link_that_leaves_the_directory(tmp_path: Path, target: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shadow").write_text(f"{PASSWORD}: [")
    specs = tmp_path / "specs"
    specs.mkdir()
    write(specs, base=BASE)
    (specs / "evil.yaml").symlink_to(outside if target == "directory" else outside / "shadow")

    loaded = load_fleet(specs)

    assert only(loaded).code == "S006"
    assert PASSWORD not in repr(loaded)


@pytest.mark.parametrize(
    ("kind", "code"), [("fifo", "S005"), ("device", "S006"), ("socket", "S005"), ("giant", "S007")]
)
def test_25_what_would_block_or_never_end(tmp_path: Path, kind: str, code: str) -> None:
    """Skipped with an error; the other specs are read."""
    write(tmp_path, base=BASE, web=vm("web"))
    path = tmp_path / "evil.yaml"
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "fifo":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case "socket":
                listener.bind(str(path))
            case _:
                with path.open("wb") as giant:
                    giant.truncate(1 << 40)
        loaded = load_fleet(tmp_path)

    assert only(loaded).code == code
    assert set(loaded.vms) == {"web"}


@pytest.mark.parametrize(
    "lines", [f"password: {PASSWORD}", f"chpasswd: {{list: 'root:{PASSWORD}'}}\npassword: {PASSWORD}"]
)
def test_28_a_plain_password_in_a_seed(tmp_path: Path, lines: str) -> None:
    """Told, and not shown."""
    text = "\n".join(f"        {line}" for line in ("#cloud-config", *lines.splitlines()))
    spec = f"""\
apiVersion: reconciler/v1
kind: VirtualMachine
metadata: {{name: web}}
spec:
    memory: 1GiB
    disks: [{{name: root, pool: vms, size: 1GiB}}]
    cloudInit:
      userData: |
{text}
"""

    problem = only(load_fleet(write(tmp_path, base=BASE, web=spec)))

    assert problem.code == "S040"
    assert PASSWORD not in repr(problem)


def test_30_a_spec_that_claims_another_vms_mac(tmp_path: Path) -> None:
    nic = "memory: 1GiB, networks: [{network: lan, mac: '52:54:00:12:34:56'}]"

    loaded = load_fleet(write(tmp_path, base=BASE, web=vm("web", nic), evil=vm("evil", nic)))

    assert codes(loaded) == ["S031", "S031"]
    assert loaded.vms == {}


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://h3/system?no_verify=1",
        "qemu+ssh://h3/system?command=/tmp/evil",
        "qemu+ssh://h3/system?netcat=/tmp/evil",
        "qemu+ssh://h3/system?unheard_of=1",
        "qemu+ext:///system?command=/tmp/evil",
        f"qemu+tcp://root:{PASSWORD}@h3/system",
        "http://169.254.169.254/system",
    ],
)
def test_31_parameters_of_a_host_uri_that_run_programs_or_switch_checks_off(tmp_path: Path, uri: str) -> None:
    problem = only(refused(tmp_path, document("Host", "h3", f"uri: '{uri}'")))

    assert (problem.code, problem.field) == ("S019", "spec.uri")


@pytest.mark.parametrize(
    "value", ['"1\\naction=on"', '"1\\raction=on"', "1 --action=on", "-x", "$(id)", "'a;b'", '"a\\0b"']
)
def test_34_newlines_and_words_in_a_fence_parameter(tmp_path: Path, value: str) -> None:
    level = f"uri: 'qemu+ssh://h3/system', fencing: [{{agent: fence_ipmilan, parameters: {{plug: {value}}}}}]"

    assert set(codes(refused(tmp_path, document("Host", "h3", level)))) <= {"S010", "S019", "S046"}


@pytest.mark.parametrize("name", ["action", "option", '"ip=1\\naction"', "a=b", "method", "password_script"])
def test_34_names_of_parameters_that_mean_something_else(tmp_path: Path, name: str) -> None:
    level = f"uri: 'qemu+ssh://h3/system', fencing: [{{agent: fence_ipmilan, parameters: {{{name}: x}}}}]"

    assert set(codes(refused(tmp_path, document("Host", "h3", level)))) <= {"S010", "S019", "S046"}


def test_34_a_secret_with_a_newline(tmp_path: Path) -> None:
    (tmp_path / "bmc").write_text(f"{PASSWORD}\naction=on\n")
    level = FencingLevel(agent="fence_ipmilan", secrets={"password": SecretRef(file="bmc")})

    with pytest.raises(FencingError, match="more than one line") as caught:
        Credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)}).of(level, "Host/h3")

    assert isinstance(caught.value.__cause__, SecretRefused)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("which", ["specs", "credentials"])
def test_36_a_directory_that_everybody_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    """No controller starts on it."""
    for name in ("specs", "credentials"):
        (tmp_path / name).mkdir(mode=0o700)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    refuse_open_directories(tmp_path / "specs")
    (tmp_path / which).chmod(0o777)

    with pytest.raises(ConfigurationError, match="everybody may write this directory"):
        refuse_open_directories(tmp_path / "specs")


def test_36_a_state_directory_that_everybody_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(StateError, match="writable by everybody"):
        prepare_state_directory(tmp_path)


@pytest.mark.parametrize("agent", ["/opt/fence_evil", "../fence_evil", "fence_evil;id", "sh", '"fence_x\\n"'])
def test_37_a_fence_agent_by_its_path(tmp_path: Path, agent: str) -> None:
    problem = only(
        refused(tmp_path, document("Host", "h3", f"uri: 'qemu+ssh://h3/system', fencing: [{{agent: {agent}}}]"))
    )

    assert (problem.code, problem.field) == ("S019", "spec.fencing[0].agent")


def test_37_a_fence_agent_that_is_not_listed() -> None:
    with pytest.raises(FencingError, match="is not among the fence agents that may be run"):
        Agents(HighAvailability(), SystemClock()).find("fence_scsi")
