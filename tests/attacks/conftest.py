"""Real image files, a real web server, and hosts that hold volumes: what the attacks are tried on."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.errors import ImageError
from reconciler.images.catalog import ImageStore
from reconciler.model.policy import Policy
from tests.contract.conftest import ground
from tests.lab.fixtures import fresh_lab, lab
from tests.unit.images.conftest import content, path_image, qcow2, qemu_img, run, url_image, web
from tests.unit.images.web import WebServer

__all__ = ["content", "fresh_lab", "ground", "lab", "qcow2", "qemu_img", "run", "web"]

SECRET = "root:$6$do-not-show"  # noqa: S105  # what stands in a file that an image names


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """A file of the controller that no image has any business with."""
    path = tmp_path / "shadow"
    path.write_text(SECRET * 4096)
    return path


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "state", Policy(allow_http=True, allow_private_addresses=True))


@dataclass(frozen=True, slots=True)
class Door:
    """How images come in. Once one is shown to it, a program of QEMU that is run leaves a trace, and does no more."""

    store: ImageStore
    trace: Path
    patch: pytest.MonkeyPatch

    def refuses(self, path: Path, declared: str, error: type[ImageError], *hidden: object) -> None:
        """The file is refused by that very error, in place and as a download; nothing of it is told or kept."""
        self._watch_programs()
        content = path.read_bytes()
        with pytest.raises(error) as opened:
            self.store.open(path_image(path, image_format=declared))
        with WebServer(content) as web:
            image = url_image(web.url(), "sha256:" + hashlib.sha256(content).hexdigest(), image_format=declared)
            with pytest.raises(error) as fetched:
                self.store.fetch(image, lambda _done, _total: None, threading.Event())
        told = self.store.facts(path_image(path, image_format=declared)).error or ""
        assert opened.type is fetched.type is error
        assert told == str(opened.value)
        assert not [word for word in (SECRET, *hidden) if str(word) in told + str(fetched.value)]
        assert not self.store.facts(image).cached
        assert not self.trace.exists()

    def _watch_programs(self) -> None:
        folder = self.trace.with_name("programs")
        folder.mkdir()
        for name in ("qemu-img", "qemu-io", "qemu-nbd"):
            (folder / name).write_text(f"#!/bin/sh\necho > {self.trace}\n")
            (folder / name).chmod(0o755)
        self.patch.setenv("PATH", str(folder))


@pytest.fixture
def door(store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    return Door(store, tmp_path / "qemu-was-run", monkeypatch)
