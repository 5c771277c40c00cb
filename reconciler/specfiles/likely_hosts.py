"""Which hosts a small fleet has, at a glance: connecting can begin while everything else is still being imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.model.host import checked_uri
from reconciler.specfiles.directory import DirectoryLimits, read_directory
from reconciler.specfiles.yaml_documents import YamlError, parse

_SMALL: Final = DirectoryLimits(files=200, total_bytes=1 << 20)
"""A large fleet takes longer to look through than connecting does."""
_SIGN: Final = b"kind: Host"


def likely_hosts(directory: Path) -> dict[str, str]:
    """URI by name, as far as a quick look tells; raises nothing, and only URIs that a spec may have are in it.

    No word on what is right: the specs decide, and a connection that they do not ask for is given up again.
    """
    found: dict[str, str] = {}
    listing = read_directory(directory, _SMALL)
    if listing.unusable is not None:
        return found
    for content in listing.contents.values():
        if _SIGN in content:
            found.update(_hosts_in(content))
    return found


def _hosts_in(content: bytes) -> dict[str, str]:
    try:
        documents = [document.data for document in parse(content)]
    except YamlError:
        return {}
    return {
        name: uri
        for data in documents
        if isinstance(data, Mapping) and data.get("kind") == "Host"
        for name, uri in _host(data)
    }


def _host(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    metadata, spec = data.get("metadata"), data.get("spec")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    uri = spec.get("uri") if isinstance(spec, Mapping) else None
    if not isinstance(name, str) or not isinstance(uri, str) or not uri.isprintable():
        return []
    try:
        return [(name, checked_uri(uri))]
    except ValueError:
        return []
