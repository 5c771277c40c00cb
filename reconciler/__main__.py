"""`python -m reconciler` and the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with the command's exit code."""
    if sys.argv[1:] == ["--version"]:  # answered without importing click: scripts ask often
        from reconciler import __version__  # noqa: PLC0415

        sys.stdout.write(f"reconciler {__version__}\n")
        return
    from reconciler.cli.app import app  # noqa: PLC0415

    app.main(prog_name="reconciler")


if __name__ == "__main__":
    main()
