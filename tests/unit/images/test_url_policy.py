"""A URL, a redirect or a name that changes its mind never leads where images are not fetched from."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.images import refusals
from reconciler.images.addresses import AddressPolicy, Lookup
from tests.unit.images.downloads import Run
from tests.unit.images.web import WebServer, certificate_for


def test_redirects_are_followed(run: Run, web: WebServer) -> None:
    web.behaviour.redirects = {"/a": "/b", "/b": web.url("/c")}

    assert run(url=web.url("/a")) == web.content


def test_too_many_redirects_are_refused(run: Run, web: WebServer) -> None:
    web.behaviour.redirects = {"/a": "/a"}

    with pytest.raises(refusals.ImageUnavailable, match="redirects"):
        run(url=web.url("/a"))


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
