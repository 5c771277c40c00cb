"""One host through which the volumes of a shared pool are handled, the same for who reads and who plans."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import HostInventory, ObservedPool
from reconciler.model.storage_pool import StoragePoolSpec


def storage_host(desired: DesiredState, hosts: Mapping[str, HostInventory], pool: str) -> str | None:
    """The first host by name that was read, is given `pool` by the specs and has it; active ones first.

    A host that has something else under the pool's name must never stand for the others.
    """
    spec = desired.pools[pool].spec
    selector = spec.hosts
    candidates = [
        name
        for name in sorted(hosts)
        if name in desired.hosts
        and selector.matches(name, desired.hosts[name].metadata.labels)
        and _is_the_same(spec, hosts[name].pools.get(pool))
    ]
    active = [name for name in candidates if pool in hosts[name].pools and hosts[name].pools[pool].active]
    return next(iter(active or candidates), None)


def _is_the_same(spec: StoragePoolSpec, observed: ObservedPool | None) -> bool:
    return observed is None or spec.target is None or observed.target.rstrip("/") == spec.target.rstrip("/")
