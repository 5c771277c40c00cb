"""What of libvirt's numbers and capabilities we put into words."""

from __future__ import annotations

from typing import Final

from reconciler.hypervisor.libvirt_binding import Connection
from reconciler.hypervisor.xml_nodes import child_of, from_text, text_of
from reconciler.model.domain import DomainState
from reconciler.model.inventory import HostFacts

_STATES: Final[tuple[DomainState, ...]] = (
    "nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended",
)  # fmt: skip
# From libvirt-domain.h, by position: virDomainPausedReason, virDomainShutoffReason, virDomainCrashedReason.
_REASONS: Final[dict[DomainState, tuple[str, ...]]] = {
    "paused": (
        "unknown", "user", "migration", "save", "dump", "ioerror", "watchdog", "from-snapshot", "shutting-down",
        "snapshot", "crashed", "starting-up", "postcopy", "postcopy-failed", "api-error",
    ),
    "shutoff": (
        "unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from-snapshot", "daemon",
    ),
    "crashed": ("unknown", "panicked"),
    # How else a guest came to run says nothing to us.
    "running": (*[""] * 10, "postcopy", "postcopy-failed"),
}  # fmt: skip


def state_reason(state: DomainState, number: int) -> str:
    """Libvirt's reason for a state in words; empty where it means nothing to us."""
    reasons = _REASONS.get(state, ())
    return reasons[number] if 0 <= number < len(reasons) else ""


def state_name(number: int) -> DomainState:
    """Libvirt's domain state in words; one that is not known here is `nostate`."""
    return _STATES[number] if 0 <= number < len(_STATES) else "nostate"


def read_facts(connection: Connection) -> HostFacts:
    """What the host is, in four calls."""
    capabilities = from_text(connection.getCapabilities())
    host = child_of(capabilities, "host")
    arch, mebibytes, cpus, *_ = connection.getInfo()
    guests = [guest.find("arch") for guest in capabilities.iterfind("guest")]
    types = {
        str(kind.get("type"))
        for guest in guests
        if guest is not None and guest.get("name") == arch
        for kind in guest.iterfind("domain")
    }
    return HostFacts(
        uuid=text_of(host, "uuid"),
        hostname=connection.getHostname(),
        memory=mebibytes << 20,
        cpus=cpus,
        arch=text_of(child_of(host, "cpu"), "arch", arch),
        domain_types=tuple(sorted(types)),
        libvirt_version=connection.getLibVersion(),
    )
