"""Builds guest images from the command line: ``python -m tests.lab.guest tiny --out FILE``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.lab.guest import build_debian, build_tiny
from tests.lab.guest.commands import GuestImageError


def main() -> int:
    """Build the image that the command line names; exit code 1 with one line on stderr where it can't be."""
    builders = {"debian": build_debian, "tiny": build_tiny}
    parser = argparse.ArgumentParser(prog="python -m tests.lab.guest", description=__doc__)
    parser.add_argument("image", choices=sorted(builders))
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="qcow2 file to write")
    arguments = parser.parse_args()
    try:
        print(builders[arguments.image](arguments.out))
    except GuestImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
