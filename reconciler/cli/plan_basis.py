"""What a plan was decided from: its commit, its specs, and what was seen. A saved one is carried out on just that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct, field

from reconciler.cli.words import revision
from reconciler.daemon.view import View
from reconciler.model.resource import ObjectRef, Resource

_TOLD: Final = 8
"""Differences that are named; more are counted."""


class Basis(Struct, frozen=True):
    """By object, as text that people can read, then a hash of the rest; secrets are in neither."""

    generation: str = ""
    specs: Mapping[str, str] = field(default_factory=dict)
    observed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """How each host, VM, pool and network of ours was found: words, and a hash of what they leave out."""


def basis_of(view: View) -> Basis:
    """Of the look that `view` is."""
    desired = view.desired
    kinds: tuple[Mapping[str, Resource], ...] = (
        *(desired.hosts, desired.pools, desired.networks, desired.images, desired.vms, desired.approvals),
    )
    specs = {
        f"{type(spec).__name__}/{name}": _hash(spec.model_dump_json()) for each in kinds for name, spec in each.items()
    }
    return Basis(desired.generation, specs, dict(sorted(_observed(view))))


def what_moved(before: Basis, now: Basis) -> tuple[str, ...]:
    """Sentences, specs first; empty where nothing did."""
    found = [*_specs_moved(before, now), *_fleet_moved(before, now)]
    left = len(found) - _TOLD
    return tuple(found if left <= 0 else [*found[:_TOLD], f"and {left} more"])


def _specs_moved(before: Basis, now: Basis) -> Iterator[str]:
    if before.generation == now.generation:
        return
    yield f"the specs were {revision(before.generation)} and are {revision(now.generation)}"
    for name in sorted(before.specs.keys() | now.specs.keys()):
        old, new = before.specs.get(name), now.specs.get(name)
        if old != new:
            yield f"{name} {'is new in them' if old is None else 'has left them' if new is None else 'was changed'}"


def _fleet_moved(before: Basis, now: Basis) -> Iterator[str]:
    for name in sorted(before.observed.keys() | now.observed.keys()):
        old, new = before.observed.get(name), now.observed.get(name)
        if old == new:
            continue
        if old is None or new is None:
            yield f"{name} is there now: {new[0]}" if new else f"{name} is not there any more"
        elif old[0] != new[0]:
            yield f"{name} was {old[0]}, and is {new[0]}"
        else:
            yield f"{name} was changed behind the plan's back ({new[0]})"


def _observed(view: View) -> Iterator[tuple[str, tuple[str, str]]]:
    for name in view.inventory.unread:
        yield str(ObjectRef("Host", name)), ("out of sight", "")
    volumes: dict[str, set[str]] = {}
    for name, host in view.inventory.hosts.items():
        yield str(ObjectRef("Host", name)), ("in sight", "")
        for domain in host.domains.values():
            if domain.config.mark is not None and domain.config.mark.fleet == view.status.fleet:
                yield f"domain {domain.name} on {name}", (domain.state, _hash(domain.uuid, domain.fingerprint))
        for network in host.networks.values():
            yield f"network {network.name} on {name}", ("active" if network.active else "inactive", "")
        for pool in host.pools.values():
            yield f"pool {pool.name} on {name}", ("active" if pool.active else "inactive", "")
            spec = view.desired.pools.get(pool.name)
            where = pool.name if spec is not None and spec.spec.shared else f"{pool.name} on {name}"
            ours = (volume for volume in pool.volumes or () if volume.startswith(f"{view.status.fleet}."))
            volumes.setdefault(where, set()).update(ours)
    for where, files in volumes.items():
        yield f"volumes of pool {where}", (f"{len(files)} of the fleet", _hash(*sorted(files)))


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
