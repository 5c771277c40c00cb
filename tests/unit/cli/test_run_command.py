"""What keeps `run` from beginning, and what of it can be seen before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.worlds import FakeSession, doors


def test_a_daemon_that_a_mistake_keeps_from_running_says_so_by_its_exit_code(specs: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("flete: lab\n")

    result = invoke("run", specs, "--config", config, onto=doors(FakeSession([EMPTY])))

    assert result.exit_code == 78
    assert "did you mean fleet?" in result.stderr


def test_specs_that_may_yet_be_mounted_are_an_error_that_may_pass(tmp_path: Path) -> None:
    result = invoke("run", tmp_path / "gone", onto=doors(FakeSession([EMPTY])))

    assert result.exit_code == 1


@pytest.mark.parametrize(("text", "code"), [("fleet: lab\n", 0), ("fleet: [\n", 1), ("shutdownTimeout: soon\n", 1)])
def test_config_check_is_silent_unless_it_can_not_be_used(specs: Path, tmp_path: Path, text: str, code: int) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)

    result = invoke("config", "check", specs, "--config", config)

    assert (result.exit_code, result.stdout, bool(result.stderr)) == (code, "", bool(code))
