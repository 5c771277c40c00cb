"""An exported disk is whole under its name, with the right checksum, or not there."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import ImageError, PreconditionFailed
from reconciler.hypervisor.interface import Sink
from reconciler.images.export import Export
from reconciler.model.version import VersionDisk

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")

_SIZE = 4 << 20


class Pool:
    """Volumes in a folder, a full one and an increment on it, as QEMU makes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.bytes_sent = 0
        self.cut_after: int | None = None
        self._make("full.qcow2")
        self._write("full.qcow2", b"\x11", 0, 3 << 20)
        self._make("next.qcow2", "-b", "full.qcow2", "-F", "qcow2")
        self._write("next.qcow2", b"\x22", 1 << 20, 1 << 20)

    def _make(self, name: str, *more: str) -> None:
        self._run("qemu-img", "create", "-q", "-f", "qcow2", *more, name, str(_SIZE))

    def _write(self, name: str, byte: bytes, offset: int, length: int) -> None:
        self._run("qemu-io", "-f", "qcow2", "-c", f"write -q -P {byte[0]} {offset} {length}", name)

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)

    def disk(self, name: str) -> VersionDisk:
        content = (self.folder / name).read_bytes()
        return VersionDisk("root", name, _SIZE, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")

    def chain(self) -> list[VersionDisk]:
        return [self.disk("next.qcow2"), self.disk("full.qcow2")]

    def download(self, volume: str, sink: Sink, progress: Callable[[int], None], offset: int) -> None:
        left = (self.folder / volume).read_bytes()[offset:]
        while left:
            chunk, left = left[:100_000], left[100_000:]
            if self.cut_after is not None and self.bytes_sent >= self.cut_after:
                raise ConnectionError
            self.bytes_sent += len(chunk)
            sink.write(chunk)
            progress(len(chunk))


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path / "pool")


def export(pool: Pool, target: Path, **options: bool) -> Path:
    return Export(pool.chain(), target, "raw", **options).write(pool.download, lambda _: None).path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"pool"}


def test_a_chain_becomes_one_file_that_is_what_the_guest_had(pool: Pool, tmp_path: Path) -> None:
    told: list[int] = []
    exporting = Export(pool.chain(), tmp_path / "web.raw", "raw")

    done = exporting.write(pool.download, told.append)

    assert done.path.read_bytes() == b"\x11" * (1 << 20) + b"\x22" * (1 << 20) + b"\x11" * (1 << 20) + bytes(1 << 20)
    assert done.path.stat().st_mode & 0o777 == 0o600
    assert sum(told) == exporting.size
    assert names(tmp_path) == {"web.raw", "web.raw.sha256"}
    subprocess.run(["sha256sum", "-c", "--quiet", "web.raw.sha256"], check=True, cwd=tmp_path)


def test_a_flattened_qcow2_names_no_other_file(pool: Pool, tmp_path: Path) -> None:
    Export(pool.chain(), tmp_path / "web.qcow2", "qcow2").write(pool.download, lambda _: None)

    told = subprocess.run(["qemu-img", "info", "web.qcow2"], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert "backing" not in told.stdout


def test_a_full_version_is_what_is_stored_byte_for_byte(pool: Pool, tmp_path: Path) -> None:
    full = pool.disk("full.qcow2")

    done = Export([full], tmp_path / "web.qcow2", "qcow2").write(pool.download, lambda _: None)

    assert done.digest == full.digest
    assert done.path.read_bytes() == (pool.folder / "full.qcow2").read_bytes()


def test_one_that_was_cut_off_leaves_nothing_under_the_name_and_goes_on_where_it_was(
    pool: Pool, tmp_path: Path
) -> None:
    target, total = tmp_path / "web.raw", sum(disk.size for disk in pool.chain())
    pool.cut_after = total // 2
    with pytest.raises(ConnectionError):
        export(pool, target)
    assert names(tmp_path) == {".web.raw.export"}

    pool.cut_after = None
    export(pool, target)

    assert pool.bytes_sent == total
    assert names(tmp_path) == {"web.raw", "web.raw.sha256"}


def test_what_is_not_as_it_was_recorded_is_refused(pool: Pool, tmp_path: Path) -> None:
    chain = pool.chain()
    file = pool.folder / "full.qcow2"
    file.write_bytes(file.read_bytes()[:-1000] + bytes(1000 - 1) + b"!")

    with pytest.raises(ImageError, match="damaged"):
        Export(chain, tmp_path / "web.raw", "raw").write(pool.download, lambda _: None)

    assert not (tmp_path / "web.raw").exists()


def test_a_file_that_would_lead_its_reader_to_others_is_refused(pool: Pool, tmp_path: Path) -> None:
    """Recorded so, as who could write into the pool before it was captured would have it."""
    pool._run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file=secret", "evil.qcow2", str(_SIZE))

    with pytest.raises(ImageError, match="external"):
        Export([pool.disk("evil.qcow2")], tmp_path / "x.raw", "raw").write(pool.download, lambda _: None)


def test_a_file_that_is_there_already_is_left_alone_unless_told_otherwise(pool: Pool, tmp_path: Path) -> None:
    target = tmp_path / "web.raw"
    target.write_text("mine")

    with pytest.raises(PreconditionFailed, match="there already"):
        export(pool, target)
    assert target.read_text() == "mine"

    assert export(pool, target, replace=True).stat().st_size == _SIZE


def test_without_qemu_img_increments_say_what_to_install(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = pool.chain()
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ImageError, match="no qemu-img") as refused:
        Export(chain, tmp_path / "web.raw", "raw").write(pool.download, lambda _: None)

    assert "qemu-utils" in refused.value.hint
