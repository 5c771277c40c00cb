"""Checks of the annotations that are ours: one that is not understood would hold and protect nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from reconciler.model.fencing_devices import GUID_ANNOTATION
from reconciler.model.resource import API_VERSION, PAUSED_ANNOTATION, PRUNE_ANNOTATION
from reconciler.specfiles.catalog import Catalog, Found
from reconciler.specfiles.messages import closest, did_you_mean
from reconciler.specfiles.places import Finding

_OURS: Final = API_VERSION.partition("/")[0] + "/"
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {PAUSED_ANNOTATION: ("true", "false"), PRUNE_ANNOTATION: ("disabled", "enabled"), GUID_ANNOTATION: ()}
)
"""Every annotation of ours and its values; any text for the one that is checked by itself."""
_MEANT: Final[Mapping[str, str]] = MappingProxyType({"yes": "true", "on": "true", "no": "false", "off": "false"})
"""How else people write it."""


def own_annotations(catalog: Catalog) -> Found:
    """Objects with an annotation under `reconciler/` that means nothing, or not what is written."""
    for item in catalog.objects.values():
        annotations = item.resource.metadata.annotations if item.resource is not None else {}
        for key, value in annotations.items():
            if key.startswith(_OURS):
                finding = _finding(key, value)
                if finding is not None:
                    yield item, finding


def _finding(key: str, value: str) -> Finding | None:
    path = ("metadata", "annotations", key)
    choices = _CHOICES.get(key)
    if choices is None:
        near = closest(key.removeprefix(_OURS), (known.removeprefix(_OURS) for known in _CHOICES))
        suggestion = f"{_OURS}{near}" if near else ""
        ending = did_you_mean(suggestion) + f"{' Those' if suggestion else '; those'} known are {', '.join(_CHOICES)}"
        return Finding("S051", path, f"unknown annotation{ending}", on_key=True, suggestion=suggestion)
    if not choices or value in choices:
        return None
    meant = _MEANT.get(value.lower(), value)
    suggestion = meant if meant in choices else closest(value, choices)
    known = " and ".join(f'"{choice}"' for choice in choices)
    ending = did_you_mean(suggestion) + f"{' The' if suggestion else '; the'} possible values are {known}"
    return Finding("S051", path, f"{value!r} is not understood{ending}", suggestion=suggestion)
