"""What each host will offer its VMs: pools and networks, and what is said of them alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from reconciler.model.plan import FieldChange
from reconciler.model.resource import ObjectRef
from reconciler.planner.draft import Draft
from reconciler.planner.vm_domain import PoolOnHost
from reconciler.planner.world import World

HELD: Final = "it is held and not active yet"


class Facilities(Struct):
    """What each host will offer once the plan has run, and the actions that bring it about.

    Keys are (object name, host name), but for `pools`, which is by host and then by pool.
    """

    pools: dict[str, dict[str, PoolOnHost]] = field(default_factory=dict)
    networks: set[tuple[str, str]] = field(default_factory=set)
    pool_actions: dict[tuple[str, str], str] = field(default_factory=dict)
    network_actions: dict[tuple[str, str], str] = field(default_factory=dict)
    trouble: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(kind, object, host) → why it can't be used there."""
    uploads: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(host, pool, base volume) → the action that uploads it."""

    def pools_on(self, host: str) -> Mapping[str, PoolOnHost]:
        """Usable pools of one host, by name."""
        return self.pools.get(host, {})

    def has_pool(self, pool: str, host: str) -> bool:
        """Whether the pool can be used on the host."""
        return pool in self.pools_on(host)


def reports_held(world: World, draft: Draft, ref: ObjectRef, host: str) -> bool:
    """Say that the change waits, if the object is paused."""
    if not world.is_paused(ref):
        return False
    draft.wait(ref, "paused", "held; changes wait", host=host, hint=world.how_to_resume(ref))
    return True


def on_off(active: bool, autostart: bool) -> tuple[FieldChange, ...]:
    """What changes where something is started or set to start with its host."""
    changes = []
    if not active:
        changes.append(FieldChange("active", "no", "yes", "none"))
    if not autostart:
        changes.append(FieldChange("autostart", "no", "yes", "none"))
    return tuple(changes)
