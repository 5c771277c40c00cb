"""Which controller this is, to the ledger that it shares with others."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Final

from reconciler.errors import StateError
from reconciler.private_files import open_private

CONTROLLER_ID_FILE: Final = "controller-id"


def controller_of(state_dir: Path, name: str) -> str:
    """Such as `c1/0f3b…`: another machine has another name, and a new state directory knows nothing of what was done.

    Raises StateError where that can't be recorded.
    """
    path = state_dir / CONTROLLER_ID_FILE
    try:
        if not path.exists():
            aside = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(open_private(aside), "w") as file:
                file.write(uuid.uuid4().hex)
            aside.replace(path)
        return f"{name}/{path.read_text().strip()}"
    except OSError as error:
        raise StateError(
            f"{path} can't be made or read: {error.strerror}", hint=f"make {state_dir} writable for this user"
        ) from error


def known_controller(state_dir: Path, name: str) -> str:
    """The same for who looks; empty where it never led, or where that is another user's."""
    try:
        return f"{name}/{(state_dir / CONTROLLER_ID_FILE).read_text().strip()}"
    except OSError:
        return ""
