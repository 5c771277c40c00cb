"""The objects of one load as the checks across files see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TypeVar

from msgspec import Struct

from reconciler.model.host import Host
from reconciler.model.image import Image
from reconciler.model.network import Network
from reconciler.model.resource import KINDS, ObjectRef, Resource
from reconciler.model.storage_pool import StoragePool
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.specfiles.messages import closest, did_you_mean
from reconciler.specfiles.objects import SpecObject
from reconciler.specfiles.places import Finding

Found = Iterator[tuple[SpecObject, Finding]]
R = TypeVar("R", bound=Resource)


class Catalog(Struct, frozen=True, dict=True):
    """Each name here is claimed once; `claimed` has the names of broken objects too."""

    fleet: str
    objects: Mapping[ObjectRef, SpecObject]
    claimed: frozenset[ObjectRef]
    image_sizes: Mapping[str, int]
    """Virtual sizes in bytes of the images that could be inspected."""
    remembered: frozenset[ObjectRef] = frozenset()
    """Objects whose last good form stands in while they have errors."""
    perhaps: frozenset[ObjectRef] = frozenset()
    """What may be defined where that could not be read; with an empty name, anything of that kind."""

    @cached_property
    def vms(self) -> list[tuple[SpecObject, VirtualMachine]]:
        return self._of(VirtualMachine)

    @cached_property
    def hosts(self) -> list[tuple[SpecObject, Host]]:
        return self._of(Host)

    @cached_property
    def pools(self) -> list[tuple[SpecObject, StoragePool]]:
        return self._of(StoragePool)

    @cached_property
    def networks(self) -> list[tuple[SpecObject, Network]]:
        return self._of(Network)

    @cached_property
    def images(self) -> list[tuple[SpecObject, Image]]:
        return self._of(Image)

    @cached_property
    def has_all_hosts(self) -> bool:
        """Whether no host is missing because of errors."""
        claimed = sum(ref.kind == "Host" for ref in self.claimed)
        return len(self.hosts) >= claimed and not any(ref.kind == "Host" for ref in self.perhaps)

    def may_have(self, ref: ObjectRef) -> bool:
        """Whether the object is there, or may be in what could not be read."""
        return ref in self.claimed or ref in self.perhaps or ObjectRef(ref.kind, "") in self.perhaps

    @cached_property
    def pool_hosts(self) -> Mapping[str, frozenset[str]]:
        """Names of the hosts of each pool."""
        return {pool.name: self._selected(pool) for _, pool in self.pools}

    @cached_property
    def network_hosts(self) -> Mapping[str, frozenset[str]]:
        """Names of the hosts of each network."""
        return {network.name: self._selected(network) for _, network in self.networks}

    def advice_on(self, missing: ObjectRef) -> tuple[str, str]:
        """What to say of a name that nothing has, and the name that was probably meant; found out once for each."""
        if missing not in self._advice:
            known = self._names[missing.kind]
            suggestion = closest(missing.name, known)
            listed = f"the specs have {', '.join(known[:8])}" if known else f"the specs have no {missing.kind} yet"
            self._advice[missing] = (f"there is no {missing}{did_you_mean(suggestion, listed)}", suggestion)
        return self._advice[missing]

    @cached_property
    def _advice(self) -> dict[ObjectRef, tuple[str, str]]:
        return {}

    @cached_property
    def _names(self) -> Mapping[str, list[str]]:
        return {kind: sorted(ref.name for ref in self.claimed if ref.kind == kind) for kind in KINDS}

    def _of(self, model: type[R]) -> list[tuple[SpecObject, R]]:
        return [(item, item.resource) for item in self.objects.values() if isinstance(item.resource, model)]

    def _selected(self, chooser: StoragePool | Network) -> frozenset[str]:
        selector = chooser.spec.hosts
        return frozenset(host.name for _, host in self.hosts if selector.matches(host.name, host.metadata.labels))
