"""A forge says that there are new commits: believed so far only that the repository is asked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from typing import Final

import structlog

from reconciler.credentials.secret_store import SecretStore
from reconciler.daemon.metrics.server import Page
from reconciler.errors import SecretError
from reconciler.model.secret_ref import SecretRef

_SIGNATURES: Final = ("X-Hub-Signature-256", "X-Gitea-Signature", "X-Forgejo-Signature")
"""HMAC-SHA256 of the body: GitHub's with `sha256=` before it (docs.github.com, Validating webhook deliveries)."""
_TOKEN: Final = "X-Gitlab-Token"  # noqa: S105  # the header, in which GitLab sends the secret itself
_REFUSED: Final = Page(b"not signed with git.webhookSecret\n", HTTPStatus.FORBIDDEN)

log = structlog.get_logger()


class Webhook:
    """Calls `on_news` for whoever knows the secret, which is read anew each time."""

    def __init__(self, secret: SecretRef, on_news: Callable[[], None], store: SecretStore | None = None) -> None:
        self._secret = secret
        self._on_news = on_news
        self._store = store or SecretStore()

    def __call__(self, headers: Message, body: bytes) -> Page:
        """What is said of the push is not even read: what is followed is asked of the repository itself."""
        try:
            secret = self._store.line(self._secret, "git.webhookSecret", "the configuration").encode()
        except SecretError as error:
            log.error("webhook.no_secret", detail=str(error))  # noqa: TRY400  its text says it all
            return Page(b"git.webhookSecret can't be read\n", HTTPStatus.SERVICE_UNAVAILABLE)
        if not _is_proven(headers, body, secret):
            log.warning("webhook.refused")
            return _REFUSED
        self._on_news()
        return Page(b"the repository is asked\n", HTTPStatus.ACCEPTED)


def _is_proven(headers: Message, body: bytes, secret: bytes) -> bool:
    wanted = hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    given = [headers[name].removeprefix("sha256=").encode() for name in _SIGNATURES if name in headers]
    if given:
        return all(hmac.compare_digest(each, wanted) for each in given)
    return hmac.compare_digest(headers.get(_TOKEN, "").encode(), secret)
