"""`reconciler run`."""

from __future__ import annotations

import faulthandler
from importlib import import_module
from pathlib import Path
from typing import Final

from reconciler.cli.endings import tell
from reconciler.cli.invocation import Invocation
from reconciler.cli.log_setup import configure_logs
from reconciler.cli.open_directories import refuse_open_directories
from reconciler.errors import ConfigurationError, LedgerForeign, ReconcilerError

NEVER_BY_ITSELF: Final = 78
"""EX_CONFIG of sysexits.h: trying again can't help before somebody changed something, so systemd does not."""

_STDERR: Final = 2


def run(invocation: Invocation, *, directory: Path | None) -> int:
    """Be the daemon until SIGTERM."""
    # Where the watchdog has to end it, by SIGABRT, the journal tells what each thread was at.
    faulthandler.enable(_STDERR)
    try:
        settings = invocation.settings(directory)
        refuse_open_directories(settings.specs_directory())
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
