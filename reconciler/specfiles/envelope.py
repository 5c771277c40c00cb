"""What every object has around its spec: apiVersion, kind and metadata, and what was meant where they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from reconciler.model.resource import API_VERSION, KINDS, Kind
from reconciler.specfiles.drafts import findings_in
from reconciler.specfiles.json_schema import property_at
from reconciler.specfiles.messages import closest, did_you_mean, shown
from reconciler.specfiles.places import Finding

_OURS: Final = API_VERSION.partition("/")[0]
_ANY: Final[Kind] = KINDS[0]
"""A kind to check what all of them have in common."""

_SHORT: Final = {"vm": "VirtualMachine", "pool": "StoragePool", "net": "Network"}
"""What people call the kinds on the command line."""


class Envelope(Struct, frozen=True):
    """A document that is no object as it stands."""

    kind: Kind | None
    """What it is, or is meant to be for certain; None where that can't be told."""
    complete: Mapping[str, Any]
    """The document with the kind and version that were meant."""
    findings: list[Finding]
    """Everything that is wrong with it; of its spec nothing if `kind` is None."""


def kind_of(data: Any) -> Kind | None:
    """The kind as it is written; None where there is none of that name."""
    kind = data.get("kind") if isinstance(data, dict) else None
    return next((known for known in KINDS if known == kind), None)


def open_envelope(data: Any) -> Envelope:
    """Find out what is wrong with a document without a right apiVersion or kind, and what may be meant."""
    if not isinstance(data, dict):
        message = f"{shown(data)} is not an object; write apiVersion, kind, metadata and spec"
        return Envelope(None, {}, [Finding("S011", (), message)])
    kind = _meant_kind(data) if _is_ours(data.get("apiVersion")) else None
    complete = {**data, "apiVersion": API_VERSION, "kind": kind or _ANY}
    own = [finding for finding in (_about_version(data), _about_kind(data)) if finding is not None]
    if not {"apiVersion", "metadata", "spec"} & data.keys():
        return Envelope(kind, complete, own[-1:])  # it is something else altogether
    inner = findings_in(complete["kind"], complete)[1]
    if kind is None:
        inner = [finding for finding in inner if finding.path[:1] != ("spec",) or finding.path == ("spec",)]
    mistyped = {finding.suggestion for finding in inner if finding.code == "S014" and len(finding.path) == 1}
    return Envelope(kind, complete, [*(each for each in own if each.path[0] not in mistyped), *inner])


def _meant_kind(data: Mapping[str, Any]) -> Kind | None:
    """The kind, also where it is mistyped, as long as most of what the spec says belongs to that kind."""
    written = data.get("kind")
    meant = kind_of(data) or kind_of({"kind": closest(written, KINDS) if isinstance(written, str) else ""})
    if meant is None or meant == written:
        return meant
    spec = data.get("spec")
    fields = spec if isinstance(spec, dict) else {}
    known = (property_at(meant, ("spec",)) or {}).get("properties", {})
    return meant if 2 * sum(name in known for name in fields) >= len(fields) else None


def _is_ours(version: Any) -> bool:
    """Whether somebody who wrote `version` meant us; another group is another product's object."""
    group, slash, _ = version.partition("/") if isinstance(version, str) else ("", "", "")
    return not slash or group == _OURS or bool(closest(group, [_OURS]))


def _about_version(data: Mapping[str, Any]) -> Finding | None:
    if "apiVersion" not in data:
        message = f"required, and missing; add apiVersion: {API_VERSION}"
        return Finding("S013", ("apiVersion",), message, on_key=True)
    if data["apiVersion"] == API_VERSION:
        return None
    message = f"{shown(data['apiVersion'])} is not known; write {API_VERSION}"
    return Finding("S013", ("apiVersion",), message, suggestion=API_VERSION)


def _about_kind(data: Mapping[str, Any]) -> Finding | None:
    if "kind" not in data:
        return Finding("S012", ("kind",), f"required, and missing; add kind: one of {', '.join(KINDS)}", on_key=True)
    kind = data["kind"]
    if kind_of(data) is not None:
        return None
    suggestion = (_SHORT.get(kind.lower()) or closest(kind, KINDS)) if isinstance(kind, str) else ""
    ending = did_you_mean(suggestion, f"the kinds are {', '.join(KINDS)}")
    return Finding("S012", ("kind",), f"unknown kind {shown(kind)}{ending}", suggestion=suggestion)
