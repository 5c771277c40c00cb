"""What `status` tells of an image that is captured from a VM."""

from __future__ import annotations

from reconciler.model.plan import Action, Unmet
from reconciler.model.status import ImageStatus, Sync
from reconciler.planner.captures import words
from reconciler.planner.world import World


def captured_image(world: World, name: str, actions: list[Action], unmet: list[Unmet]) -> ImageStatus:
    """Its versions, and what is being made or waits."""
    versions, capture = world.ledger.versions.get(name, ()), world.ledger.captures.get(name)
    newest = max(versions, key=lambda version: version.taken_at, default=None)
    told = [each for each in unmet if each.severity != "info"]
    blocked = any(each.severity == "blocked" for each in told)
    sync: Sync = "blocked" if blocked else "out-of-sync" if actions or told or capture is not None else "in-sync"
    message = words(capture) if capture is not None else ", ".join(each.detail for each in told[:1])
    return ImageStatus(
        name=name,
        sync=sync,
        digest=None,
        virtual_size=sum(disk.virtual_size for disk in newest.disks) if newest is not None else None,
        pools=tuple(sorted({version.pool for version in versions})),
        message=message or ", ".join(action.detail for action in actions),
        versions=len(versions),
        newest=newest.name if newest is not None else "",
        newest_at=newest.taken_at if newest is not None else None,
        stored=sum(version.size for version in versions),
        drill=world.ledger.drills.get(name),
    )
