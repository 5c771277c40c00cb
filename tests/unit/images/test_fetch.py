"""Downloads against a server that cuts, lies, redirects, stalls and changes."""

from __future__ import annotations

import hashlib
import ipaddress
import random
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import ChecksumMismatch, DownloadFailed, ImageError
from reconciler.images import refusals
from reconciler.images.addresses import Address, AddressPolicy, Lookup, system_lookup
from reconciler.images.cache import ImageCache
from reconciler.images.fetch import download
from reconciler.images.fetch_rules import FetchLimits, FetchRules, Wanted
from reconciler.images.partial import Origin, Partial
from tests.unit.images.web import WebServer, certificate_for

QUICK = FetchLimits(connect_timeout=5, read_timeout=5, attempts=3, backoff=0.001)


class Run:
    """One download into a folder of its own."""

    def __init__(self, folder: Path, web: WebServer) -> None:
        self.partial = Partial(folder / "image.part")
        self.digest = "sha256:" + hashlib.sha256(web.content).hexdigest()
        self.url = web.url()
        self.progress: list[tuple[int, int | None]] = []
        self.stop = threading.Event()
        self.receiving = threading.Event()

    def __call__(
        self,
        *,
        url: str = "",
        digest: str = "",
        addresses: AddressPolicy | None = None,
        limits: FetchLimits = QUICK,
        max_size: int = 1 << 30,
        allow_http: bool = True,
        context: ssl.SSLContext | None = None,
    ) -> bytes:
        rules = FetchRules(
            addresses or AddressPolicy(allow_private=True), allow_http, max_size, SystemClock(), limits, context
        )
        wanted = Wanted("Image/x", url or self.url, digest or self.digest)
        download(rules, wanted, self.partial, self._note, self.stop)
        return self.partial.path.read_bytes()

    def _note(self, done: int, total: int | None) -> None:
        self.progress.append((done, total))
        self.receiving.set()


@pytest.fixture
def run(tmp_path: Path, web: WebServer) -> Run:
    return Run(tmp_path, web)


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


def test_wrong_content_names_both_digests_and_leaves_nothing(run: Run, web: WebServer) -> None:
    declared, actual = "sha256:" + "0" * 64, run.digest

    with pytest.raises(ChecksumMismatch) as caught:
        run(digest=declared)

    assert declared in str(caught.value)
    assert actual in str(caught.value)
    assert len(web.requests) == 1
    assert not run.partial.path.exists()


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


def test_redirects_are_followed(run: Run, web: WebServer) -> None:
    web.behaviour.redirects = {"/a": "/b", "/b": web.url("/c")}

    assert run(url=web.url("/a")) == web.content


def test_too_many_redirects_are_refused(run: Run, web: WebServer) -> None:
    web.behaviour.redirects = {"/a": "/a"}

    with pytest.raises(refusals.ImageUnavailable, match="redirects"):
        run(url=web.url("/a"))


class OnlyLoopback(AddressPolicy):
    """As a public server is to the real policy, 127.0.0.1 is to this one."""

    def check(self, address: Address, host: str) -> None:
        if address != ipaddress.ip_address("127.0.0.1"):
            super().check(address, host)


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1/",
        "http://0x7f.2/",
        "http://2130706434/",
        "//192.168.1.1/x",
    ],
)
def test_a_redirect_to_a_private_address_is_refused(run: Run, web: WebServer, target: str) -> None:
    web.behaviour.redirects = {"/image": target}

    with pytest.raises(refusals.AddressRefused, match="private"):
        run(addresses=OnlyLoopback(allow_private=False))


@pytest.mark.parametrize("target", ["file:///etc/shadow", "ftp://example.org/x", "http://u:p@127.0.0.1/x", "data:,x"])
def test_a_redirect_to_another_scheme_or_with_credentials_is_refused(run: Run, web: WebServer, target: str) -> None:
    web.behaviour.redirects = {"/image": target}

    with pytest.raises(ImageError) as caught:
        run()

    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_however_it_is_spelled(run: Run, web: WebServer, host: str) -> None:
    with pytest.raises(refusals.AddressRefused):
        run(url=web.url(host=host), addresses=AddressPolicy(allow_private=False))

    assert web.requests == []


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://example.org/x", "file:///x", "ssh://h/x", "https:///x"])
def test_only_https_is_fetched_unless_allowed(run: Run, url: str) -> None:
    with pytest.raises(refusals.AddressRefused):
        run(url=url, allow_http=False)


def test_the_checked_address_is_the_one_connected_to(run: Run, web: WebServer) -> None:
    """A name that changes its answer right after the check gains nothing: it is asked once per connection."""
    answers = ["127.0.0.1", "169.254.169.254"]

    def rebinding(_host: str, _port: int) -> tuple[str, ...]:
        return (answers.pop(0),)

    content = run(url=web.url(host="rebind.test"), addresses=OnlyLoopback(allow_private=False, lookup=rebinding))

    assert content == web.content
    assert answers == ["169.254.169.254"]


def test_one_private_address_among_public_ones_is_refused(run: Run, web: WebServer) -> None:
    def mixed(_host: str, _port: int) -> tuple[str, ...]:
        return ("127.0.0.1", "10.0.0.1")

    with pytest.raises(refusals.AddressRefused):
        run(url=web.url(host="mixed.test"), addresses=OnlyLoopback(allow_private=False, lookup=mixed))

    assert web.requests == []


@pytest.fixture
def secure(tmp_path: Path, content: bytes) -> Callable[[str], tuple[WebServer, ssl.SSLContext]]:
    def make(name: str) -> tuple[WebServer, ssl.SSLContext]:
        certificate = certificate_for(tmp_path, name)
        return WebServer(content, certificate), ssl.create_default_context(cafile=certificate[0])

    return make


def to_loopback(_host: str, _port: int) -> tuple[str, ...]:
    return ("127.0.0.1",)


def https(run: Run, web: WebServer, context: ssl.SSLContext | None, lookup: Lookup = to_loopback) -> bytes:
    addresses = AddressPolicy(allow_private=True, lookup=lookup)
    url = web.url(host="images.test", scheme="https")
    return run(url=url, addresses=addresses, allow_http=False, context=context)


def test_https_verifies_the_name_while_connecting_to_the_address(
    run: Run, secure: Callable[[str], tuple[WebServer, ssl.SSLContext]]
) -> None:
    server, context = secure("images.test")
    with server as web:
        assert https(run, web, context) == web.content


def test_a_certificate_of_another_name_is_refused(
    run: Run, secure: Callable[[str], tuple[WebServer, ssl.SSLContext]]
) -> None:
    server, context = secure("other.test")
    with server as web, pytest.raises(refusals.ImageUnavailable, match="certificate"):
        https(run, web, context)


def test_a_certificate_of_an_unknown_authority_is_refused(
    run: Run, secure: Callable[[str], tuple[WebServer, ssl.SSLContext]]
) -> None:
    server, _context = secure("images.test")
    with server as web, pytest.raises(refusals.ImageUnavailable, match="not trusted"):
        https(run, web, None)


def test_https_that_redirects_to_http_is_refused(
    run: Run, secure: Callable[[str], tuple[WebServer, ssl.SSLContext]]
) -> None:
    server, context = secure("images.test")
    server.behaviour.redirects = {"/image": "http://images.test/image"}
    with server as web, pytest.raises(refusals.AddressRefused, match="https"):
        https(run, web, context)


def test_the_query_of_a_url_is_never_shown(run: Run, web: WebServer) -> None:
    """Signed URLs carry their secret there."""
    web.behaviour.statuses = [403]

    with pytest.raises(refusals.ImageUnavailable) as caught:
        run(url=web.url("/image?signature=topsecret"))

    assert "topsecret" not in str(caught.value)


PUBLIC = ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.0.8",
    "240.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fec0::1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    policy = AddressPolicy(allow_private=False, lookup=lambda _host, _port: (address,))

    assert policy.resolve("x.test", 443) == (address,)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_pass_only_where_policy_allows(address: str) -> None:
    def lookup(_host: str, _port: int) -> tuple[str, ...]:
        return (address,)

    assert AddressPolicy(allow_private=True, lookup=lookup).resolve("x.test", 443) == (address,)
    with pytest.raises(refusals.AddressRefused):
        AddressPolicy(allow_private=False, lookup=lookup).resolve("x.test", 443)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"])  # noqa: S104
def test_no_server_s_address_never_passes(address: str) -> None:
    with pytest.raises(refusals.AddressRefused):
        AddressPolicy(allow_private=True, lookup=lambda _host, _port: (address,)).resolve("x.test", 443)


def test_a_name_that_does_not_resolve_may_be_tried_again() -> None:
    with pytest.raises(DownloadFailed, match="has no address"):
        AddressPolicy(allow_private=True, lookup=system_lookup).resolve("nowhere.invalid", 443)


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
