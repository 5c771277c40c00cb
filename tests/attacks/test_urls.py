"""Attack cases 11 to 15: no URL, redirect or name that changes its mind leads where images are not fetched from.

The server is a real one, on loopback; where a public address is needed, 127.0.0.1 plays one.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from reconciler.errors import ImageError
from reconciler.images import refusals
from reconciler.images.addresses import AddressPolicy
from reconciler.images.catalog import ImageStore
from reconciler.model.policy import Policy
from tests.attacks.conftest import SECRET
from tests.unit.images.conftest import url_image
from tests.unit.images.downloads import OnlyLoopback, Run
from tests.unit.images.web import WebServer
from tests.unit.specfiles.fleets import BASE, document, load_fleet, only, write

PASSWORD = "hunter2"  # noqa: S105  # the word that must not be shown
CHECKSUM = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ],
)
def test_11_loopback_however_it_is_spelled(run: Run, web: WebServer, host: str) -> None:
    """Refused after it was resolved, and before a byte is sent there."""
    with pytest.raises(refusals.AddressRefused, match="loopback"):
        run(url=web.url(host=host), addresses=AddressPolicy(allow_private=False))

    assert web.requests == []


@pytest.mark.parametrize("host", ["0177.0.0.1", "127.0.0.1.1.1", "0x7f.0.0.0.1"])
def test_11_what_some_would_read_as_an_address_and_others_not(run: Run, web: WebServer, host: str) -> None:
    with pytest.raises(ImageError):
        run(url=web.url(host=host), addresses=AddressPolicy(allow_private=False))

    assert web.requests == []


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"],
)
def test_11_the_metadata_service_behind_a_name(run: Run, web: WebServer, address: str) -> None:
    policy = AddressPolicy(allow_private=False, lookup=lambda _host, _port: (address,))

    with pytest.raises(refusals.AddressRefused, match="link-local"):
        run(url=web.url(host="images.test"), addresses=policy)


def test_11_one_such_address_among_good_ones(run: Run, web: WebServer) -> None:
    policy = OnlyLoopback(allow_private=False, lookup=lambda _host, _port: ("127.0.0.1", "10.0.0.1"))

    with pytest.raises(refusals.AddressRefused):
        run(url=web.url(host="mixed.test"), addresses=policy)

    assert web.requests == []


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
def test_12_a_redirect_to_such_an_address(run: Run, web: WebServer, target: str) -> None:
    """Checked at each hop, the second one here."""
    web.behaviour.redirects = {"/image": "/again", "/again": target}

    with pytest.raises(refusals.AddressRefused, match="private"):
        run(addresses=OnlyLoopback(allow_private=False))

    assert len(web.requests) == 2


def test_13_a_name_that_changes_its_answer_after_the_check(run: Run, web: WebServer) -> None:
    """The checked address is the one connected to: the name is asked once for each connection."""
    answers = ["127.0.0.1", "169.254.169.254"]
    policy = OnlyLoopback(allow_private=False, lookup=lambda _host, _port: (answers.pop(0),))

    assert run(url=web.url(host="rebind.test"), addresses=policy) == web.content
    assert answers == ["169.254.169.254"]


def test_13_a_name_that_changes_its_answer_before_the_download_is_resumed(run: Run, web: WebServer) -> None:
    """The next connection is another one: its address is checked anew."""
    answers = ["127.0.0.1", "169.254.169.254"]
    policy = OnlyLoopback(allow_private=False, lookup=lambda _host, _port: (answers.pop(0),))
    web.behaviour.cuts = [1 << 20]

    with pytest.raises(refusals.AddressRefused, match=r"169\.254\.169\.254"):
        run(url=web.url(host="rebind.test"), addresses=policy)

    assert len(web.requests) == 1


@pytest.mark.parametrize("url", ["http://x.test/y", "ftp://x.test/y", "file:///etc/shadow", "ssh://x/y", "data:,x"])
def test_14_another_scheme_than_https(run: Run, web: WebServer, url: str) -> None:
    """In a redirect too, and plain http only where the policy allows it."""
    with pytest.raises(refusals.SchemeRefused):
        run(url=url, allow_http=False)
    if not url.startswith("http:"):
        web.behaviour.redirects = {"/image": url}
        with pytest.raises(refusals.SchemeRefused):
            run()

    assert "shadow" not in str(web.requests)


@pytest.mark.parametrize("url", ["ftp://x.test/y", "file:///etc/shadow", "ssh://x.test/y", "/etc/shadow"])
def test_14_such_a_scheme_in_a_spec(tmp_path: Path, url: str) -> None:
    spec = f"source: {{url: '{url}'}}, checksum: '{CHECKSUM}', format: raw"

    problem = only(load_fleet(write(tmp_path, base=BASE, image=document("Image", "i", spec))))

    assert (problem.code, problem.field) == ("S019", "spec.source.url")


def test_15_credentials_in_the_url_of_a_spec(tmp_path: Path) -> None:
    """Refused, and starred out of what is told of it."""
    spec = f"source: {{url: 'https://root:{PASSWORD}@x.test/y'}}, checksum: '{CHECKSUM}', format: raw"

    problem = only(load_fleet(write(tmp_path, base=BASE, image=document("Image", "i", spec))))

    assert problem.code == "S019"
    assert PASSWORD not in f"{problem.snippet} {problem.message} {problem.suggestion}"


@pytest.mark.parametrize("place", ["url", "redirect"])
def test_15_credentials_on_the_way(run: Run, web: WebServer, caplog: pytest.LogCaptureFixture, place: str) -> None:
    """Neither the error nor a log, however much is logged, shows them."""
    secret = f"http://root:{PASSWORD}@127.0.0.1:{web.port}/other"
    web.behaviour.redirects = {"/image": secret}

    with caplog.at_level(logging.DEBUG), pytest.raises(refusals.CredentialsInUrl) as caught:
        run(url=secret if place == "url" else "")

    assert PASSWORD not in str(caught.value) + caplog.text
    assert len(web.requests) == (place == "redirect")


def test_15_the_query_of_a_url_is_never_shown(run: Run, web: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    """Signed URLs carry their secret there."""
    web.behaviour.statuses = [403]

    with caplog.at_level(logging.DEBUG), pytest.raises(refusals.ImageUnavailable) as caught:
        run(url=web.url(f"/image?signature={PASSWORD}"))

    assert PASSWORD not in str(caught.value) + caplog.text


def test_15_what_a_server_says_is_never_shown(web: WebServer, tmp_path: Path) -> None:
    """A server that answers with somebody's secret has it neither told nor kept."""
    web.content = SECRET.encode() * 1024
    store = ImageStore(tmp_path / "state", Policy(allow_http=True, allow_private_addresses=True))

    facts = store.facts(url_image(web.url(), CHECKSUM))

    assert not facts.cached
    assert SECRET not in (facts.error or "")
