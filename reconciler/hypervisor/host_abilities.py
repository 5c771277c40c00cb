"""What a host's hypervisor can do, asked of libvirt: machine types, CPUs, and whether a guest's CPU can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeVar

from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.connection import HostConnection
from reconciler.hypervisor.cpu_xml import parse_cpu, render_guest_cpu
from reconciler.hypervisor.libvirt_errors import CPU_INCOMPATIBLE, NO_SUPPORT
from reconciler.hypervisor.xml_nodes import Node, child_of, from_text, to_text
from reconciler.model.abilities import CpuQuestion, GuestCpu, HostAbilities

T = TypeVar("T")
_NO_FEATURES: Final = "Host CPU does not provide required features: "


class HostCpus:
    """Questions to the hypervisor of one host."""

    def __init__(self, connection: HostConnection) -> None:
        self._connection: Final = connection

    def abilities(self) -> HostAbilities:
        """A call, and one more for each domain type of the host's architecture."""
        return self._connection.read(_abilities)

    def lacks(self, question: CpuQuestion) -> str:
        text = to_text(render_guest_cpu(question.cpu))

        def work(connection: lv.Connection) -> str:
            ask = connection.compareHypervisorCPU
            try:
                ask(None, None, None, question.domain_type, text, lv.COMPARE_CPU_FAIL)
            except lv.LibvirtError as error:
                if error.get_error_code() != CPU_INCOMPATIBLE:
                    raise
                return _what_is_missing(error.get_error_message() or "")
            return ""

        return self._connection.read(lambda connection: _where_supported(lambda: work(connection), ""))

    def baseline(self, cpus: Sequence[GuestCpu], domain_type: str) -> GuestCpu | None:
        texts = [to_text(render_guest_cpu(cpu)) for cpu in cpus]

        def work(connection: lv.Connection) -> GuestCpu | None:
            found = connection.baselineHypervisorCPU(None, None, None, domain_type, texts, lv.BASELINE_CPU_MIGRATABLE)
            return parse_cpu(from_text(found))

        return self._connection.read(lambda connection: _where_supported(lambda: work(connection), None))


def _where_supported(ask: Callable[[], T], otherwise: T) -> T:
    """What libvirt says; `otherwise` where its driver has no such call (libvirt's test driver)."""
    try:
        return ask()
    except lv.LibvirtError as error:
        if error.get_error_code() != NO_SUPPORT:
            raise
        return otherwise


def _abilities(connection: lv.Connection) -> HostAbilities:
    root = from_text(connection.getCapabilities())
    arch = next(iter(root.xpath("host/cpu/arch/text()")), "")
    machines: dict[str, tuple[str, ...]] = {}
    for guest in root.iterfind("guest/arch"):
        if guest.get("name") == arch:
            for kind in guest.iterfind("domain"):
                machines[str(kind.get("type"))] = _machines((*guest.iterfind("machine"), *kind.iterfind("machine")))
    told = {kind: _where_supported(partial(_host_model, connection, kind), None) for kind in machines}
    return HostAbilities(machines, {kind: cpu for kind, cpu in told.items() if cpu is not None})


def _machines(elements: Iterable[Node]) -> tuple[str, ...]:
    names = {text for element in elements for text in (element.text, element.get("canonical")) if text}
    return tuple(sorted(names))


def _host_model(connection: lv.Connection, domain_type: str) -> GuestCpu | None:
    """What `host-model` comes to; None where the hypervisor has no such thing."""
    told = from_text(connection.getDomainCapabilities(None, None, None, domain_type, 0))
    modes = child_of(told, "cpu")
    for mode in modes if modes is not None else ():
        if mode.get("name") == "host-model" and mode.get("supported") == "yes":
            return parse_cpu(mode, mode="custom")
    return None


def _what_is_missing(text: str) -> str:
    """Libvirt's words, down to the features where it names them."""
    _, found, features = text.partition(_NO_FEATURES)
    return f"no CPU feature {features}" if found else f"another CPU ({text})" if text else "another CPU"
