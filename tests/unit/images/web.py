"""A web server on loopback with ranges, cuts, redirects, delays and certificates."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Behaviour:
    """What the next responses are like."""

    etag: str | None = '"v1"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    """Bytes after which each of the next responses breaks off."""
    statuses: list[int] = field(default_factory=list)
    """What the next requests are answered with instead."""
    redirects: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    """Content-Length to claim."""
    silent_after: int | None = None
    """Bytes after which the server says nothing more until it is closed."""
    body_sent: threading.Event = field(default_factory=threading.Event)


class WebServer:
    """Serves `content` under every path."""

    def __init__(self, content: bytes, certificate: tuple[Path, Path] | None = None) -> None:
        self.content = content
        self.behaviour = Behaviour()
        self.requests: list[dict[str, str]] = []
        self.closing = threading.Event()
        self._httpd = _Listener(self)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._httpd.socket = context.wrap_socket(self._httpd.socket, server_side=True)
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._httpd.server_address[1])

    def url(self, path: str = "/image", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._httpd.shutdown()
        self._httpd.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: WebServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        owner = self.server.owner
        behaviour = owner.behaviour
        owner.requests.append({key.lower(): value for key, value in self.headers.items()})
        if self.path in behaviour.redirects:
            self._answer(302, {"Location": behaviour.redirects[self.path], "Content-Length": "0"}, b"")
        elif behaviour.statuses:
            self._answer(behaviour.statuses.pop(0), {"Content-Length": "0"}, b"")
        elif self._start() >= len(owner.content):
            self._answer(416, {"Content-Length": "0"}, b"")
        else:
            self._serve(owner, behaviour, self._start())

    def _serve(self, owner: WebServer, behaviour: Behaviour, start: int) -> None:
        body = owner.content[start:]
        headers = {"Content-Length": str(behaviour.length or len(body))}
        if behaviour.etag:
            headers["ETag"] = behaviour.etag
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(owner.content) - 1}/{len(owner.content)}"
        if behaviour.cuts:
            body = body[: behaviour.cuts.pop(0)]
            self.close_connection = True
        if behaviour.silent_after is not None:
            body = body[: behaviour.silent_after]
        self._answer(206 if start else 200, headers, body)
        behaviour.body_sent.set()
        if behaviour.silent_after is not None:
            owner.closing.wait(30)

    def _start(self) -> int:
        behaviour = self.server.owner.behaviour
        wanted = self.headers.get("Range", "")
        condition = self.headers.get("If-Range")
        if not behaviour.ranges or not wanted or (condition and condition != behaviour.etag):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


def certificate_for(folder: Path, *names: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key, good for `names`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.pem", folder / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
