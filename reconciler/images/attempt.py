"""One attempt at a download: one connection, from where the last attempt ended."""

from __future__ import annotations

import hashlib
import shutil
import threading
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import urlsplit

from reconciler.clock import Clock
from reconciler.errors import ChecksumMismatch, DownloadFailed
from reconciler.images.digest import algorithm_of, feed
from reconciler.images.fetch_rules import FetchLimits, FetchRules, Progress, Wanted
from reconciler.images.partial import Origin, Partial
from reconciler.images.refusals import CacheFull, DownloadCancelled, ImageTooLarge, ImageUnavailable
from reconciler.model.quantities import approximate_size

if TYPE_CHECKING:
    import httpx2

    from reconciler.images.transport import CheckedTransport

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 425, 429})
_RANGE_REFUSED: Final = 416
_REPORT_EVERY: Final = 1 << 20


class Attempt:
    """One connection's worth of a download."""

    def __init__(
        self, rules: FetchRules, wanted: Wanted, partial: Partial, progress: Progress, stop: threading.Event
    ) -> None:
        self._rules = rules
        self._wanted = wanted
        self._partial = partial
        self._progress = progress
        self._stop = stop
        self._digest = hashlib.new(algorithm_of(wanted.digest))
        self._resumed = False
        self._host = urlsplit(wanted.url).hostname or ""

    def run(self) -> None:
        """Fetch what is missing and verify the whole."""
        from reconciler.images.transport import CheckedTransport  # noqa: PLC0415  # 100 ms that only a download needs

        origin = self._partial.origin(self._wanted.url, self._wanted.digest)
        offset = self._hash_what_is_there() if origin else 0
        if origin is None or offset != origin.total:
            transport = CheckedTransport(self._rules, self._stop)
            with closing(transport):
                self._fetch(transport, origin, offset)
        self._verify()

    def _hash_what_is_there(self) -> int:
        self._resumed = True
        size = self._partial.size
        with self._partial.path.open("rb") as file:
            feed(self._digest, file, size, self._stop)
        return size

    def _fetch(self, transport: CheckedTransport, origin: Origin | None, offset: int) -> None:
        from reconciler.images.transport import translated_errors  # noqa: PLC0415  # heavy

        response = self._open(transport, origin, offset)
        with closing(response), translated_errors(self._host):
            offset, total = self._accept(response, offset)
            self._check_room(offset, total)
            with self._partial.path.open("ab") as file:
                self._receive(response, file, offset, total)

    def _open(self, transport: CheckedTransport, origin: Origin | None, offset: int) -> httpx2.Response:
        import httpx2  # noqa: PLC0415  # heavy

        from reconciler.images.transport import translated_errors  # noqa: PLC0415  # heavy

        with translated_errors(self._host):
            url = httpx2.URL(self._wanted.url)
        for _hop in range(self._rules.limits.max_redirects + 1):
            self._rules.check_url(str(url))
            self._host = url.host
            with translated_errors(self._host):
                response = transport.handle_request(self._request(url, origin, offset))
                if response.status_code not in _REDIRECTS:
                    return response
                response.close()
                url = url.join(response.headers.get("location", ""))
        raise ImageUnavailable(f"more than {self._rules.limits.max_redirects} redirects", hint="correct the url")

    def _request(self, url: httpx2.URL, origin: Origin | None, offset: int) -> httpx2.Request:
        import httpx2  # noqa: PLC0415  # heavy

        limits = self._rules.limits
        headers = {"User-Agent": "reconciler", "Accept": "*/*", "Accept-Encoding": "identity"}
        if origin is not None:
            headers["Range"] = f"bytes={offset}-"
            if origin.validator:
                headers["If-Range"] = origin.validator
        timeout = {
            "connect": limits.connect_timeout,
            "read": limits.read_timeout,
            "write": limits.read_timeout,
            "pool": limits.connect_timeout,
        }
        return httpx2.Request("GET", url, headers=headers, extensions={"timeout": timeout})

    def _accept(self, response: httpx2.Response, offset: int) -> tuple[int, int | None]:
        """Where the bytes of the response begin, and how many there are in all."""
        status = response.status_code
        if status == 206:
            return offset, self._accept_rest(response, offset)
        if status == 200:
            return 0, self._accept_whole(response)
        if status == _RANGE_REFUSED:
            raise self._start_over("has less than was fetched before")
        if status in _TRANSIENT or status >= 500:
            raise DownloadFailed(f"{self._host} answers {status}", hint="check the server; it is tried again")
        raise ImageUnavailable(f"{self._host} answers {status}", hint="correct the url, or put the image there")

    def _accept_rest(self, response: httpx2.Response, offset: int) -> int | None:
        unit, _, rest = response.headers.get("content-range", "").partition(" ")
        span, _, total = rest.partition("/")
        if unit != "bytes" or span.partition("-")[0] != str(offset):
            raise self._start_over("answers with another range than asked for")
        return int(total) if total.isdecimal() else None

    def _accept_whole(self, response: httpx2.Response) -> int | None:
        length = response.headers.get("content-length", "")
        total = int(length) if length.isdecimal() else None
        self._resumed = False
        self._digest = hashlib.new(algorithm_of(self._wanted.digest))
        self._partial.begin(
            Origin(
                url=self._wanted.url,
                digest=self._wanted.digest,
                etag=response.headers.get("etag"),
                last_modified=response.headers.get("last-modified"),
                total=total,
            )
        )
        return total

    def _start_over(self, what: str) -> DownloadFailed:
        self._partial.drop()
        return DownloadFailed(f"the server {what}", hint="it is fetched again from the start")

    def _check_room(self, offset: int, total: int | None) -> None:
        if total is None:
            return
        self._check_size(total)
        free = shutil.disk_usage(self._partial.path.parent).free
        if free < total - offset:
            raise CacheFull(
                f"needs {approximate_size(total - offset)} on the controller, {approximate_size(free)} are free in"
                f" {self._partial.path.parent}",
                hint="free some space there; what was fetched is kept",
            )

    def _check_size(self, size: int) -> None:
        if size > self._rules.max_size:
            self._partial.drop()
            raise ImageTooLarge(
                f"the file is larger than policy allows ({approximate_size(self._rules.max_size)})",
                hint="raise maxImageSize in the controller's configuration if that is meant",
            )

    def _receive(self, response: httpx2.Response, file: BinaryIO, done: int, total: int | None) -> None:
        pace = _Pace(self._rules.limits, self._rules.clock)
        reported = done
        self._progress(done, total)
        for chunk in response.iter_raw():
            if self._stop.is_set():
                raise DownloadCancelled("the download was stopped")
            done += len(chunk)
            self._check_size(done)
            file.write(chunk)
            self._digest.update(chunk)
            pace.arrived(len(chunk))
            if done - reported >= _REPORT_EVERY:
                reported = done
                self._progress(done, total)
        self._progress(done, total)

    def _verify(self) -> None:
        actual = f"{algorithm_of(self._wanted.digest)}:{self._digest.hexdigest()}"
        if actual == self._wanted.digest:
            return
        if self._resumed:
            raise self._start_over("has other content than when the download began")
        self._partial.drop()
        raise ChecksumMismatch(
            f"the content is {actual}, the spec declares {self._wanted.digest}",
            hint="if the new content is meant, put its checksum into the spec; what was fetched before stays",
        )


class _Pace:
    """Gives up on a server that sends next to nothing."""

    def __init__(self, limits: FetchLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._since = clock.monotonic()
        self._bytes = 0

    def arrived(self, count: int) -> None:
        self._bytes += count
        now = self._clock.monotonic()
        if now - self._since < self._limits.stall_window:
            return
        if self._bytes < self._limits.stall_bytes:
            raise DownloadFailed("the server sends next to nothing", hint="check the server; the download resumes")
        self._since, self._bytes = now, 0
