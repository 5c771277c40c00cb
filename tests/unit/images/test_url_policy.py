"""A URL, a redirect or a name that changes its mind never leads where images are not fetched from."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import ImageError
from reconciler.images import refusals
from reconciler.images.addresses import AddressPolicy, Lookup
from tests.unit.images.downloads import OnlyLoopback, Run
from tests.unit.images.web import WebServer, certificate_for


def test_redirects_are_followed(run: Run, web: WebServer) -> None:
    web.behaviour.redirects = {"/a": "/b", "/b": web.url("/c")}

    assert run(url=web.url("/a")) == web.content


def test_too_many_redirects_are_refused(run: Run, web: WebServer) -> None:
    web.behaviour.redirects = {"/a": "/a"}

    with pytest.raises(refusals.ImageUnavailable, match="redirects"):
        run(url=web.url("/a"))


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
