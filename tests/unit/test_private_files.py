"""What root makes in the folder of a service's user stays usable by that user."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.images.catalog import ImageStore
from reconciler.ledger.controller_lock import ControllerLock
from reconciler.ledger.store import Ledger
from reconciler.model.policy import Policy
from reconciler.private_files import open_private
from tests.unit.images.conftest import content, url_image, web
from tests.unit.images.test_catalog import sha256
from tests.unit.images.web import WebServer

__all__ = ["content", "web"]

SERVICE = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root works in folders of others")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of a service that runs as another user."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, SERVICE, SERVICE)
    return folder


@as_root
def test_everything_that_root_makes_beside_a_service_is_the_services(state: Path, web: WebServer) -> None:
    with ControllerLock(state, "apply", SystemClock()), Ledger(state) as ledger:
        ledger.record_placement("web", "h1", 1, 0.0)
        store = ImageStore(state, Policy(allow_http=True, allow_private_addresses=True))
        store.fetch(url_image(web.url(), sha256(web.content)), lambda _done, _total: None, threading.Event())

        made = {path.name: path.stat() for path in state.rglob("*")}

    assert {name for name, found in made.items() if found.st_uid != SERVICE} == set()
    assert {"controller.lock", "ledger.sqlite3", "images", "index.json"} <= made.keys()


@as_root
def test_file_that_was_there_already_is_not_given_away(state: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    os.link(tmp_path / "secret", state / "ledger.sqlite3")

    os.close(open_private(state / "ledger.sqlite3"))

    assert (tmp_path / "secret").stat().st_uid == 0


def test_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    os.close(open_private(tmp_path / "made"))

    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600
