"""Images on the controller: files in place, downloads in the cache, always the verified content."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import SpecError, StateError
from reconciler.images import refusals
from reconciler.images.catalog import ImageStore
from reconciler.model.policy import Policy
from tests.unit.images.conftest import MakeQcow2, path_image, url_image
from tests.unit.images.web import WebServer

LOCAL = Policy(allow_http=True, allow_private_addresses=True)


class LaterClock(SystemClock):
    """An hour ahead, so that files written just now are old."""

    def now(self) -> float:
        return super().now() + 3600


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "state", LOCAL, clock=LaterClock())


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def fetch(store: ImageStore, web: WebServer) -> str:
    image = url_image(web.url(), sha256(web.content))
    facts = store.fetch(image, lambda _done, _total: None, threading.Event())
    assert facts.path is not None
    return facts.path


def test_a_file_is_used_in_place(store: ImageStore, qcow2: MakeQcow2) -> None:
    path = qcow2()

    facts = store.facts(path_image(path, image_format="qcow2"))

    assert (facts.path, facts.cached, facts.virtual_size) == (str(path), True, 1 << 30)
    assert facts.digest == sha256(path.read_bytes())


def test_a_declared_sha512_is_the_digest(store: ImageStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)
    declared = "sha512:" + hashlib.sha512(content).hexdigest()

    facts = store.facts(path_image(tmp_path / "disk", checksum=declared))

    assert (facts.digest, facts.error) == (declared, None)


def test_a_known_file_is_not_read_again(tmp_path: Path, content: bytes) -> None:
    """What is remembered answers for the file as long as nothing about it changes, in a new process too."""
    path = tmp_path / "disk"
    path.write_bytes(content)
    store = ImageStore(tmp_path / "state", LOCAL, clock=LaterClock())
    (tmp_path / "state" / "images").mkdir(parents=True)
    first = store.facts(path_image(path))
    index = tmp_path / "state" / "images" / "index.json"
    assert first.digest is not None
    index.write_text(index.read_text().replace(first.digest, "sha256:" + "0" * 64))

    facts = ImageStore(tmp_path / "state", LOCAL, clock=LaterClock()).facts(path_image(path))

    assert facts.digest == "sha256:" + "0" * 64


def test_a_changed_file_has_a_new_digest(store: ImageStore, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "disk"
    path.write_bytes(content)
    store.facts(path_image(path))
    path.write_bytes(content[::-1])

    facts = store.facts(path_image(path))

    assert facts.digest == sha256(content[::-1])


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path, content: bytes) -> None:
    """It may change again within the resolution of its timestamps."""
    (tmp_path / "state" / "images").mkdir(parents=True)
    (tmp_path / "disk").write_bytes(content)

    ImageStore(tmp_path / "state", LOCAL).facts(path_image(tmp_path / "disk"))

    assert not (tmp_path / "state" / "images" / "index.json").exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"rules": 0, "files": {}}', bytes(range(192, 256))])
def test_a_damaged_index_costs_only_time(store: ImageStore, tmp_path: Path, content: bytes, damage: bytes) -> None:
    (tmp_path / "state" / "images").mkdir(parents=True)
    (tmp_path / "state" / "images" / "index.json").write_bytes(damage)
    (tmp_path / "disk").write_bytes(content)

    assert store.facts(path_image(tmp_path / "disk")).digest == sha256(content)


def test_a_wrong_checksum_of_a_file_names_both(store: ImageStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)
    declared = "sha256:" + "0" * 64

    facts = store.facts(path_image(tmp_path / "disk", checksum=declared))

    assert not facts.cached
    assert facts.error is not None
    assert declared in facts.error
    assert sha256(content) in facts.error


def test_a_relative_path_is_an_error(store: ImageStore) -> None:
    image = path_image("disk.raw")

    assert "relative" in (store.facts(image).error or "")
    with pytest.raises(SpecError):
        store.open(image)


def test_an_unsafe_file_is_told_and_not_opened(store: ImageStore, qcow2: MakeQcow2) -> None:
    image = path_image(qcow2(), image_format="raw")

    assert "declared raw" in (store.facts(image).error or "")
    with pytest.raises(refusals.WrongFormat):
        store.open(image)


def test_a_policy_made_stricter_holds_for_known_files(tmp_path: Path, qcow2: MakeQcow2) -> None:
    image = path_image(qcow2(), image_format="qcow2")
    (tmp_path / "state" / "images").mkdir(parents=True)
    ImageStore(tmp_path / "state", LOCAL, clock=LaterClock()).facts(image)
    strict = LOCAL.model_copy(update={"max_image_size": 1 << 20})

    facts = ImageStore(tmp_path / "state", strict, clock=LaterClock()).facts(image)

    assert not facts.cached
    assert "policy" in (facts.error or "")


def test_open_gives_the_whole_verified_content(store: ImageStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)

    stream, length = store.open(path_image(tmp_path / "disk"))
    with stream:
        data = stream.read(length)

    assert data == content


@pytest.mark.parametrize("change", ["last byte", "first byte", "shorter"])
def test_content_that_changes_while_it_is_read_fails_before_its_end(
    store: ImageStore, tmp_path: Path, content: bytes, change: str
) -> None:
    """A reader that takes exactly the announced length learns of it, too."""
    path = tmp_path / "disk"
    path.write_bytes(content)
    stream, length = store.open(path_image(path))
    if change == "shorter":
        os.truncate(path, len(content) - 1)
    else:
        with path.open("r+b") as file:
            file.seek(0 if change == "first byte" else -1, os.SEEK_SET if change == "first byte" else os.SEEK_END)
            file.write(b"\x00" if content[-1] else b"\x01")

    with stream, pytest.raises(refusals.ImageChanged):
        stream.read(length)


def test_a_fetched_image_is_in_the_cache_by_its_digest(store: ImageStore, web: WebServer, tmp_path: Path) -> None:
    path = Path(fetch(store, web))

    assert path == tmp_path / "state" / "images" / (sha256(web.content).removeprefix("sha256:") + ".raw")
    assert path.read_bytes() == web.content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_cached_image_needs_no_network(store: ImageStore, web: WebServer) -> None:
    fetch(store, web)
    fetch(store, web)

    assert len(web.requests) == 1


def test_an_image_that_was_not_fetched_can_not_be_opened(store: ImageStore, web: WebServer) -> None:
    image = url_image(web.url(), sha256(web.content))

    assert store.facts(image).cached is False
    with pytest.raises(refusals.ImageUnavailable):
        store.open(image)


def test_a_state_directory_that_can_not_be_used_is_told(tmp_path: Path, web: WebServer) -> None:
    (tmp_path / "state").write_text("a file")

    with pytest.raises(StateError, match="image cache"):
        fetch(ImageStore(tmp_path / "state", LOCAL), web)


def test_looking_makes_no_state_directory(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)

    facts = ImageStore(tmp_path / "state", LOCAL, clock=LaterClock()).facts(path_image(tmp_path / "disk"))

    assert facts.cached
    assert not (tmp_path / "state").exists()


def test_the_virtual_size_is_known_without_reading_the_whole(store: ImageStore, qcow2: MakeQcow2) -> None:
    path = qcow2()

    assert store.virtual_size(path, "qcow2") == 1 << 30
    assert store.virtual_size(path, "qcow2") == 1 << 30
    with pytest.raises(refusals.WrongFormat):
        store.virtual_size(path, "raw")


def test_a_file_that_is_not_there_is_told_from_one_that_is_refused(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.virtual_size(tmp_path / "absent.qcow2", "qcow2")
    with pytest.raises(refusals.NotARegularFile):
        store.virtual_size(tmp_path, "qcow2")


def test_an_image_over_http_is_told_before_any_fetch(tmp_path: Path, web: WebServer) -> None:
    facts = ImageStore(tmp_path / "state", Policy()).facts(url_image(web.url(), sha256(web.content)))

    assert "https" in (facts.error or "")
    assert facts.digest == sha256(web.content)


def test_a_damaged_cached_image_is_fetched_again(store: ImageStore, web: WebServer) -> None:
    path = Path(fetch(store, web))
    path.write_bytes(bytes(1 << 20))
    assert store.facts(url_image(web.url(), sha256(web.content))).cached is False

    fetch(store, web)

    assert path.read_bytes() == web.content


def test_an_unsafe_download_never_reaches_the_cache(store: ImageStore, qcow2: MakeQcow2, tmp_path: Path) -> None:
    """The checksum fits; the content is not what the spec declares it to be."""
    with WebServer(qcow2().read_bytes()) as web:
        image = url_image(web.url(), sha256(web.content))
        with pytest.raises(refusals.WrongFormat):
            store.fetch(image, lambda _done, _total: None, threading.Event())

    assert [path.name for path in (tmp_path / "state" / "images").iterdir()] == []


def test_a_stop_ends_waiting_for_another_fetch_of_the_same_image(store: ImageStore, web: WebServer) -> None:
    image = url_image(web.url(), sha256(web.content))
    stop = threading.Event()
    refused: list[BaseException] = []

    def meanwhile(_done: int, _total: int | None) -> None:
        stop.set()
        try:
            store.fetch(image, lambda _done, _total: None, stop)
        except refusals.DownloadCancelled as error:
            refused.append(error)

    store.fetch(image, meanwhile, threading.Event())

    assert len(refused) > 0
    assert len(web.requests) == 1


def test_an_image_that_is_being_fetched_is_not_collected(store: ImageStore, web: WebServer) -> None:
    image = url_image(web.url(), sha256(web.content))

    facts = store.fetch(image, lambda _done, _total: assert_nothing(store.collect([])), threading.Event())

    assert facts.cached


def assert_nothing(removed: tuple[str, ...]) -> None:
    assert removed == ()


def test_collect_removes_what_nothing_uses(store: ImageStore, web: WebServer, tmp_path: Path) -> None:
    used = Path(fetch(store, web))
    folder = tmp_path / "state" / "images"
    for name in ("0" * 64 + ".raw", "1" * 64 + ".qcow2.part", "1" * 64 + ".qcow2.part.json"):
        (folder / name).write_bytes(b"x")
    (folder / "notes.txt").write_text("not ours")

    removed = store.collect([sha256(web.content)])

    assert removed == ("0" * 64 + ".raw", "1" * 64 + ".qcow2.part", "1" * 64 + ".qcow2.part.json")
    assert {path.name for path in folder.iterdir()} == {used.name, "notes.txt", "index.json"}


def test_two_fetches_of_one_image_download_it_once(tmp_path: Path, web: WebServer) -> None:
    others = [ImageStore(tmp_path / "state", LOCAL) for _ in range(3)]
    threads = [threading.Thread(target=fetch, args=(other, web)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(web.requests) == 1


def test_a_full_disk_does_not_hide_what_an_image_is(
    store: ImageStore, qcow2: MakeQcow2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = qcow2()
    monkeypatch.setattr("reconciler.images.digest_index.replace_file", full)

    assert store.facts(path_image(path, image_format="qcow2")).digest == sha256(path.read_bytes())


def test_a_file_outside_the_folders_of_the_policy_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "outside").write_bytes(content)
    (folder / "inside").write_bytes(content)
    (folder / "link").symlink_to(tmp_path / "outside")
    store = ImageStore(tmp_path / "state", LOCAL.model_copy(update={"image_directories": (str(folder),)}))

    errors = {name: store.facts(path_image(folder / name)).error for name in ("inside", "link", "../outside")}

    assert errors["inside"] is None
    assert "imageDirectories" in str(errors["link"])
    assert "imageDirectories" in str(errors["../outside"])
    with pytest.raises(refusals.ForbiddenPlace):
        store.virtual_size(folder / "link", "raw")


def test_a_downloaded_image_needs_no_folder_of_the_policy(tmp_path: Path, web: WebServer) -> None:
    policy = LOCAL.model_copy(update={"image_directories": ("/nowhere",)})
    store = ImageStore(tmp_path / "state", policy)
    fetch(store, web)

    stream, length = store.open(url_image(web.url(), sha256(web.content)))

    with stream:
        assert length == len(web.content)
