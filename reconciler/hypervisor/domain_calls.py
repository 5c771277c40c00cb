"""Calls about one domain of a host: found by its UUID, named in errors as people name it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reconciler.errors import HostError
from reconciler.hypervisor.connection import HostConnection
from reconciler.hypervisor.libvirt_binding import Connection

T = TypeVar("T")


def with_domain(connection: HostConnection, uuid: str, work: Callable[[Any], T], *, changes: bool = True) -> T:
    """What `work` returns for the domain; with `changes` it is given the time, and not the second try, of a change.

    Raises our errors only.
    """
    names = [uuid]

    def named(libvirt: Connection) -> T:
        domain = libvirt.lookupByUUIDString(uuid)
        names.append(domain.name())
        return work(domain)

    try:
        if changes:
            return connection.call(named, f"VirtualMachine/{uuid}", pace="slow")
        return connection.read(named, f"VirtualMachine/{uuid}")
    except HostError as error:
        error.target = f"VirtualMachine/{names[-1]}"
        raise
