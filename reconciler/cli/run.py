"""`reconciler run`."""

from __future__ import annotations

import faulthandler
from importlib import import_module
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from reconciler.cli.endings import tell
from reconciler.cli.invocation import Invocation
from reconciler.cli.log_setup import configure_logs
from reconciler.cli.open_directories import refuse_open_directories
from reconciler.errors import ConfigurationError, LedgerForeign, ReconcilerError, UsageError

NEVER_BY_ITSELF: Final = 78
"""EX_CONFIG of sysexits.h: trying again can't help before somebody changed something, so systemd does not."""

_STDERR: Final = 2


def run(
    invocation: Invocation,
    *,
    directory: Path | None,
    git: str | None = None,
    branch: str | None = None,
    path: str | None = None,
    interval: str | None = None,
) -> int:
    """Be the daemon until SIGTERM."""
    if directory is not None and git is not None:
        raise UsageError("DIR and --git are both given, and the specs can be in one place only", hint="take one out")
    named = {"git.url": git, "git.branch": branch, "git.path": path, "git.interval": interval}
    flags = {**invocation.flags, **{key: value for key, value in named.items() if value is not None}}
    invocation = replace(invocation, flags=flags)
    # Where the watchdog has to end it, by SIGABRT, the journal tells what each thread was at.
    faulthandler.enable(_STDERR)
    try:
        settings = invocation.settings(directory)
        if settings.git is None and settings.specs is None:
            raise UsageError("no specs were named", hint="name a directory, or a Git repository with --git URL")
        refuse_open_directories(settings.specs_directory() if settings.git is None else None)
        configure_logs(settings, daemon=True)
        invocation.doors().run_daemon(settings, lambda: invocation.settings(directory))
    except ReconcilerError as error:
        service = import_module("reconciler.daemon.notify").ServiceManager()
        service.status(f"does not run: {error}")
        if isinstance(error, ConfigurationError | LedgerForeign):
            tell(error)
            return NEVER_BY_ITSELF
        raise
    return 0
