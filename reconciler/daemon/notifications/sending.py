"""Sends by apprise, which is imported only where somebody is to be told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from reconciler.credentials.secret_store import SecretStore
from reconciler.errors import NotificationFailed, SecretError
from reconciler.model.notifications import Receiver, Tone


def send(receiver: Receiver, title: str, text: str, tone: Tone, secrets: SecretStore | None = None) -> None:
    """Send it, with the colour, sound or priority that the service has for `tone`.

    Raises NotificationFailed, which never holds the URL: it has a password in it, mostly.
    """
    try:
        url = (secrets or SecretStore()).line(receiver.url, "url", f"notifications: {receiver.name}")
    except SecretError as error:
        raise NotificationFailed(error.message, hint=error.hint) from error
    for talkative in ("apprise", "urllib3"):
        # They would write URLs, tokens and all, into the log.
        logging.getLogger(talkative).setLevel(logging.CRITICAL + 1)
    make: Callable[[], Any] = import_module("apprise").Apprise
    sender = make()
    if not sender.add(url):
        raise NotificationFailed(
            f"notifications: {receiver.name}: its url is none that apprise knows",
            hint="write it as in apprise's documentation, such as ntfy://HOST/TOPIC",
        )
    if not sender.notify(title=f"reconciler: {title}", body=text, notify_type=tone):
        raise NotificationFailed(
            f"notifications: {receiver.name} could not be told: its service refused, or does not answer",
            hint=f"try it: reconciler notify test {receiver.name}",
        )
