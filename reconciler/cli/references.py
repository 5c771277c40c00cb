"""`KIND/NAME` as people write it: `VirtualMachine/web-1`, `vm/web-1`."""

from __future__ import annotations

import difflib
from typing import Final

from reconciler.errors import UsageError
from reconciler.model.resource import KINDS, Kind, ObjectRef

_SHORT: Final[dict[str, Kind]] = {
    "vm": "VirtualMachine",
    "vms": "VirtualMachine",
    "pool": "StoragePool",
    "net": "Network",
}


def parse_reference(text: str) -> ObjectRef:
    """The object that `text` names; kinds in any case. Raises UsageError with what was probably meant."""
    written, slash, name = text.partition("/")
    if not slash or not name:
        such = text if text.replace("-", "").isalnum() else "web-1"
        raise UsageError(f"{text!r} names no object", hint=f"write KIND/NAME, such as VirtualMachine/{such}")
    return ObjectRef(parse_kind(written), name)


def parse_kind(written: str) -> Kind:
    """The kind that `written` names, in any case; raises UsageError."""
    known = {kind.lower(): kind for kind in KINDS} | _SHORT
    kind = known.get(written.lower())
    if kind is None:
        near = difflib.get_close_matches(written.lower(), known, n=1, cutoff=0.5)
        advice = f"did you mean {known[near[0]]}?" if near else f"kinds: {', '.join(KINDS)}"
        raise UsageError(f"{written!r} is no kind of object", hint=advice)
    return kind
