"""What a shell may complete: kinds, columns, and the names of the objects in the specs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

_KINDS: Final = ("Host", "StoragePool", "Network", "Image", "VirtualMachine", "Approval")
_COLUMNS: Final = ("name", "host", "health", "sync", "revision", "age", "message", "state")
_DOCUMENT: Final = re.compile(r"^---", re.MULTILINE)
_KIND: Final = re.compile(r"^kind:\s*([A-Za-z]+)", re.MULTILINE)
_NAME: Final = re.compile(r"^metadata:\s*(?:\{[^}\n]*?|\n(?:\s+.*\n)*?\s+)name:\s*([a-z0-9-]+)", re.MULTILINE)


def complete_kind(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Kinds of specs."""
    return [kind for kind in _KINDS if kind.lower().startswith(incomplete.lower())]


def complete_column(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Columns, the last of several."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{column}" for column in _COLUMNS if column.startswith(last)]


def complete_object(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """`Kind/name` of every object in the specs, found without reading them as YAML: a key press must not wait."""
    directory = ctx.params.get("directory") or os.environ.get("RECONCILER_SPECS")
    if not directory:
        return [f"{kind}/" for kind in complete_kind(ctx, _param, incomplete)]
    return sorted(name for name in set(_objects(Path(directory))) if name.lower().startswith(incomplete.lower()))


def complete_host(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of the hosts in the specs."""
    found = complete_object(ctx, param, f"Host/{incomplete}")
    return [name.removeprefix("Host/") for name in found if name.startswith("Host/") and name != "Host/"]


def complete_image(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of the images in the specs."""
    found = complete_object(ctx, param, f"Image/{incomplete}")
    return [name.removeprefix("Image/") for name in found if name.startswith("Image/") and name != "Image/"]


def _objects(directory: Path) -> Iterator[str]:
    for file in [*directory.rglob("*.yaml"), *directory.rglob("*.yml")]:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # what can't be read has no names to offer
        for document in _DOCUMENT.split(text):
            kind, name = _KIND.search(document), _NAME.search(document)
            if kind and name:
                yield f"{kind[1]}/{name[1]}"
