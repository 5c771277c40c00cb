"""A daemon whose configuration is read again: what can be used is taken up, what can't is told, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.config import Settings, load_settings
from reconciler.daemon.notify import ServiceManager
from reconciler.daemon.reload import Reload

Write = Callable[[str], None]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    file = tmp_path / "config.yaml"
    file.write_text("specs: specs\nshutdownTimeout: 2m\n")
    return file


@pytest.fixture
def reload(config: Path) -> Reload:
    def read() -> Settings:
        return load_settings({}, {}, config_file=config)

    return Reload(read(), read, ServiceManager(""))


def _after(reload: Reload, config: Path, text: str) -> str:
    """Why the daemon begins afresh once `text` is the configuration and it was asked to read it."""
    config.write_text(text)
    reload.ask()
    return reload.why_over()


def test_a_changed_setting_is_taken_up(reload: Reload, config: Path) -> None:
    assert _after(reload, config, "specs: specs\nshutdownTimeout: 5m\n") == "the configuration changed"

    assert reload.take_up().policy.shutdown_timeout == 300
    assert (reload.why_over(), reload.problems()) == ("", ())


def test_a_part_of_a_setting_is_a_change_too(reload: Reload, config: Path) -> None:
    assert _after(reload, config, "specs: specs\nmassDeletion: {share: 0.1, count: 9}\n") != ""


def test_without_being_asked_nothing_is_read(reload: Reload, config: Path) -> None:
    config.write_text("specs: specs\nshutdownTimeout: 5m\n")

    assert reload.why_over() == ""
    assert reload.take_up().policy.shutdown_timeout == 120


def test_the_same_settings_written_otherwise_are_no_change(reload: Reload, config: Path) -> None:
    assert _after(reload, config, "# a comment\nshutdownTimeout: 120s\nspecs: specs\n") == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("specs: specs\nshutdownTimeot: 5m\n", "config.yaml:2: shutdownTimeot is no setting"),
        ("specs: [", "config.yaml:"),
        ("specs: gone\n", "gone: no such file or directory"),
        ("specs: specs\nfleet: other\n", "fleet can't be changed while it runs; restart it"),
        ("specs: specs\nstateDir: /elsewhere\n", "stateDir can't be changed"),
        ("specs: specs\nledger: {etcd: {endpoints: ['https://e1:2379']}}\n", "ledger.etcd.endpoints can't be changed"),
    ],
)
def test_what_can_not_be_used_leaves_all_as_it_is_and_is_told(
    reload: Reload, config: Path, text: str, told: str
) -> None:
    before = reload.take_up()

    assert _after(reload, config, text) == ""
    assert reload.take_up() is before
    assert told in " ".join(reload.problems())


def test_a_mistake_that_was_mended_is_told_no_more(reload: Reload, config: Path) -> None:
    _after(reload, config, "specs: [")

    _after(reload, config, "specs: specs\nshutdownTimeout: 2m\n")

    assert reload.problems() == ()
