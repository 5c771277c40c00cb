"""`reconciler run`."""

from __future__ import annotations

from pathlib import Path

from reconciler.cli.invocation import Invocation
from reconciler.cli.log_setup import configure_logs


def run(invocation: Invocation, *, directory: Path | None) -> int:
    """Be the daemon until SIGTERM."""
    settings = invocation.settings(directory)
    settings.specs_directory()
    configure_logs(settings, daemon=True)
    invocation.doors().run_daemon(settings)
    return 0
