"""What is done to the domains of one host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from reconciler.errors import ObjectNotFound
from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.connection import HostConnection
from reconciler.hypervisor.domain_amend import amend
from reconciler.hypervisor.domain_calls import with_domain
from reconciler.hypervisor.domain_parse import parse_config
from reconciler.hypervisor.domain_xml import render
from reconciler.hypervisor.host_reader import HostReader
from reconciler.hypervisor.libvirt_errors import (
    AGENT_UNRESPONSIVE,
    AGENT_UNSYNCED,
    ARGUMENT_UNSUPPORTED,
    INVALID_ARG,
    NO_DOMAIN,
    OPERATION_INVALID,
)
from reconciler.hypervisor.libvirt_values import state_name
from reconciler.hypervisor.live_calls import edit_running, mark_running
from reconciler.model.domain import DomainConfig, DomainState, OwnershipMark
from reconciler.model.inventory import DomainText, ObservedDomain
from reconciler.model.live_edit import LiveEdit

T = TypeVar("T")
_AGENT_SECONDS: Final = 5
_NO_AGENT: Final = (AGENT_UNRESPONSIVE, AGENT_UNSYNCED, ARGUMENT_UNSUPPORTED)


class HostDomains:
    """Domain calls of one host."""

    def __init__(self, connection: HostConnection, reader: HostReader) -> None:
        self._connection: Final = connection
        self._reader: Final = reader

    def get(self, uuid: str) -> ObservedDomain:
        return self._with_domain(uuid, self._reader.domain, changes=False)

    def get_by_name(self, name: str) -> ObservedDomain | None:
        def work(connection: lv.Connection) -> ObservedDomain:
            return self._reader.domain(connection.lookupByName(name))

        try:
            return self._connection.read(work, f"VirtualMachine/{name}")
        except ObjectNotFound:
            return None

    def state(self, uuid: str) -> DomainState:
        return self._with_domain(uuid, lambda domain: state_name(domain.state()[0]), changes=False)

    def describe(self, uuid: str) -> DomainText:
        def work(domain: Any) -> DomainText:
            snapshots = tuple(sorted(snapshot.getName() for snapshot in domain.listAllSnapshots(0)))
            return DomainText(domain.XMLDesc(lv.DOMAIN_XML_INACTIVE), snapshots)

        return self._with_domain(uuid, work, changes=False)

    def define(self, config: DomainConfig) -> None:
        """Define or amend, then autostart; writes nothing where nothing differs."""

        def work(connection: lv.Connection) -> None:
            domain = _lookup(connection, config.uuid)
            if domain is None:
                domain = connection.defineXML(render(config))
            else:
                # With its secrets (a VNC password), or defining it again would take them away.
                before = domain.XMLDesc(lv.DOMAIN_XML_INACTIVE | lv.DOMAIN_XML_SECURE)
                after = amend(before, config)
                # A running domain that somebody undefined is defined again even by the very XML that it has.
                if after != before or not domain.isPersistent():
                    domain = connection.defineXML(after)
                _mark_running(domain, config.mark)
            if bool(domain.autostart()) != config.autostart:
                domain.setAutostart(int(config.autostart))

        self._connection.call(work, f"VirtualMachine/{config.name}", pace="brief")

    def undefine(self, uuid: str, *, keep_nvram: bool) -> None:
        nvram = lv.UNDEFINE_KEEP_NVRAM if keep_nvram else lv.UNDEFINE_NVRAM

        def work(domain: Any) -> None:
            try:
                domain.undefineFlags(lv.UNDEFINE_ALL | nvram)
            except lv.LibvirtError as error:
                # Drivers that keep no such things refuse the flags, and with them the whole call.
                if error.get_error_code() != INVALID_ARG or "unsupported flags" not in str(error):
                    raise
                domain.undefineFlags(lv.UNDEFINE_BASIC)

        self._with_domain(uuid, work)

    def rename(self, uuid: str, name: str) -> None:
        """Libvirt keeps snapshots and autostart; the log and NVRAM files keep their names."""
        self._with_domain(uuid, lambda domain: domain.rename(name, 0))

    def set_autostart(self, uuid: str, *, autostart: bool) -> None:
        self._with_domain(uuid, lambda domain: domain.setAutostart(int(autostart)))

    def start(self, uuid: str) -> None:
        self._with_domain(uuid, lambda domain: domain.create())

    def resume(self, uuid: str) -> None:
        self._with_domain(uuid, lambda domain: domain.resume())

    def request_shutdown(self, uuid: str) -> None:
        """Without flags libvirt asks the agent where it answers, and else, or if that fails, presses the button."""
        self._with_domain(uuid, lambda domain: domain.shutdown())

    def guest_answers(self, uuid: str) -> bool:
        """Whether the agent answers in time; an agent that refuses the command lives."""

        def work(domain: Any) -> bool:
            try:
                lv.ping_agent(domain, _AGENT_SECONDS)
            except lv.LibvirtError as error:
                if error.get_error_code() in _NO_AGENT:
                    return False
                if "unable to execute QEMU agent command" not in str(error):
                    raise
            return True

        return self._with_domain(uuid, work, changes=False)

    def destroy(self, uuid: str) -> None:
        def work(domain: Any) -> None:
            try:
                domain.destroy()
            except lv.LibvirtError as error:
                if error.get_error_code() != OPERATION_INVALID or domain.isActive():
                    raise

        self._with_domain(uuid, work)

    def grow_disk(self, uuid: str, path: str, capacity: int) -> None:
        self._with_domain(uuid, lambda domain: domain.blockResize(path, capacity, lv.BLOCK_RESIZE_BYTES))

    def edit_live(self, uuid: str, edit: LiveEdit) -> None:
        self._with_domain(uuid, lambda domain: edit_running(domain, edit))

    def _with_domain(self, uuid: str, work: Callable[[Any], T], *, changes: bool = True) -> T:
        return with_domain(self._connection, uuid, work, changes=changes)


def _mark_running(domain: Any, mark: OwnershipMark | None) -> None:
    """Its live XML is what a running domain is moved by: it says the same of whose it is."""
    if not domain.isActive():
        return
    now = parse_config(domain.XMLDesc(0)).mark
    if mark is None or not mark.is_like(now):
        # What CPU it booted with does not change by that.
        mark_running(domain, mark and replace(mark, cpu_model=now.cpu_model if now else ""))


def _lookup(connection: lv.Connection, uuid: str) -> Any | None:
    try:
        return connection.lookupByUUIDString(uuid)
    except lv.LibvirtError as error:
        if error.get_error_code() == NO_DOMAIN:
            return None
        raise
