"""What a download may do, and how patient it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.images.addresses import AddressPolicy
from reconciler.images.refusals import AddressRefused, CredentialsInUrl, SchemeRefused

if TYPE_CHECKING:
    import ssl

Progress = Callable[[int, int | None], None]
"""Called with bytes done and bytes in all (None where the server does not say); may raise to cancel."""


class FetchLimits(Struct, frozen=True):
    """Patience; times in seconds."""

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    """Longest silence of a server."""
    stall_window: float = 60.0
    """A server that sends less than `stall_bytes` in this time is given up on."""
    stall_bytes: int = 64 << 10
    attempts: int = 5
    """Attempts in a row that bring nothing new."""
    backoff: float = 0.5
    max_redirects: int = 5


class Wanted(Struct, frozen=True):
    """What to download; `subject` (`Image/name`) begins every message."""

    subject: str
    url: str
    digest: str


class FetchRules(Struct, frozen=True):
    """One policy for all downloads; `context` replaces the system's trusted authorities, sizes in bytes."""

    addresses: AddressPolicy
    allow_http: bool
    max_size: int
    clock: Clock
    limits: FetchLimits = FetchLimits()
    context: ssl.SSLContext | None = None

    def check_url(self, url: str) -> None:
        """Raise AddressRefused for a URL that is never fetched; nothing is resolved."""
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise CredentialsInUrl("credentials in a url would be shown in logs", hint="serve the image without them")
        if parts.scheme != "https" and not (parts.scheme == "http" and self.allow_http):
            raise SchemeRefused(
                f"{parts.scheme or 'no scheme'}: images are fetched over https",
                hint="use https, or set allowHttp: true in the controller's configuration",
            )
        if not parts.hostname:
            raise AddressRefused("the url names no host", hint="correct the url")
