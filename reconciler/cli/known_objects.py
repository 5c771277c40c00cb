"""Whether an object that somebody names is known at all, without asking any host."""

from __future__ import annotations

import difflib
from typing import Final

from reconciler.cli.outside import LedgerBook, Outside
from reconciler.cli.terminal import warn
from reconciler.config import Settings
from reconciler.errors import UsageError
from reconciler.model.resource import ObjectRef

_HOLDING: Final = frozenset({"paused", "resumed"})
"""Events that tell no more of an object than that somebody named it here."""
_BACK: Final = 20
"""Events that are looked through for one that is more than somebody's wish."""


def refuse_unknown(
    reference: ObjectRef, doors: Outside, settings: Settings, ledger: LedgerBook, *, so: str = "so nothing is held"
) -> None:
    """An object that nobody ever heard of is a slip of the pen, and holding it protects nothing.

    Raises UsageError; where not all specs can be read, it is warned of one that is like no other.
    """
    if _is_remembered(reference, ledger):
        return
    if settings.specs is None:
        warn(
            f"{reference} is not known: nothing of it is in the history, and no specs are named to look in (--specs"
            f" DIR); if that is a slip of the pen, it protects nothing: take it back with reconciler resume {reference}"
        )
        return
    desired = doors.load_specs(settings.specs, settings.fleet)
    known = {*desired.sources, *desired.unusable}
    if reference in known:
        return
    near = _near(reference, known)
    if desired.removal_hold and not near:
        warn(f"{reference} is not known, and {desired.removal_hold}")
        return
    raise UsageError(
        f"{reference}: nothing of that name is in the specs or the history, {so}",
        hint=f"did you mean {near}?" if near else f"look at the names in {settings.specs}",
    )


def _near(reference: ObjectRef, known: set[ObjectRef]) -> ObjectRef | None:
    """What was probably meant: a name that is much like it, or the same name of another kind."""
    of_kind = [item.name for item in known if item.kind == reference.kind]
    close = difflib.get_close_matches(reference.name, of_kind, n=1)
    if close:
        return ObjectRef(reference.kind, close[0])
    return next((item for item in sorted(known) if item.name == reference.name), None)


def _is_remembered(reference: ObjectRef, ledger: LedgerBook) -> bool:
    view = ledger.view()
    if reference.kind == "VirtualMachine" and (reference.name in view.placements or reference.name in view.removed):
        return True
    if reference.kind == "Host" and reference.name in view.hosts_read:
        return True
    return any(event.event not in _HOLDING for event in ledger.events(str(reference), _BACK))
