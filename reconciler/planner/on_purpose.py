"""Whether somebody's wish is behind an action, so that it can wait; recovery never does."""

from __future__ import annotations

from typing import Final

from reconciler.model.plan import Action, Why
from reconciler.model.steps import DeleteVolume, is_followed_up
from reconciler.planner.world import World

_RECOVERS: Final[frozenset[Why]] = frozenset({"host-lost", "ended", "incomplete"})
WITHOUT_A_GUEST: Final[frozenset[Why]] = frozenset({"expired", "retention", "unused"})
"""What is kept of a VM that is no more has no guest that could be disrupted."""


def is_on_purpose(world: World, action: Action) -> bool:
    """Whether it is neither recovery from a failure nor the end of what was begun."""
    step = action.step
    if action.why in _RECOVERS or is_followed_up(step) or action.target.kind == "Host":
        return False
    if not isinstance(step, DeleteVolume):
        return True
    name = action.target.name
    return not any((one.vm, one.pool, one.volume) == (name, step.pool, step.volume) for one in world.ledger.doomed)
