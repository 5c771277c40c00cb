"""A forge may have new commits asked for at once, if it knows the secret."""

from __future__ import annotations

import hashlib
import hmac
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from reconciler.credentials.secret_store import SecretStore
from reconciler.daemon.metrics.server import PageServer
from reconciler.daemon.metrics.webhook import Webhook
from reconciler.model.secret_ref import SecretRef

_BODY = b'{"ref": "refs/heads/main"}'
_SIGNATURE = hmac.new(b"hush", _BODY, hashlib.sha256).hexdigest()


class Forge:
    """Posts to the daemon's page, and counts what came of it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.heard = 0
        hook = Webhook(SecretRef(env="HOOK"), self._hear, SecretStore(environment))
        self.server = PageServer("127.0.0.1:0", {}, hooks={"/webhook": hook})

    def _hear(self) -> None:
        self.heard += 1

    def post(self, headers: Mapping[str, str], body: bytes = _BODY, path: str = "/webhook") -> int:
        url = f"http://127.0.0.1:{self.server.port}{path}"
        asked = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # loopback
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture
def forge() -> Iterator[Forge]:
    made = Forge({"HOOK": "hush"})
    with closing(made.server):
        yield made


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Hub-Signature-256": f"sha256={_SIGNATURE}"},
        {"x-hub-signature-256": f"sha256={_SIGNATURE}"},
        {"X-Gitea-Signature": _SIGNATURE},
        {"X-Gitlab-Token": "hush"},
    ],
)
def test_who_knows_the_secret_is_heard(forge: Forge, headers: dict[str, str]) -> None:
    assert forge.post(headers) == 202
    assert forge.heard == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Gitlab-Token": ""},
        {"X-Gitlab-Token": "h\u00fcsh"},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64, "X-Gitlab-Token": "hush"},
    ],
)
def test_who_does_not_is_refused(forge: Forge, headers: dict[str, str]) -> None:
    assert forge.post(headers) == 403
    assert forge.heard == 0


def test_a_signature_is_of_one_body_alone(forge: Forge) -> None:
    assert forge.post({"X-Hub-Signature-256": f"sha256={_SIGNATURE}"}, b"another") == 403


def test_too_long_a_body_is_not_read(forge: Forge) -> None:
    assert forge.post({"X-Gitlab-Token": "hush", "Content-Length": str(5 << 20)}, b"x") == 413
    assert forge.heard == 0


def test_nothing_else_takes_a_post(forge: Forge) -> None:
    assert forge.post({"X-Gitlab-Token": "hush"}, path="/metrics") == 404


def test_a_secret_that_can_not_be_read_lets_nobody_in() -> None:
    forge = Forge({})
    with closing(forge.server):
        assert forge.post({"X-Gitlab-Token": ""}) == 503
    assert forge.heard == 0
