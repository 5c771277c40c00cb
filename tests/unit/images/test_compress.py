"""Versions that are rewritten compressed, by the real qemu-img."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import DownloadFailed, ImageError
from reconciler.images.compress import compressed

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")

_TEXT = b"what a guest has written "


def _image(folder: Path) -> tuple[Path, Path]:
    """A disk of 8 MiB, as raw and as qcow2."""
    raw, image = folder / "disk.raw", folder / "disk.qcow2"
    raw.write_bytes((_TEXT * 200_000)[: 4 << 20] + bytes(4 << 20))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    return raw, image


def test_a_compressed_image_is_smaller_and_reads_the_same(tmp_path: Path) -> None:
    """The guest's data is all there, and zeros take no room."""
    raw, image = _image(tmp_path)

    with image.open("rb") as content:
        result, length = compressed(content, SystemClock(), threading.Event(), lambda _: None)
    with result:
        packed = tmp_path / "packed.qcow2"
        packed.write_bytes(result.read())

    assert length == packed.stat().st_size < image.stat().st_size // 4
    same = subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, packed], check=False)
    assert same.returncode == 0


def test_what_is_no_image_is_refused_in_words(tmp_path: Path) -> None:
    """qemu-img's own words are told, and no traceback."""
    nothing = tmp_path / "nothing"
    nothing.write_bytes(bytes(4096))

    with nothing.open("rb") as content, pytest.raises(ImageError, match="could not compress it"):
        compressed(content, SystemClock(), threading.Event(), lambda _: None)


def test_a_stop_ends_it(tmp_path: Path) -> None:
    """It is handed back, to be done again by the next controller."""
    _raw, image = _image(tmp_path)
    stop = threading.Event()
    stop.set()

    with image.open("rb") as content, pytest.raises(DownloadFailed, match="stopped"):
        compressed(content, SystemClock(), stop, lambda _: None)


def test_without_qemu_img_nothing_is_read_and_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO(b"content")
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ImageError, match="no qemu-img") as refused:
        compressed(content, SystemClock(), threading.Event(), lambda _: None)

    assert "qemu-utils" in refused.value.hint
    assert content.tell() == 0


def test_whoever_looks_on_may_end_it_and_no_program_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that people cancel does not compress on."""
    _raw, image = _image(tmp_path)

    class CalledOff(Exception):
        pass

    def look(_: int) -> None:
        raise CalledOff

    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "prlimit").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    (slow / "prlimit").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    with image.open("rb") as content, pytest.raises(CalledOff):
        compressed(content, SystemClock(), threading.Event(), look)

    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
