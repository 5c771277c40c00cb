"""What `status` says of pools and networks: whether they are as in the specs, and on which hosts not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reconciler.model.plan import Action, Unmet
from reconciler.model.resource import Kind, ObjectRef
from reconciler.model.status import FacilityStatus, Sync
from reconciler.planner.world import World


def facilities(
    world: World, actions: Mapping[ObjectRef, Sequence[Action]], reasons: Mapping[ObjectRef, Sequence[Unmet]]
) -> tuple[tuple[FacilityStatus, ...], tuple[FacilityStatus, ...]]:
    """Pools and networks of the specs by name, given what the plan does to each object and what waits of it."""

    def of(kind: Kind, names: Mapping[str, object], serves: Callable[[str, str], bool]) -> tuple[FacilityStatus, ...]:
        found = []
        for name in sorted(names):
            ref = ObjectRef(kind, name)
            hosts = tuple(host for host in sorted(world.desired.hosts) if serves(name, host))
            found.append(_facility(world, name, hosts, actions.get(ref, ()), reasons.get(ref, ())))
        return tuple(found)

    return (
        of("StoragePool", world.desired.pools, world.pool_serves),
        of("Network", world.desired.networks, world.network_serves),
    )


def _facility(
    world: World, name: str, hosts: tuple[str, ...], actions: Sequence[Action], unmet: Sequence[Unmet]
) -> FacilityStatus:
    told = [item for item in unmet if item.severity != "info"]
    unseen = [host for host in hosts if host in world.unread]
    sync: Sync = "in-sync"
    if any(item.severity == "blocked" for item in told):
        sync = "blocked"
    elif told or actions:
        sync = "out-of-sync"
    elif hosts and len(unseen) == len(hosts):
        sync = "unknown"
    parts = (_waits(told), _done(actions), f"{', '.join(unseen)} not seen" if unseen else "")
    return FacilityStatus(name, sync, hosts, "; ".join(part for part in parts if part))


def _waits(unmet: Sequence[Unmet]) -> str:
    """`failed on h1, h2: start: …`: the worst reason, with the words of its first host."""
    if not unmet:
        return ""
    worst = min(unmet, key=lambda item: ("blocked", "waiting", "info").index(item.severity))
    hosts = sorted({item.host for item in unmet if item.reason == worst.reason and item.host is not None})
    where = f" on {', '.join(hosts)}" if hosts else ""
    return f"{worst.reason.replace('-', ' ')}{where}: {worst.detail}"


def _done(actions: Sequence[Action]) -> str:
    hosts: dict[str, list[str]] = {}
    for action in actions:
        hosts.setdefault(action.detail, []).append(action.host or "")
    return "; ".join(f"{detail} on {', '.join(sorted(where))}" for detail, where in hosts.items())
