"""What is done to the networks of one host."""

from __future__ import annotations

from typing import Any, Final

from reconciler.errors import ObjectConflict
from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.connection import HostConnection
from reconciler.hypervisor.libvirt_errors import NO_NETWORK, OPERATION_INVALID
from reconciler.hypervisor.network_xml import render_network
from reconciler.model.steps import NetworkConfig


class HostNetworks:
    """Network calls of one host."""

    def __init__(self, connection: HostConnection) -> None:
        self._connection: Final = connection

    def define(self, config: NetworkConfig) -> None:
        def work(connection: lv.Connection) -> None:
            existing = _lookup(connection, config.name)
            if existing is not None and existing.UUIDString() != config.uuid:
                raise ObjectConflict(
                    f"a network of that name, {existing.UUIDString()}, is there already and is not ours",
                    host=self._connection.name,
                    target=f"Network/{config.name}",
                    hint="write mode: existing to use it as it is, or choose another name",
                )
            network = connection.networkDefineXML(render_network(config))
            if not network.isActive():
                network.create()
            if not network.autostart():
                network.setAutostart(1)

        self._connection.call(work, f"Network/{config.name}", pace="slow")

    def start(self, name: str) -> None:
        def work(connection: lv.Connection) -> None:
            network = connection.networkLookupByName(name)
            try:
                network.create()
            except lv.LibvirtError as error:
                if error.get_error_code() != OPERATION_INVALID or not network.isActive():
                    raise

        self._connection.call(work, f"Network/{name}", pace="slow")

    def stop(self, name: str) -> None:
        def work(connection: lv.Connection) -> None:
            network = connection.networkLookupByName(name)
            try:
                network.destroy()
            except lv.LibvirtError as error:
                if error.get_error_code() != OPERATION_INVALID or network.isActive():
                    raise

        self._connection.call(work, f"Network/{name}", pace="slow")

    def undefine(self, name: str) -> None:
        def work(connection: lv.Connection) -> None:
            network = _lookup(connection, name)
            if network is None:
                return
            if network.isActive():
                network.destroy()
            network.undefine()

        self._connection.call(work, f"Network/{name}", pace="slow")

    def set_autostart(self, name: str, *, autostart: bool) -> None:
        self._connection.call(
            lambda connection: connection.networkLookupByName(name).setAutostart(int(autostart)), f"Network/{name}"
        )


def _lookup(connection: lv.Connection, name: str) -> Any | None:
    try:
        return connection.networkLookupByName(name)
    except lv.LibvirtError as error:
        if error.get_error_code() == NO_NETWORK:
            return None
        raise
