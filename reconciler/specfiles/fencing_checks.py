"""Checks of fence devices: parameters that are not passed on, and hosts that would be cut off together."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from reconciler.model.fencing_devices import GUID_ANNOTATION, OUTLET_AGENTS, device_keys, device_text
from reconciler.model.fencing_parameters import refusals
from reconciler.specfiles.catalog import Catalog, Found
from reconciler.specfiles.objects import SpecObject
from reconciler.specfiles.places import Finding


def refused_parameters(catalog: Catalog) -> Found:
    """Hosts that tell an agent what no agent is told."""
    for item, host in catalog.hosts:
        for index, level in enumerate(host.spec.fencing):
            for section, name, why in refusals(level):
                path = ("spec", "fencing", index, section, name)
                yield item, Finding("S046", path, f"is not passed on: {why}", on_key=True)


def halves_of_power(catalog: Catalog) -> Found:
    """Hosts with several outlets as levels: each would be believed alone."""
    for item, host in catalog.hosts:
        outlets = [index for index, level in enumerate(host.spec.fencing) if level.agent in OUTLET_AGENTS]
        for index in outlets[1:]:
            message = (
                f"{device_text(host.spec.fencing[index])} is another outlet: of a host with two power supplies, one"
                " that is off would pass for both; put outlets of one device in one level (plug: '1,2'), or use its BMC"
            )
            yield item, Finding("S048", ("spec", "fencing", index), message)


def doubled_devices(catalog: Catalog) -> Found:
    """Hosts whose power is that of another host, by the specs."""
    claims: dict[tuple[str, str], dict[str, tuple[SpecObject, int, str]]] = defaultdict(dict)
    for item, host in catalog.hosts:
        for index, level in enumerate(host.spec.fencing):
            for key in device_keys(level):
                claims[key].setdefault(host.name, (item, index, device_text(level)))
    for group in claims.values():
        for name, (item, index, device) in group.items():
            others = ", ".join(f"Host/{other}" for other in group if other != name)
            if others:
                message = f"{device} is also the power of {others}; each host needs a plug or BMC of its own"
                yield item, Finding("S045", ("spec", "fencing", index), message)


def named_guids(catalog: Catalog) -> Found:
    """Hosts whose annotation names the BMC of another host, or none."""
    path = ("metadata", "annotations", GUID_ANNOTATION)
    claims: dict[UUID, list[tuple[SpecObject, str]]] = defaultdict(list)
    for item, host in catalog.hosts:
        told = host.metadata.annotations.get(GUID_ANNOTATION)
        if told is None:
            continue
        try:
            claims[UUID(told)].append((item, host.name))
        except ValueError:
            yield item, Finding("S049", path, f"{told!r} is no GUID, such as 11223344-5566-7788-99aa-bbccddeeff01")
    for guid, group in claims.items():
        for item, name in group:
            others = ", ".join(f"Host/{other}" for _, other in group if other != name)
            if others:
                yield item, Finding("S049", path, f"the BMC {guid} is named by {others} too; each host has its own")
