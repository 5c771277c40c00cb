"""Which programs are run as agents, what they are told, and what is never shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconciler.errors import FencingError
from reconciler.fencing.redaction import reason, redacted
from reconciler.fencing.secrets import Credentials
from reconciler.model.host import FencingLevel
from reconciler.model.secret_ref import SecretRef
from tests.unit.fencing.rack import AGENT, Attempts, Rack, host, never, said

GEHEIM = "s3cret with 'quotes' & more"
FILE = SecretRef(file="h1-bmc")


def _message(rack: Rack, level: FencingLevel) -> str:
    return rack.devices().test(host(level), identity=None).message


def test_parameters_and_secrets_reach_the_agent_on_its_standard_input_only(rack: Rack) -> None:
    outlet = rack.outlet("1")
    (rack.credentials / "h1-bmc").write_text(f"{GEHEIM}\n")

    rack.devices().power(host(rack.level(outlet, password=FILE)))

    assert said(outlet) == [f"plug={outlet}", "mode=obey", f"password={GEHEIM}", "action=status"]
    assert GEHEIM not in Path(f"{outlet}.arguments").read_text()
    assert GEHEIM not in Path(f"{outlet}.env").read_text()


def test_an_agent_gets_nothing_of_the_controllers_environment(rack: Rack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    outlet = rack.outlet("1")

    rack.devices().power(host(rack.level(outlet)))

    names = {line.partition("=")[0] for line in Path(f"{outlet}.env").read_text().splitlines()}
    assert names <= {"PATH", "LC_ALL", "PYTHONWARNINGS", "RECONCILER_FENCE_RUN", "PWD", "OLDPWD", "SHLVL", "_"}


def test_an_agent_that_the_policy_does_not_list_is_not_run(rack: Rack) -> None:
    outlet = rack.outlet("1")
    rack.install("fence_other", (rack.agents / AGENT).read_text())

    message = _message(rack, rack.level(outlet, agent="fence_other"))

    assert "fence_other is not among the fence agents that may be run" in message
    assert not Path(f"{outlet}.log").exists()


def test_a_link_within_the_directory_is_an_agent_and_one_that_leads_out_is_not(rack: Rack, tmp_path: Path) -> None:
    (rack.agents / "fence_in").symlink_to(AGENT)
    shutil.copy(rack.agents / AGENT, tmp_path / "outside")
    (rack.agents / "fence_out").symlink_to(tmp_path / "outside")
    devices = rack.devices(fence_agents=("fence_in", "fence_out"))

    inside = devices.test(host(rack.level(rack.outlet("1"), agent="fence_in")), identity=None)
    outside = devices.test(host(rack.level(rack.outlet("2"), agent="fence_out")), identity=None)

    assert inside.passed
    assert not outside.passed
    assert "leads out of" in outside.message


def test_an_agent_that_is_not_installed_is_named(rack: Rack) -> None:
    message = _message(rack, rack.level(rack.outlet("1"), agent="fence_virsh"))

    assert f"{rack.agents}/fence_virsh: no such file" in message


def test_an_agent_that_everybody_may_write_is_not_run(rack: Rack) -> None:
    (rack.agents / AGENT).chmod(0o777)

    assert "may be written by everybody" in _message(rack, rack.level(rack.outlet("1")))


def test_a_parameter_that_is_refused_keeps_the_agent_from_being_run(rack: Rack) -> None:
    outlet, attempts = rack.outlet("1"), Attempts()
    level = FencingLevel(agent=AGENT, parameters={"plug": str(outlet), "method": "cycle"})

    with pytest.raises(FencingError, match=r"parameters\.method is not passed on"):
        rack.devices().fence(host(level), "i1", attempts, never())

    assert not Path(f"{outlet}.log").exists()


def test_a_secret_that_an_agent_prints_is_not_shown(rack: Rack) -> None:
    (rack.credentials / "h1-bmc").write_text(GEHEIM)
    attempts = Attempts()
    level = rack.level(rack.outlet("1"), "leak", password=FILE)

    with pytest.raises(FencingError) as failed:
        rack.devices().fence(host(level), "i1", attempts, never())

    assert GEHEIM not in f"{failed.value}{attempts.ended_}"
    assert "Login with '***' denied" in failed.value.message


def test_secrets_are_found_in_whichever_way_they_are_quoted() -> None:
    text = """-P 's3cret with '"'"'quotes'"'"' & more' and s3cret%20with%20%27quotes%27%20%26%20more"""

    assert redacted(text, [GEHEIM]) == "-P *** and ***"


def test_a_reason_is_one_short_line_without_what_a_terminal_would_obey() -> None:
    text = "2026-11-23 09:00:00,123 ERROR: Unable to connect\x1b[2J\n\n\nPlease use '-h' for usage\n" + "x" * 5000

    told = reason(text, [])

    assert told.startswith("Unable to connect?[2J; xxx")
    assert len(told) <= 301


def test_a_line_that_an_agent_logs_twice_is_told_once_with_the_option_that_it_ignored() -> None:
    text = """WARNING:root:Parse error: Ignoring unknown option 'usernme=admin'\n
ERROR:root:Unable to obtain correct plug status\n
2026-11-23 12:25:19,346 ERROR: Unable to obtain correct plug status\n"""

    told = reason(text, [])

    assert told == "Parse error: Ignoring unknown option 'usernme=admin'; Unable to obtain correct plug status"


def test_a_bmc_that_tells_no_power_is_told_with_what_to_check_and_no_secret(rack: Rack) -> None:
    rack.install("fence_ipmilan", "#!/bin/sh\nexit 1\n")
    rack.environ["BMC"] = GEHEIM
    parameters = {"ip": "10.1.0.11", "username": "admin", "lanplus": "1", "cipher": "3"}
    level = FencingLevel(agent="fence_ipmilan", parameters=parameters, secrets={"password": SecretRef(env="BMC")})

    message = _message(rack, level)

    by_hand = "ipmitool -I lanplus -H 10.1.0.11 -U admin -C 3 -a chassis status"
    assert f"check address, username, password and cipher: {by_hand}" in message
    assert GEHEIM not in message


def test_an_agent_that_could_not_be_run_is_told_with_what_to_do(rack: Rack) -> None:
    assert "apt install fence-agents" in _message(rack, rack.level(rack.outlet("1"), agent="fence_virsh"))


def test_a_secret_that_is_missing_is_told_with_the_command_that_makes_it(rack: Rack) -> None:
    message = _message(rack, rack.level(rack.outlet("1"), password=FILE))

    assert "install -D -m 600 /dev/stdin /etc/reconciler/credentials/h1-bmc" in message


# -- where secrets come from -------------------------------------------------------------------------------------------


def test_a_secret_is_found_as_systemd_hands_it_over(rack: Rack) -> None:
    outlet = rack.outlet("1")
    (rack.credentials / "secret_rack_h1-bmc").write_text("geheim\n")

    rack.devices().power(host(rack.level(outlet, password=SecretRef(file="rack/h1-bmc"))))

    assert "password=geheim" in said(outlet)


def test_a_secret_out_of_the_environment_keeps_blanks_and_quotes(rack: Rack) -> None:
    outlet = rack.outlet("1")
    rack.environ["BMC"] = ' "x" '

    rack.devices().power(host(rack.level(outlet, password=SecretRef(env="BMC"))))

    assert 'password=" "x" "' in said(outlet)  # the agent strips one pair of quotes


def test_a_key_file_is_passed_by_its_path(rack: Rack) -> None:
    outlet = rack.outlet("1")
    (rack.credentials / "h1-key").write_text("-----BEGIN …\nof several lines\n")

    rack.devices().power(host(rack.level(outlet, identity_file=SecretRef(file="h1-key"))))

    assert f"identity_file={rack.credentials}/h1-key" in said(outlet)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (SecretRef(file="nothing"), "password is read from the file nothing, which is not in"),
        (SecretRef(file="../outside"), "names no file of the credentials directory"),
        (SecretRef(file="/etc/passwd"), "names no file of the credentials directory"),
        (SecretRef(file="link"), "a link that leads out of"),
        (SecretRef(file="folder"), "is no file"),
        (SecretRef(file="empty"), "password is empty"),
        (SecretRef(file="lines"), "more than one line"),
        (SecretRef(env="NOTHING"), "the environment variable NOTHING, which is not set"),
        (SecretRef(), "name one source"),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_with_its_level_once(rack: Rack, reference: SecretRef, words: str) -> None:
    (rack.folder / "outside").write_text("precious")
    (rack.credentials / "link").symlink_to(rack.folder / "outside")
    (rack.credentials / "folder").mkdir()
    (rack.credentials / "empty").write_text("\n")
    (rack.credentials / "lines").write_text("precious\naction=on\n")

    message = _message(rack, rack.level(rack.outlet("1"), password=reference))

    assert words in message
    assert message.count("level 1") == 1
    assert "precious" not in message


@pytest.mark.parametrize(
    ("folder", "file", "exposed"), [(0o755, 0o644, True), (0o700, 0o644, False), (0o755, 0o600, False)]
)
def test_a_secret_that_every_account_can_read_is_found(rack: Rack, folder: int, file: int, *, exposed: bool) -> None:
    secret = rack.credentials / "h1-bmc"
    secret.write_text("geheim")
    secret.chmod(file)
    rack.credentials.chmod(folder)
    level = rack.level(rack.outlet("1"), password=FILE, other=SecretRef(file="nothing"))

    assert Credentials(rack.environ).exposed(level) == ((secret,) if exposed else ())
