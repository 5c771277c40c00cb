"""HTTP over connections to checked addresses only. Heavy: imported where a download begins.

A name is resolved once for each connection and the checked address itself is connected to, so a name that changes its
mind in between gains nothing; TLS still verifies the name. Proxies of the environment are not used: behind one, the
address could not be checked.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore2
import httpx2

from reconciler.clock import Clock
from reconciler.errors import DownloadFailed, ImageError
from reconciler.images.fetch_rules import FetchRules
from reconciler.images.refusals import DownloadCancelled, ImageUnavailable

_POLL: Final = 0.25  # seconds until a cancellation is noticed on a silent connection


class CancellableStream(httpcore2.NetworkStream):
    """A connection whose waiting ends when `stop` is set."""

    def __init__(self, inner: httpcore2.NetworkStream, stop: threading.Event, clock: Clock) -> None:
        self._inner = inner
        self._stop = stop
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        remaining = float("inf") if timeout is None else timeout
        while True:
            if self._stop.is_set():
                raise DownloadCancelled("the download was stopped")
            started = self._clock.monotonic()
            try:
                return self._inner.read(max_bytes, timeout=min(_POLL, remaining))
            except httpcore2.ReadTimeout:
                remaining -= self._clock.monotonic() - started
                if remaining <= 0:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return CancellableStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._stop, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class CheckedBackend(httpcore2.NetworkBackend):
    """Connects to the addresses that the rules admit."""

    def __init__(self, rules: FetchRules, stop: threading.Event) -> None:
        self._rules = rules
        self._stop = stop
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failure: Exception = httpcore2.ConnectError("no address")
        for address in self._rules.addresses.resolve(host, port):
            try:
                stream = self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return CancellableStream(stream, self._stop, self._rules.clock)
        raise failure


class CheckedTransport(httpx2.BaseTransport):
    """Sends requests of httpx2 over a `CheckedBackend`, without the client's logging of whole URLs."""

    def __init__(self, rules: FetchRules, stop: threading.Event) -> None:
        # At that level it logs whole headers, and a redirect may carry credentials.
        logging.getLogger("httpcore2").setLevel(logging.INFO)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=rules.context or ssl.create_default_context(),
            max_connections=1,
            network_backend=CheckedBackend(rules, stop),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@contextmanager
def translated_errors(host: str) -> Iterator[None]:
    """Errors of the HTTP library as our own: DownloadFailed where trying again may help, else ImageUnavailable."""
    try:
        yield
    except (httpcore2.TimeoutException, httpx2.TimeoutException) as error:
        raise DownloadFailed(f"{host} did not answer in time", hint="check the server; the download resumes") from error
    except (httpcore2.NetworkError, httpx2.NetworkError) as error:
        raise _network_failure(host, error) from error
    except (httpcore2.ProtocolError, httpx2.ProtocolError) as error:
        raise DownloadFailed(f"{host} broke off or does not speak HTTP", hint="the download resumes") from error
    except (httpcore2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise ImageUnavailable(f"{host}: the url can't be used", hint="correct the url") from error


def _network_failure(host: str, error: Exception) -> ImageError:
    causes = _causes(error)
    untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        return ImageUnavailable(
            f"{host} has a certificate that is not trusted: {untrusted.verify_message}",
            hint="install its authority on the controller, or correct the url",
        )
    reason = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), "lost it")
    return DownloadFailed(f"no connection to {host}: {reason}", hint="check the server and the network")


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(found) < 10:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
