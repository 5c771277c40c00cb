"""SIGHUP: the configuration is read again, and taken up where it can be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from msgspec.structs import replace

from reconciler.config import Settings
from reconciler.daemon.notify import ServiceManager
from reconciler.errors import UsageError

RELOAD: Final = "reload"
"""The reason of a pass that was asked for by SIGHUP: it reads everything afresh."""
_TAKE_A_RESTART: Final = ("fleet", "stateDir", "ledger.", "logFormat", "metrics", "git.")
"""Beginnings of keys that a running controller can't change."""

log = structlog.get_logger()


class Reload:
    """The settings of a daemon, which `read` reads again after `ask`; raises UsageError where they can't be used."""

    def __init__(self, settings: Settings, read: Callable[[], Settings], service: ServiceManager) -> None:
        self._in_force = settings
        self._read = read
        self._service = service
        self._asked = False
        self._new: Settings | None = None
        self._refused = ""

    def ask(self) -> None:
        """Called by a signal handler, so it takes no lock: `why_over` does the work."""
        self._asked = True

    def take_up(self) -> Settings:
        """The settings to go on with: those that were read last and could be used."""
        self._in_force, self._new = self._new or self._in_force, None
        return self._in_force

    def why_over(self) -> str:
        """Why the loop is to begin afresh; empty where the settings in force are still those of the configuration.

        Reads it, if that was asked for.
        """
        if self._asked:
            self._asked = False
            self._service.reloading()
            self._look()
        return "the configuration changed" if self._new is not None else ""

    def problems(self) -> tuple[str, ...]:
        """What was refused at the last reload, for `systemctl status`."""
        return (f"configuration refused, the one before stays in force: {self._refused}",) if self._refused else ()

    def _look(self) -> None:
        self._new, self._refused = None, ""
        try:
            found = self._read()
            found.specs_directory()
        except UsageError as error:
            self._refuse(str(error), error.message)
            return
        changed = _changed(self._in_force, found)
        fixed = [key for key in changed if key.startswith(_TAKE_A_RESTART)]
        if fixed:
            words = f"{', '.join(fixed)} can't be changed while it runs; restart it"
            self._refuse(words, words)
            return
        log.info("config.reloaded", changed=changed)
        self._new = found if changed else None

    def _refuse(self, text: str, message: str) -> None:
        self._refused = message
        log.error("config.refused", error=text)


def _changed(before: Settings, after: Settings) -> list[str]:
    """Keys of the configuration whose values are others now."""
    if replace(before, origins=()) == replace(after, origins=()):
        return []
    old = {origin.key: origin.value for origin in before.origins}
    new = {origin.key: origin.value for origin in after.origins}
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)) or ["part of a setting"]
