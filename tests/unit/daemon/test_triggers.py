"""What wakes the daemon: files however they are written, and nothing that it does itself."""

from __future__ import annotations

import errno
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.observers import Observer

from reconciler.clock import SystemClock
from reconciler.daemon.triggers import Dirty, SpecsWatch

WAIT = 10.0
QUIET = 0.5


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """A directory of specs with one file in a folder of it."""
    directory = tmp_path / "fleet" / "specs"
    (directory / "vms").mkdir(parents=True)
    (directory / "vms" / "web.yaml").write_text("kind: VirtualMachine\n")
    return directory


@pytest.fixture
def dirty() -> Dirty:
    """A flag that takes a burst as one within a tenth of a second."""
    return Dirty(SystemClock(), settle=0.1, longest=1.0)


@pytest.fixture
def watch(specs: Path, dirty: Dirty) -> Iterator[SpecsWatch]:
    """A watch whose own beginning has been taken note of."""
    with SpecsWatch(specs, dirty) as watching:
        dirty.wait(WAIT)
        yield watching


def test_nothing_happens_without_a_reason(watch: SpecsWatch, dirty: Dirty) -> None:
    """Reading the specs, as each pass does, wakes nobody."""
    watch.renew()
    [path.read_text() for path in watch.directory.rglob("*.yaml")]

    assert dirty.wait(QUIET) == ()


def test_an_edited_file_wakes(watch: SpecsWatch, dirty: Dirty) -> None:
    """Writing into a file in a folder below counts."""
    (watch.directory / "vms" / "web.yaml").write_text("kind: Host\n")

    assert dirty.wait(WAIT) == ("specs",)


def test_an_editor_that_renames_wakes(watch: SpecsWatch, dirty: Dirty) -> None:
    """Editors write aside and rename into place."""
    aside = watch.directory / "vms" / ".web.yaml.swp"
    aside.write_text("kind: Host\n")
    aside.rename(watch.directory / "vms" / "web.yaml")

    assert dirty.wait(WAIT) == ("specs",)


def test_a_git_checkout_is_one_burst(watch: SpecsWatch, dirty: Dirty) -> None:
    """A checkout that writes fifty files wakes once."""
    for number in range(50):
        (watch.directory / f"vm-{number}.yaml").write_text("kind: VirtualMachine\n")

    assert dirty.wait(WAIT) == ("specs",)
    assert dirty.wait(QUIET) == ()


def test_a_directory_that_is_replaced_is_watched_again(watch: SpecsWatch, dirty: Dirty) -> None:
    """Moved away and made anew, the new directory is the one that is watched."""
    watch.directory.rename(watch.directory.with_name("old"))
    watch.directory.mkdir()
    assert dirty.wait(WAIT) == ("specs",)
    watch.renew()
    dirty.wait(QUIET)

    (watch.directory / "new.yaml").write_text("kind: Host\n")

    assert dirty.wait(WAIT) == ("specs",)


def test_a_symlink_that_is_switched_is_followed(tmp_path: Path, dirty: Dirty) -> None:
    """Deployments that swap a symbolic link atomically are seen, and the new target is watched."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    link.symlink_to("first")
    with SpecsWatch(link, dirty) as watch:
        dirty.wait(WAIT)
        subprocess.run(["ln", "-sfn", "second", str(link)], check=True)
        assert dirty.wait(WAIT) == ("specs",)
        watch.renew()
        dirty.wait(QUIET)

        (tmp_path / "second" / "new.yaml").write_text("kind: Host\n")

        assert dirty.wait(WAIT) == ("specs",)


def test_a_directory_that_is_gone_comes_back(watch: SpecsWatch, dirty: Dirty) -> None:
    """Removed and made again, it is watched again."""
    shutil.rmtree(watch.directory)
    dirty.wait(WAIT)
    watch.renew()
    dirty.wait(QUIET)

    watch.directory.mkdir()

    assert dirty.wait(WAIT) == ("specs",)


def test_a_directory_that_cannot_be_watched_does_not_wake_again_and_again(
    specs: Path, dirty: Dirty, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr(Observer, "schedule", full)
    with SpecsWatch(specs, dirty) as watch:
        watch.renew()

        assert dirty.wait(QUIET) == ()


def test_a_directory_that_could_not_be_watched_is_watched_once_it_can(
    specs: Path, dirty: Dirty, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    with monkeypatch.context() as patched:
        patched.setattr(Observer, "schedule", full)
        watch = SpecsWatch(specs, dirty).__enter__()
    watch.renew()
    dirty.wait(WAIT)
    (specs / "vms" / "db.yaml").write_text("kind: VirtualMachine\n")

    assert dirty.wait(WAIT) == ("specs",)
    watch.__exit__(None, None, None)


def test_marks_from_many_threads_are_one_burst(dirty: Dirty) -> None:
    """Events of all hosts at once make one pass, with each reason once."""
    threads = [threading.Thread(target=dirty.mark, args=(f"domain on h{n % 3}",)) for n in range(30)]
    for thread in threads:
        thread.start()

    reasons = dirty.wait(WAIT)

    assert sorted(reasons) == ["domain on h0", "domain on h1", "domain on h2"]


def test_what_is_urgent_waits_for_no_quiet() -> None:
    """A burst that never ends keeps other reasons waiting, not this one."""
    dirty = Dirty(SystemClock(), settle=WAIT, longest=WAIT)
    dirty.mark("specs")
    dirty.mark("h1 is silent", urgent=True)

    assert dirty.wait(WAIT) == ("specs", "h1 is silent")
