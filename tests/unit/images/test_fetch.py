"""Downloads against a server that cuts, stalls, changes and dies; and by a process that is killed."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import DownloadFailed
from reconciler.images import refusals
from reconciler.images.addresses import AddressPolicy
from reconciler.images.cache import ImageCache
from reconciler.images.fetch import download
from reconciler.images.fetch_rules import FetchLimits, FetchRules, Wanted
from reconciler.images.partial import Origin, Partial
from tests.unit.images.downloads import QUICK, Run
from tests.unit.images.web import WebServer


def test_a_download_is_the_content(run: Run, web: WebServer) -> None:
    assert run() == web.content
    assert run.progress[0] == (0, len(web.content))
    assert run.progress[-1] == (len(web.content), len(web.content))


def test_sha512_is_verified(run: Run, web: WebServer) -> None:
    assert run(digest="sha512:" + hashlib.sha512(web.content).hexdigest()) == web.content


@pytest.mark.parametrize("seed", range(8))
def test_a_connection_cut_at_random_bytes_is_resumed(run: Run, web: WebServer, seed: int) -> None:
    """Each attempt goes on where the last ended, conditional on the content being the same."""
    cuts = random.Random(seed)  # noqa: S311  # the same cuts in every run
    web.behaviour.cuts = [cuts.randrange(len(web.content) // 3) for _ in range(7)]

    assert run() == web.content
    assert all(request["if-range"] == '"v1"' for request in web.requests if "range" in request)
    assert sum("range" in request for request in web.requests) >= 4


def test_a_server_without_ranges_is_fetched_from_the_start(run: Run, web: WebServer) -> None:
    web.behaviour.ranges = False
    web.behaviour.cuts = [100_000]

    assert run() == web.content


def test_a_server_without_validators_is_resumed_and_verified(run: Run, web: WebServer) -> None:
    web.behaviour.etag = None
    web.behaviour.cuts = [1_000_000]

    assert run() == web.content
    assert "if-range" not in web.requests[1]


def test_content_replaced_between_two_attempts_is_fetched_whole(run: Run, web: WebServer) -> None:
    """The part of the old content is dropped; what remains is the new content alone."""
    new, web.content = web.content, web.content[::-1]
    web.behaviour.cuts = [1_000_000]
    web.behaviour.statuses = []

    def replace(done: int, _total: int | None) -> None:
        if done:
            web.content, web.behaviour.etag = new, '"v2"'

    rules = FetchRules(AddressPolicy(allow_private=True), True, 1 << 30, SystemClock(), QUICK)
    download(rules, Wanted("Image/x", run.url, run.digest), run.partial, replace, run.stop)

    assert run.partial.path.read_bytes() == new


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_a_part_that_went_bad_is_fetched_again(run: Run, web: WebServer, etag: str | None) -> None:
    """After a crash of the controller the part may hold anything; the digest of the whole tells."""
    web.behaviour.etag = etag
    run.partial.begin(Origin(url=run.url, digest=run.digest, etag=etag, last_modified=None, total=len(web.content)))
    run.partial.path.write_bytes(bytes(1_000_000))

    assert run() == web.content


@pytest.mark.parametrize("extra", [0, 1, 5000])
def test_a_part_as_long_as_the_image_or_longer_is_settled(run: Run, web: WebServer, extra: int) -> None:
    """Killed between the last byte and the rename: complete needs no network, longer is dropped."""
    run.partial.begin(Origin(url=run.url, digest=run.digest, etag=None, last_modified=None, total=len(web.content)))
    run.partial.path.write_bytes(web.content + bytes(extra))

    assert run() == web.content
    assert len(web.requests) == (1 if extra else 0)


def test_a_part_longer_than_what_the_server_has_now_is_dropped(run: Run, web: WebServer) -> None:
    """416: the server has less than we have."""
    run.partial.begin(Origin(url=run.url, digest=run.digest, etag=None, last_modified=None, total=None))
    run.partial.path.write_bytes(web.content + b"more")

    assert run() == web.content


@pytest.mark.parametrize("field", ["url", "digest"])
def test_a_part_of_something_else_is_dropped(run: Run, web: WebServer, field: str) -> None:
    other = Origin(url=run.url, digest=run.digest, etag=None, last_modified=None, total=None)
    run.partial.begin(other.model_copy(update={field: "other"}))
    run.partial.path.write_bytes(b"stale")

    assert run() == web.content
    assert "range" not in web.requests[0]


def test_a_part_without_its_sidecar_is_dropped(run: Run, web: WebServer) -> None:
    run.partial.path.write_bytes(b"stale")

    assert run() == web.content


def test_passing_failures_of_the_server_are_retried(run: Run, web: WebServer) -> None:
    web.behaviour.statuses = [503, 429]

    assert run() == web.content


def test_a_lasting_failure_may_be_tried_again_later(run: Run, web: WebServer) -> None:
    web.behaviour.statuses = [500] * 9

    with pytest.raises(DownloadFailed, match=r"Image/x: 127\.0\.0\.1 answers 500"):
        run()


def test_a_missing_image_is_not_tried_again(run: Run, web: WebServer) -> None:
    web.behaviour.statuses = [404]

    with pytest.raises(refusals.ImageUnavailable, match="404"):
        run()

    assert len(web.requests) == 1


def test_a_server_that_is_not_there(run: Run) -> None:
    with pytest.raises(DownloadFailed, match="Connection refused"):
        run(url="http://127.0.0.1:1/image")


@pytest.mark.parametrize("claimed", [None, 1 << 40])
def test_an_image_above_the_cap_is_refused(run: Run, web: WebServer, claimed: int | None) -> None:
    web.behaviour.length = claimed

    with pytest.raises(refusals.ImageTooLarge):
        run(max_size=1 << 20)

    assert not run.partial.path.exists()


def test_an_image_larger_than_the_free_space_is_refused_before_it_fills_it(run: Run, web: WebServer) -> None:
    web.behaviour.length = 1 << 60

    with pytest.raises(refusals.CacheFull, match="on the controller"):
        run(max_size=1 << 62)


class OnFullDisk(Partial):
    """Its file is the device that is always full."""

    def begin(self, origin: Origin) -> None:
        super().begin(origin)
        self.path.unlink()
        self.path.symlink_to("/dev/full")


def test_a_disk_that_fills_up_is_told_clearly(run: Run, tmp_path: Path) -> None:
    run.partial = OnFullDisk(tmp_path / "image.part")

    with pytest.raises(refusals.CacheFull, match="no space left on the controller"):
        run()


def test_a_silent_server_times_out(run: Run, web: WebServer) -> None:
    web.behaviour.silent_after = 1000

    with pytest.raises(DownloadFailed, match="in time"):
        run(limits=FetchLimits(read_timeout=0.1, attempts=1, backoff=0.001))


def test_a_stop_ends_waiting_for_a_silent_server_and_keeps_the_part(run: Run, web: WebServer) -> None:
    web.behaviour.silent_after = 100_000

    def stop_when_silent() -> None:
        web.behaviour.body_sent.wait(10)
        run.receiving.wait(10)
        run.stop.set()

    stopper = threading.Thread(target=stop_when_silent)
    stopper.start()

    with pytest.raises(refusals.DownloadCancelled):
        run(limits=FetchLimits(read_timeout=60))

    stopper.join()
    assert run.partial.sidecar.exists()


def test_a_server_that_drips_is_given_up_on(run: Run) -> None:
    impatient = FetchLimits(attempts=1, backoff=0.001, stall_window=0.0, stall_bytes=1 << 30)

    with pytest.raises(DownloadFailed, match="next to nothing"):
        run(limits=impatient)


KILLED = """
import sys, threading
from pathlib import Path
from reconciler.images.catalog import ImageStore
from reconciler.model.policy import Policy
from tests.unit.images.conftest import url_image
store = ImageStore(Path(sys.argv[1]), Policy(allow_http=True, allow_private_addresses=True))
def progress(done, total):
    if done:
        print(done, flush=True)
store.fetch(url_image(sys.argv[2], sys.argv[3]), progress, threading.Event())
"""


@pytest.mark.slow
def test_a_process_killed_while_fetching_leaves_a_part_that_the_next_one_finishes(
    tmp_path: Path, run: Run, web: WebServer
) -> None:
    """After kill -9 in the middle: nothing under the final name, the lock is free, and only the rest is fetched."""
    web.behaviour.silent_after = 2 << 20
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "state"), run.url, run.digest]
    _kill_after_lines(arguments, 1)
    cache = ImageCache(tmp_path / "state" / "images")
    assert not cache.path(run.digest, "raw").exists()
    web.behaviour.silent_after = None

    subprocess.run(arguments, check=True, capture_output=True)

    assert cache.path(run.digest, "raw").read_bytes() == web.content
    assert web.requests[-1]["range"].startswith("bytes=")


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 2, 3, 4])
def test_a_process_killed_at_any_time_leaves_the_image_whole_or_absent(
    tmp_path: Path, run: Run, web: WebServer, lines: int
) -> None:
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "state"), run.url, run.digest]
    _kill_after_lines(arguments, lines)
    final = ImageCache(tmp_path / "state" / "images").path(run.digest, "raw")
    assert not final.exists() or final.read_bytes() == web.content

    subprocess.run(arguments, check=True, capture_output=True)

    assert final.read_bytes() == web.content
    assert not list(final.parent.glob("*.part*"))


def _kill_after_lines(arguments: list[str], lines: int) -> None:
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
