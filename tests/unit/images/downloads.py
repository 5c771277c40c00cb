"""Downloads of the tests: quick to give up, into a folder of their own."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import threading
from pathlib import Path

from reconciler.clock import SystemClock
from reconciler.images.addresses import Address, AddressPolicy
from reconciler.images.fetch import download
from reconciler.images.fetch_rules import FetchLimits, FetchRules, Wanted
from reconciler.images.partial import Partial
from tests.unit.images.web import WebServer

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


class OnlyLoopback(AddressPolicy):
    """As a public server is to the real policy, 127.0.0.1 is to this one."""

    def check(self, address: Address, host: str) -> None:
        if address != ipaddress.ip_address("127.0.0.1"):
            super().check(address, host)
