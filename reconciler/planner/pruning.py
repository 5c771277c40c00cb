"""Versions of captured images that go: by retention, because people want that, or because their removal was begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from reconciler.model import identity
from reconciler.model.ledger import VersionRemoval
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Disruption, Why
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DeleteVersion
from reconciler.model.version import ImageVersion, instant_of
from reconciler.planner.draft import Draft
from reconciler.planner.retention import Reasons
from reconciler.planner.specs_doubt import SHORT
from reconciler.planner.version_uses import damaged, keeping
from reconciler.planner.world import World

_TOLD: Final = 3
_NEEDS: Final = ("VirtualMachine/", "named by ", "in use by ", "base of ", "newer than ")


def plan_pruning(world: World, draft: Draft) -> None:
    """Delete versions; what is an increment of another goes before that one, each one's manifest first."""
    removals: dict[str, list[VersionRemoval]] = {}
    for removal in world.ledger.removals:
        removals.setdefault(removal.image, []).append(removal)
    for name in sorted(world.ledger.versions.keys() | removals.keys()):
        asked = {removal.stamp: removal for removal in removals.get(name, ())}
        _Pruning(world, draft, ObjectRef("Image", name), asked).plan()


def protection(reasons: Reasons, versions: tuple[ImageVersion, ...], stamp: str, *, is_declared: bool) -> str:
    """Why people may not have this version deleted; empty if they may.

    The newest one of an image that is in the specs is what its VM would be restored from; what anything rests on or
    names is needed. Places that retention has for it are what they give up knowingly.
    """
    child = next((version for version in versions if version.parent == stamp), None)
    if child is not None:
        return f"{child.name} holds only the difference to it"
    words = reasons.get(stamp, ())
    needed = next((why for why in words if why.startswith(_NEEDS)), "")
    if needed:
        return needed
    return "it is the newest one, which its VM would be restored from" if is_declared and "newest" in words else ""


class _Pruning(Struct, frozen=True):
    """One image."""

    world: World
    draft: Draft
    ref: ObjectRef
    asked: Mapping[str, VersionRemoval]

    def plan(self) -> None:
        versions = self.world.ledger.versions.get(self.ref.name, ())
        self._report_damaged(versions)
        reasons = keeping(self.world, self.ref.name)
        begun = {stamp: removal.version for stamp, removal in self.asked.items() if removal.version is not None}
        going = {
            **begun,
            **{version.stamp: version for version in versions if self._goes(version.stamp, reasons, versions)},
        }
        if not going:
            return
        held = self._why_held()
        if held is not None:
            self._wait(going, *held)
            return
        # Newest first does not do: a clock may have been set back between a version and its increment.
        for stamp, version in going.items():
            self._delete(version, [each for each in going.values() if each.parent == stamp])

    def _report_damaged(self, versions: tuple[ImageVersion, ...]) -> None:
        by_stamp = {version.stamp: version for version in versions}
        for stamp, lack in damaged(self.world, versions).items():
            if stamp not in self.asked:
                version = by_stamp[stamp]
                self.draft.wait(
                    self.ref,
                    "version-damaged",
                    f"{version.name}: {lack}",
                    severity="blocked",
                    host=version.host,
                    hint=NextCommand("image", "delete", version.name),
                )

    def _goes(self, stamp: str, reasons: Reasons, versions: tuple[ImageVersion, ...]) -> bool:
        removal = self.asked.get(stamp)
        if removal is None:
            return stamp not in reasons and self._is_declared
        return removal.version is not None or not protection(reasons, versions, stamp, is_declared=self._is_declared)

    @property
    def _is_declared(self) -> bool:
        return self.ref.name in self.world.desired.images

    def _why_held(self) -> tuple[str, str] | None:
        desired = self.world.desired
        if desired.doubt:
            return SHORT, ""
        if desired.removal_hold:
            return desired.removal_hold, NextCommand("validate")
        if desired.unusable:
            ref = min(desired.unusable)
            return f"{ref} has a mistake, and what the specs need is not known until that is mended", NextCommand(
                "validate"
            )
        image = desired.images.get(self.ref.name)
        if image is not None and image.metadata.prune_disabled:
            return "it is protected by reconciler/prune: disabled", "take the annotation out of its spec"
        return None

    def _wait(self, going: Mapping[str, ImageVersion], why: str, hint: str) -> None:
        instants = [instant_of(stamp) for stamp in sorted(going)]
        what = ", ".join((*instants[:_TOLD], *(["…"] if len(instants) > _TOLD else [])))
        number = "1 version" if len(going) == 1 else f"{len(going)} versions"
        detail = f"{number} would be deleted ({what}), but {why}"
        self.draft.wait(self.ref, "removal-held", detail, severity="info", hint=hint)

    def _delete(self, version: ImageVersion, children: list[ImageVersion]) -> None:
        world, ref = self.world, self.ref
        host = version.host or world.shared_pools.get(version.pool)
        if host is None or world.observed_pool(version.pool, host) is None or world.out_of_sight(version.pool):
            unseen = ", ".join(world.out_of_sight(version.pool)) or version.host or f"every host of {version.pool}"
            detail = f"{version.name} is to be deleted, and {unseen} can't be read"
            world_hint = NextCommand("why", f"Host/{version.host}") if version.host else ""
            self.draft.wait(ref, "host-unread", detail, severity="info", host=version.host, hint=world_hint)
            return
        if world.is_paused(ref) or world.is_paused(ObjectRef("StoragePool", version.pool)):
            holder = ref if world.is_paused(ref) else ObjectRef("StoragePool", version.pool)
            hint = world.how_to_resume(holder)
            self.draft.wait(ref, "paused", f"{version.name} is to be deleted, and {holder} is held", hint=hint)
            return
        why, detail, disruption = self._words(version)
        self.draft.act(
            DeleteVersion(
                image=version.image,
                stamp=version.stamp,
                pool=version.pool,
                manifest=identity.version_manifest(world.fleet, version.image, version.stamp),
                volumes=tuple(disk.volume for disk in version.disks),
            ),
            target=ref,
            host=host,
            sign="destroy",
            why=why,
            detail=detail,
            disruption=disruption,
            after=[f"delete-version:{ref}:{child.stamp}@{host}" for child in children],
            part=version.stamp,
        )

    def _words(self, version: ImageVersion) -> tuple[Why, str, Disruption]:
        removal = self.asked.get(version.stamp)
        if removal is None:
            return "retention", f"delete {version.name}, which no rule of its retention keeps", "none"
        if removal.version is not None:
            return "incomplete", f"delete what is left of {version.name}", "none"
        return "requested", f"delete {version.name}", "data-loss"
