"""Settings: flag over environment over file over default."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.config import environment_variable, load_settings, setting_keys
from reconciler.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("fleet: lab\nshutdownTimeout: 30s\nspecs: fleet\nlimits:\n  actionsPerHost: 3\n")
    return path


def test_the_file_stands_over_defaults(file: Path) -> None:
    settings = load_settings(environ={}, config_file=file)

    assert (settings.fleet, settings.policy.shutdown_timeout, settings.policy.limits.actions_per_host) == (
        "lab",
        30.0,
        3,
    )


def test_the_environment_stands_over_the_file(file: Path) -> None:
    environ = {"RECONCILER_FLEET": "other", "RECONCILER_LIMITS_ACTIONS_PER_HOST": "7", "RECONCILER_ALLOW_HTTP": "true"}

    settings = load_settings(environ=environ, config_file=file)

    assert (settings.fleet, settings.policy.limits.actions_per_host, settings.policy.allow_http) == ("other", 7, True)


def test_a_flag_stands_over_everything(file: Path) -> None:
    settings = load_settings({"specs": "/flag"}, {"RECONCILER_SPECS": "/variable"}, config_file=file)

    assert settings.specs == Path("/flag")


def test_a_path_in_the_file_is_relative_to_the_file(file: Path) -> None:
    assert load_settings(environ={}, config_file=file).specs == file.parent / "fleet"


def test_each_origin_is_told(file: Path) -> None:
    settings = load_settings({"stateDir": "/s"}, {"RECONCILER_ALLOW_HTTP": "true"}, config_file=file)

    origins = {origin.key: origin.source for origin in settings.origins}
    assert origins["limits.actionsPerHost"] == f"{file}:5"
    assert origins["allowHttp"] == "environment RECONCILER_ALLOW_HTTP"
    assert origins["stateDir"] == "flag"
    assert origins["maxImageSize"] == "default"


def test_folders_are_a_list_in_the_file_and_one_text_in_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("imageDirectories: [/srv/images, /var/images]\n")
    variable = {"RECONCILER_IMAGE_DIRECTORIES": "/srv/images:/var/images"}

    for settings in (load_settings(environ={}, config_file=file), load_settings(environ=variable)):
        assert settings.policy.image_directories == ("/srv/images", "/var/images")
        shown = {origin.key: origin.value for origin in settings.origins}
        assert shown["imageDirectories"] == "/srv/images:/var/images"


def test_every_key_has_a_variable_of_its_own() -> None:
    assert len({environment_variable(key) for key in setting_keys()}) == len(setting_keys())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fleeet: lab\n", ":1: fleeet is no setting"),
        ("fleet: lab\nlimits: {actionsPerHost: 0}\n", ":2: limits.actionsPerHost"),
        ("fleet: [\n", ":1:"),
        ("- a\n", "one mapping"),
        ("fleet: Lab Two\n", "is not a name"),
        ("fleet: lab\nshutdownTimeout: 0s\n", ":2: shutdownTimeout: guests would be forced off without being asked"),
        ("imageDirectories: [images]\n", "is not an absolute path"),
        ("migration: {fallback: colld}\n", "'colld' is not possible here; did you mean `cold`? The possible values"),
        ("migration: {parallelConnections: 0}\n", "0 is too small; the least is 1"),
        ("migration: cold\n", "'cold' is not a mapping; write its keys below it, such as migration: {autoConverge: …}"),
        ("migration: {tls: maybe}\n", "'maybe' is neither true nor false"),
        ("migration: {bandwidth: 1KiB/s}\n", "write 1MiB/s or more"),
        ("migration: {stallAfter: 0s}\n", "every move would be given up at once"),
        ("balance: {threshold: 20%}\n", "'20%' is not a number"),
        ("windows: [{start: '3:00', duration: 1h}]\n", "'3:00' is no time of day; write HH:MM, such as 03:00"),
        ("windows: {start: '03:00'}\n", "windows: a mapping is not a list"),
        ("windows:\n- {start: '03:00', duration: 1h}\n- {duration: 1h}\n", "config.yaml:3: windows.start is missing"),
        ("metricsListen: localhost\n", "'localhost' has not the form"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)

    with pytest.raises(UsageError) as caught:
        load_settings(environ={}, config_file=file)

    assert told in caught.value.message
    assert str(file) in caught.value.message


def refused(folder: Path, text: str) -> UsageError:
    file = folder / "config.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(environ={}, config_file=file)
    return caught.value


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    error = refused(tmp_path, "fleeet: lab\nmigration:\n  fallback: colld\n  postcopy: true\n")

    assert all(place in error.message for place in (":1: fleeet", ":3: migration.fallback", ":4: migration.postcopy"))
    assert "did you mean migration.postCopy?" in error.message
    assert error.message.count(" · ") == 2
    assert error.hint == "correct these 3 and run again"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("policy: {failback: true}\n", "did you mean failback?"),
        ("migration: {colour: red}\n", "keys of migration: autoConverge, bandwidth,"),
        ("moves: {}\n", "known keys: allowHttp,"),
        (
            "windows: [{vms: {matchLabel: {a: b}}, start: '03:00', duration: 1h}]",
            "did you mean windows.vms.matchLabels?",
        ),
        ("notifications: [{name: a, url: {files: x}}]", "did you mean notifications.url.file?"),
    ],
)
def test_a_key_that_is_no_setting_leads_to_those_that_are(tmp_path: Path, text: str, hint: str) -> None:
    assert refused(tmp_path, text).hint.startswith(hint)


def test_the_bandwidth_of_moves_is_a_rate_or_a_size(tmp_path: Path) -> None:
    for text in ("100MiB/s", "100MiB"):
        file = tmp_path / "config.yaml"
        file.write_text(f"migration: {{bandwidth: {text}}}\n")
        assert load_settings(environ={}, config_file=file).policy.migration.bandwidth == 100 << 20


def test_a_password_that_was_written_into_the_file_is_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in refused(tmp_path, "ledger: {etcd: {username: c, password: hunter2}}\n").message


def test_a_named_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="can't be read"):
        load_settings(environ={}, config_file=Path("/nowhere/config.yaml"))


def test_no_directory_of_specs_is_an_error_that_says_how_to_name_one() -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(environ={}).specs_directory()

    assert "RECONCILER_SPECS" in caught.value.hint


def test_specs_in_a_file_are_refused_with_what_to_name_instead(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.touch()

    with pytest.raises(UsageError, match="not a directory") as caught:
        load_settings({"specs": str(file)}, environ={}).specs_directory()

    assert "directory that holds the specs" in caught.value.hint


def test_high_availability_is_set_by_variables_too() -> None:
    environ = {"RECONCILER_HA_PROFILE": "fast", "RECONCILER_HA_FENCE_AGENTS": "fence_ipmilan:fence_virsh"}

    ha = load_settings(environ=environ).policy.ha

    assert (ha.profile, ha.fence_agents, ha.probing.interval) == ("fast", ("fence_ipmilan", "fence_virsh"), 0.5)


def test_waits_that_contradict_one_another_are_refused(tmp_path: Path) -> None:
    """A host must be suspect before it can be unreachable, and be asked before it can be suspect."""
    file = tmp_path / "config.yaml"
    file.write_text("ha:\n  suspectAfter: 10s\n")

    with pytest.raises(UsageError, match="suspectAfter 10 s and unreachableAfter 6 s must each be longer"):
        load_settings(environ={}, config_file=file)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("compression: xbzrle, parallelConnections: 2", "compression: xbzrle has no effect over several connections"),
        ("postCopy: true, parallelConnections: 2", "postCopy does not work over several connections"),
        ("postCopy: true, fallback: pause", "fallback: pause is of no use beside postCopy"),
    ],
)
def test_rules_of_moves_that_contradict_one_another_are_refused(tmp_path: Path, rules: str, why: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"migration: {{{rules}}}\n")

    with pytest.raises(UsageError, match=why):
        load_settings(environ={}, config_file=file)


def test_several_controllers_are_configured_by_endpoints(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("ledger:\n  etcd:\n    endpoints: ['https://e1:2379', 'https://e2:2379/']\n    leaseTtl: 12s\n")

    settings = load_settings(environ={"RECONCILER_LEDGER_ETCD_PREFIX": "/x/"}, config_file=file)

    assert settings.etcd is not None
    assert settings.etcd.endpoints == ("https://e1:2379", "https://e2:2379")
    assert (settings.etcd.lease_ttl, settings.etcd.prefix) == (12.0, "/x")
    origins = {origin.key: origin.source for origin in settings.origins}
    assert origins["ledger.etcd.leaseTtl"] == f"{file}:4"


def test_endpoints_in_a_variable_are_separated_by_commas_and_a_password_is_a_reference() -> None:
    environ = {
        "RECONCILER_LEDGER_ETCD_ENDPOINTS": "https://e1:2379,https://e2:2379",
        "RECONCILER_LEDGER_ETCD_USERNAME": "reconciler",
        "RECONCILER_LEDGER_ETCD_PASSWORD": "file:etcd",
    }

    settings = load_settings(environ=environ)

    assert settings.etcd is not None
    assert settings.etcd.endpoints == ("https://e1:2379", "https://e2:2379")
    shown = {origin.key: origin.value for origin in settings.origins}
    assert shown["ledger.etcd.endpoints"] == environ["RECONCILER_LEDGER_ETCD_ENDPOINTS"]
    assert shown["ledger.etcd.password"] == environ["RECONCILER_LEDGER_ETCD_PASSWORD"]


def test_without_endpoints_the_ledger_is_a_file() -> None:
    assert load_settings(environ={}).etcd is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ENDPOINTS": "e1:2379"}, "is no endpoint"),
        ({"ENDPOINTS": "https://me:secret@e1:2379"}, "is no endpoint"),
        ({"LEASE_TTL": "2s"}, "3 s at the least"),
        ({"LEASE_TTL": "4500ms"}, "whole seconds"),
        ({"CERT": "/c.pem"}, "cert and key go together"),
        ({"USERNAME": "me"}, "username and password go together"),
        ({"USERNAME": "me", "PASSWORD": "file:x", "ENDPOINTS": "http://e1:2379"}, "in the open"),
    ],
)
def test_an_etcd_that_could_not_be_used_so_is_refused(settings: dict[str, str], said: str) -> None:
    environ = {f"RECONCILER_LEDGER_ETCD_{key}": value for key, value in settings.items()}

    with pytest.raises(UsageError, match=said) as caught:
        load_settings(environ=environ)

    assert "ledger.etcd" in caught.value.message


def test_receivers_are_told_by_name_and_their_urls_by_reference_only(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("notifications:\n  - {name: team, url: {file: team-url}, kinds: [Host], severity: critical}\n")

    settings = load_settings(environ={}, config_file=file)

    assert [(each.name, each.url.file, each.kinds) for each in settings.notifications] == [
        ("team", "team-url", ("Host",))
    ]


def test_a_url_that_is_written_into_the_configuration_is_refused_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("notifications:\n  - {name: team, url: 'ntfy://user:geheim@host/topic'}\n")

    with pytest.raises(UsageError, match=r"notifications\.url") as refused:
        load_settings(environ={}, config_file=file)

    assert "geheim" not in str(refused.value)
