"""Real image files, and a real web server that can misbehave."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.model.image import Image
from tests.unit.images.downloads import Run
from tests.unit.images.web import WebServer

MakeQcow2 = Callable[..., Path]


@pytest.fixture
def qemu_img(tmp_path: Path) -> Callable[..., None]:
    def run(*arguments: str) -> None:
        subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, cwd=tmp_path)

    return run


@pytest.fixture
def qcow2(tmp_path: Path, qemu_img: Callable[..., None]) -> MakeQcow2:
    """Makes a good qcow2 of 1 GiB by name."""

    def make(name: str = "good.qcow2", *options: str, size: str = "1G") -> Path:
        qemu_img("create", "-q", "-f", "qcow2", *options, name, size)
        return tmp_path / name

    return make


@pytest.fixture
def content() -> bytes:
    """A raw image of 3 MiB and a bit that no compression or repetition helps with."""
    return random.Random(7).randbytes(3 * (1 << 20) + 512)  # noqa: S311  # the same bytes in every run


@pytest.fixture
def web(content: bytes) -> Iterator[WebServer]:
    with WebServer(content) as server:
        yield server


@pytest.fixture
def run(tmp_path: Path, web: WebServer) -> Run:
    return Run(tmp_path, web)


def patched(path: Path, offset: int, form: str, value: int | bytes) -> Path:
    """Overwrite a field of a header."""
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), struct.pack(form, value), offset)
    return path


def url_image(url: str, checksum: str, *, name: str = "web", image_format: str = "raw") -> Image:
    return image(name, {"source": {"url": url}, "checksum": checksum, "format": image_format})


def path_image(path: Path | str, *, name: str = "file", image_format: str = "raw", **spec: str) -> Image:
    return image(name, {"source": {"path": str(path)}, "format": image_format, **spec})


def image(name: str, spec: dict[str, object]) -> Image:
    return Image.model_validate(
        {"apiVersion": "reconciler/v1", "kind": "Image", "metadata": {"name": name}, "spec": spec}
    )
