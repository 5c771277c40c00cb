"""What is decided and may not begin now: outside of its maintenance window it waits, and says until when.

Recovery from failures passes: what is done as a host was lost, as a guest ended by itself or as something was cut off,
what follows what was begun, and whatever is done to a VM that is off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.model.plan import DISRUPTIONS, Action, Unmet
from reconciler.model.resource import Labels, ObjectRef
from reconciler.model.spoken_time import span, utc
from reconciler.model.windows import MaintenanceWindow, Opening, opening, windows_of
from reconciler.planner.draft import Draft
from reconciler.planner.on_purpose import WITHOUT_A_GUEST, is_on_purpose
from reconciler.planner.world import World

_REBOOT: Final = DISRUPTIONS.index("reboot")
_DESTROY: Final = DISRUPTIONS.index("destroy")


def hold_at_gate(world: World, draft: Draft, causes: Mapping[str, Unmet]) -> dict[str, Unmet]:
    """Actions of `draft` that may not begin now, by id, each with its reason; none of those that are held already."""
    if not world.policy.windows:
        return {}
    gate = _Gate(world)
    by_target: dict[ObjectRef, list[Action]] = {}
    for name, action in draft.actions.items():
        if name not in causes and disrupts(world, action):
            by_target.setdefault(action.target, []).append(action)
    held: dict[str, Unmet] = {}
    for target, actions in sorted(by_target.items()):
        reason = gate.outside(target, actions)
        if reason is not None:
            held.update(dict.fromkeys((action.id for action in actions), reason))
        else:
            _limit(draft, actions, gate.until(target))
    return held


def disrupts(world: World, action: Action) -> bool:
    """Whether it is done on purpose and hurts a guest: then it keeps to windows."""
    if action.target.kind != "VirtualMachine" or not is_on_purpose(world, action) or action.why in WITHOUT_A_GUEST:
        return False
    hurts = DISRUPTIONS.index(action.disruption)
    is_on = any(copy.domain.active for copy in world.copies.get(action.target.name, ()))
    return hurts >= (_REBOOT if is_on else _DESTROY)


def _limit(draft: Draft, actions: Iterable[Action], until: float | None) -> None:
    """Those that come first are not begun later than that; what comes after them brings them to their end."""
    known = {action.id for action in actions}
    for action in actions:
        if until is not None and known.isdisjoint(action.after):
            draft.actions[action.id] = replace(action, until=until)


class _Gate(Struct, frozen=True):
    world: World
    known: dict[tuple[int, ...], Opening] = field(default_factory=dict)
    """What was worked out before: many VMs have the same windows."""

    def until(self, target: ObjectRef) -> float | None:
        """When the open window of `target` ends; None where it is bound by none."""
        windows = windows_of(self.world.policy.windows, target.name, self._labels(target.name))
        return None if windows is None else self._opening(windows).until

    def outside(self, target: ObjectRef, actions: list[Action]) -> Unmet | None:
        """Why `actions` of `target` wait for a window; None where they may begin."""
        windows = windows_of(self.world.policy.windows, target.name, self._labels(target.name))
        if windows is None:
            return None
        stands = self._opening(windows)
        if stands.until is not None:
            return None
        when = f"which opens at {utc(stands.next)}, in {span(stands.next - self.world.now)}" if stands.next else ""
        words = "; ".join(dict.fromkeys(window.words for window in windows))
        return _held(target, actions, f"waits for its maintenance window, {when} ({words})")

    def _opening(self, windows: tuple[MaintenanceWindow, ...]) -> Opening:
        key = tuple(self.world.policy.windows.index(window) for window in windows)
        if key not in self.known:
            self.known[key] = opening(windows, self.world.now)
        return self.known[key]

    def _labels(self, vm: str) -> Labels | None:
        wanted = self.world.desired.vms.get(vm)
        return None if wanted is None else wanted.metadata.labels


def _held(target: ObjectRef, actions: list[Action], waits: str) -> Unmet:
    worst = max((action.disruption for action in actions), key=DISRUPTIONS.index)
    what = ", ".join(dict.fromkeys(action.detail.partition(";")[0] for action in actions))
    changes = tuple(dict.fromkeys(change for action in actions for change in action.changes))
    # What is done to a VM that is off waits for no window, unless it is removed.
    by_hand = "shut the guest down, or " if worst == "reboot" else ""
    return Unmet(
        target,
        "outside-window",
        f"{what} ({worst}) {waits}",
        severity="waiting",
        host=actions[0].host,
        hint=f"it goes on by itself then; sooner: {by_hand}add a window to `windows` and systemctl reload reconciler",
        changes=changes,
    )
