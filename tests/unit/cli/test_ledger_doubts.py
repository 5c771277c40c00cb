"""Commands that only look work with a ledger that is not to be relied on, and say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.cli.outside import Outside, Session, production
from reconciler.config import Settings
from reconciler.model.ledger_store import POSITION_FILE
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.worlds import FakeSession, doors

pytestmark = pytest.mark.usefixtures("_own_environment")

_CLOSED = "http://127.0.0.1:9"


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The state directory of a controller whose ledger is in etcd."""
    state = tmp_path / "left"
    state.mkdir()
    (state / POSITION_FILE).touch()
    return state


@pytest.mark.parametrize("command", [("plan",), ("why", "VirtualMachine/web-1")])
def test_who_looks_without_the_etcd_that_has_the_ledger_is_warned(
    specs: Path, left: Path, command: tuple[str, ...]
) -> None:
    name, *target = command

    result = invoke("--state-dir", left, "--specs", specs, name, *target, onto=FakeSession([EMPTY]))

    assert "warning: the ledger of this fleet is in etcd" in result.stderr


def test_check_fails_there(specs: Path, left: Path) -> None:
    result = invoke("--state-dir", left, "check", specs, onto=FakeSession([EMPTY]))

    assert result.exit_code == 1
    assert "✗ ledger: the ledger of this fleet is in etcd" in result.stdout


def test_pause_is_refused_there(left: Path) -> None:
    result = invoke("--state-dir", left, "pause", onto=production())

    assert result.exit_code == 1
    assert "the configuration names no etcd" in result.stderr


def test_check_asks_the_hosts_also_where_etcd_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_LEDGER_ETCD_ENDPOINTS", _CLOSED)
    (tmp_path / "host.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec: {uri: 'test:///default'}\n"
    )

    result = invoke("--state-dir", tmp_path / "state", "check", tmp_path, onto=_without_etcd(FakeSession([EMPTY])))

    assert "✗ controller: etcd does not answer" in result.stdout
    assert "✗ h1: it was not asked" in result.stdout
    assert "! fence devices: what was tested of them is in etcd, which does not answer" in result.stdout
    assert "checks failed" in result.stdout


def _without_etcd(session: FakeSession) -> Outside:
    """Doors where no session can be had of settings that name an etcd, as if that were down."""

    @contextmanager
    def open_session(settings: Settings, writer: str | None) -> Iterator[Session]:
        assert settings.etcd is None
        assert writer is None
        yield session

    return replace(doors(session), open_session=open_session)
