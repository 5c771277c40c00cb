"""The daemon's own HTTP server: a few pages that are answered at once, whatever hosts do.

Other machines reach it over TLS only, with a certificate that the configured authority signed.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from msgspec import Struct

from reconciler.errors import ExposedListener, UsageError
from reconciler.model.metrics_settings import MetricsTls

_PATIENCE: Final = 5.0
"""Seconds that a client may take to say what it wants, and to take the answer."""
_AT_ONCE: Final = 16
"""Clients that are answered at once; more are turned away."""


class Page(Struct, frozen=True):
    """One answer."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[], Page]]
"""By path."""
Hooks = Mapping[str, Callable[[Message, bytes], Page]]
"""What is answered to POST, by path; called with the headers and the body."""
_LARGEST_BODY: Final = 4 << 20


class PageServer:
    """Answers GET for the paths of `pages` on `listen` (`ADDRESS:PORT`), in threads of its own, until it is closed.

    And POST for those of `hooks`.

    Raises ExposedListener for an address that other machines reach, without TLS and a client authority, UsageError
    where it can't be listened on.
    """

    def __init__(self, listen: str, pages: Pages, tls: MetricsTls | None = None, *, hooks: Hooks | None = None) -> None:
        self._server = _bound(listen, pages, hooks or {}, tls or MetricsTls())
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Answer nobody any more; requests under way are not waited for."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, family: socket.AddressFamily, address: tuple[Any, ...], pages: Pages, hooks: Hooks) -> None:
        self.address_family = family
        self.pages = pages
        self.hooks = hooks
        self.tls: ssl.SSLContext | None = None
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(_PATIENCE)
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        # Hands are shaken here, in the client's own thread: one that never answers keeps nobody else waiting.
        channel = request if self.tls is None else self.tls.wrap_socket(request, server_side=True)
        super().finish_request(channel, client_address)
        if channel is not request:
            channel.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or has no certificate, is no news."""


class _Handler(BaseHTTPRequestHandler):
    server_version = "reconciler"
    sys_version = ""
    timeout = _PATIENCE
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        make = self.server.pages.get(path)
        known = " ".join(sorted(self.server.pages))
        unknown = Page(f"no such page; there are: {known}\n".encode(), HTTPStatus.NOT_FOUND)
        self._answer(unknown if make is None else make())

    do_HEAD = do_GET  # noqa: N815  http.server's own name

    def do_POST(self) -> None:
        hook = self.server.hooks.get(self.path.partition("?")[0])
        length = self.headers.get("Content-Length", "")
        if hook is None:
            page = Page(b"nothing is taken here\n", HTTPStatus.NOT_FOUND)
        elif not length.isdecimal():
            page = Page(b"say how long it is\n", HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > _LARGEST_BODY:
            page = Page(b"that is too long\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            page = hook(self.headers, self.rfile.read(int(length)))
        self.close_connection = True
        self._answer(page)

    def _answer(self, page: Page) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is no news."""


def _bound(listen: str, pages: Pages, hooks: Hooks, tls: MetricsTls) -> _Server:
    family, address = _resolved(listen)
    if not tls.is_complete and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise ExposedListener(
            f"metricsListen {listen}: other machines reach that address, and anybody there could ask",
            hint="listen on 127.0.0.1, or set metricsTls.certificate, metricsTls.key and metricsTls.clientCa: only who"
            " has a certificate of that authority is answered then",
        )
    context = _context(tls) if tls.is_complete else None
    try:
        server = _Server(family, address, pages, hooks)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"metricsListen {listen}: {reason}", hint="name another address or port in the configuration, or `off`"
        ) from error
    server.tls = context
    return server


def _resolved(listen: str) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """The one address that is listened on: of a name, what it means now."""
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            f"metricsListen {listen}: no address of this machine", hint="write ADDRESS:PORT, such as 127.0.0.1:9465"
        ) from error
    family, _, _, _, address = found[0]
    return family, address


def _context(tls: MetricsTls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(tls.certificate or "", tls.key)
        context.load_verify_locations(tls.client_ca)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"metricsTls: {tls.certificate}, {tls.key} or {tls.client_ca} can't be used: {error.strerror or error}",
            hint="name PEM files that the controller's user can read",
        ) from error
    return context
