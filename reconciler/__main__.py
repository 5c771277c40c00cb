"""`python -m reconciler` and the console script."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import Final

_NEW_OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000


def main() -> None:
    """Run the command line; ends the process with the command's exit code."""
    if sys.argv[1:] == ["--version"]:  # answered without importing click: scripts ask often
        from reconciler import __version__  # noqa: PLC0415

        sys.stdout.write(f"reconciler {__version__}\n")
        return
    # A fleet is very many objects that stay and hardly a cycle: going over them again and again takes long.
    # Nothing of ours is a plug-in of pydantic; looking for some means reading every installed package's metadata.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(_NEW_OBJECTS_BETWEEN_COLLECTIONS, 50, 50)
    from reconciler.cli.app import app  # noqa: PLC0415

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an arrow must not end the program where the locale has none
    try:
        app.main(prog_name="reconciler")
    except SystemExit as ended:
        _leave(ended.code)


def _leave(code: object) -> None:
    """End at once: everything was closed on the way here, and taking a large fleet apart object by object is slow."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads any more
            code = code or 1
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
