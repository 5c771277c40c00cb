"""The state of the fleet as text: a verdict, what is wrong, then hosts, VMs and images, problems first in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from reconciler.cli.command_line import BARE, CommandLine
from reconciler.cli.plan_lines import hint_lines
from reconciler.cli.render_tombstones import tombstone_columns
from reconciler.cli.source_lines import source_lines
from reconciler.cli.tables import Column, table
from reconciler.cli.terminal import Style, Terminal
from reconciler.cli.words import age, count, moment, names, revision
from reconciler.model.drill import DrillResult
from reconciler.model.health import DEVICE_DOUBTFUL
from reconciler.model.next_command import NextCommand
from reconciler.model.quantities import approximate_size
from reconciler.model.resource import ObjectRef
from reconciler.model.status import (
    FacilityStatus,
    FleetStatus,
    HostCondition,
    HostStatus,
    ImageStatus,
    Sync,
    VmHealth,
    VmStatus,
)

_HOST_STYLE: Final[dict[HostCondition, Style]] = {
    "online": "good",
    "degraded": "warn",
    "suspect": "warn",
    "unreachable": "bad",
    "fencing": "bad",
    "fenced": "bad",
    "returning": "warn",
    "quarantined": "bad",
    "unknown": "dim",
}
_VM_STYLE: Final[dict[VmHealth, Style]] = {
    "running": "good",
    "stopped": "dim",
    "paused": "warn",
    "crashed": "bad",
    "not-answering": "bad",
    "starting": "warn",
    "missing": "bad",
    "unknown": "dim",
}
_SYNC_STYLE: Final[dict[Sync, Style]] = {
    "in-sync": "good",
    "out-of-sync": "warn",
    "restart-pending": "warn",
    "blocked": "bad",
    "unknown": "dim",
}
_BAR: Final = 10


def render_status(status: FleetStatus, terminal: Terminal, commands: CommandLine = BARE) -> str:
    """Everything, for a person."""
    blocks = [_head(status, terminal), _problem_lines(status, terminal)]
    if status.hosts:
        blocks.append(table(sorted_hosts(status), _columns_worth_showing(status), terminal))
    if status.vms:
        blocks.append(table(sorted_vms(status), vm_columns(status.at), terminal))
    for noun, facilities in (("pool", status.pools), ("network", status.networks)):
        if facilities:
            blocks.append(table(sorted_facilities(facilities), facility_columns(noun), terminal))
    if status.images:
        blocks.append(table(sorted_images(status), image_columns(status), terminal))
    if status.tombstones:
        blocks.append(table(status.tombstones, tombstone_columns(), terminal))
    hints = _hints(status, terminal, commands)
    return "\n".join([*(block for block in blocks if block), *([hints] if hints else [])])


def _head(status: FleetStatus, terminal: Terminal) -> str:
    by = status.controller or "no controller runs"
    facts = f"fleet {status.fleet} · specs {revision(status.generation)} · {moment(status.at)} · {by}"
    lines = [facts, *source_lines(status)]
    return "\n".join([_verdict(status, terminal), *(terminal.paint(line, "dim") for line in lines)]) + "\n"


def _verdict(status: FleetStatus, terminal: Terminal) -> str:
    """One sentence that says whether anybody has to look further."""
    if status.healthy:
        everything = ", ".join(
            [count(len(status.hosts), "host"), count(len(status.vms), "VM"), count(len(status.images), "image")]
        )
        parts = [f"healthy and in sync: {everything}", *_held(status)]
        return terminal.paint(f"✔ {' · '.join(parts)}", "good", "bold")
    parts = [
        *(
            part
            for state in _HOST_STYLE
            if state != "online"
            for part in _some(_missed(status, state), f"host {state}", f"hosts {state}")
        ),
        *_some(sum(host.armed is False for host in status.hosts), "host not armed", "hosts not armed"),
        *_some(
            sum(host.rule == DEVICE_DOUBTFUL for host in status.hosts),
            "fence device in doubt",
            "fence devices in doubt",
        ),
        *_held(status),
        *_some(
            sum(vm_trouble(vm) for vm in status.vms), "VM not running as it should", "VMs not running as they should"
        ),
        *_some(sum(vm.health == "unknown" for vm in status.vms), "VM unknown", "VMs unknown"),
        *_some(sum(vm.sync not in {"in-sync", "unknown"} for vm in status.vms), "VM not in sync", "VMs not in sync"),
        *_some(_not_ready(status.pools), "pool not ready", "pools not ready"),
        *_some(_not_ready(status.networks), "network not ready", "networks not ready"),
        *_some(sum(image.sync != "in-sync" for image in status.images), "image not ready", "images not ready"),
    ]
    running = sum(vm.health == "running" for vm in status.vms)
    parts.append(f"{running} of {count(len(status.vms), 'VM')} running")
    return terminal.paint(f"✗ {' · '.join(parts)}", "bad", "bold")


def _missed(status: FleetStatus, state: HostCondition) -> int:
    """Hosts in this state, but for planned outages."""
    return sum(host.health == state and not host.is_out_of_service for host in status.hosts)


def _not_ready(facilities: Sequence[FacilityStatus]) -> int:
    return sum(facility.sync not in {"in-sync", "unknown"} for facility in facilities)


def _held(status: FleetStatus) -> list[str]:
    """Hosts and VMs that somebody has held; where it is the whole fleet, that is among its problems."""
    if status.is_held:
        return []
    return [
        *_some(sum(host.is_held for host in status.hosts), "host held", "hosts held"),
        *_some(sum(vm.is_held for vm in status.vms), "VM held", "VMs held"),
    ]


def _some(number: int, noun: str, plural: str) -> list[str]:
    return [count(number, noun, plural)] if number else []


def _problem_lines(status: FleetStatus, terminal: Terminal) -> str:
    return "".join(f"{terminal.paint('!', 'bad', 'bold')} {problem}\n" for problem in status.problems)


def _hints(status: FleetStatus, terminal: Terminal, commands: CommandLine) -> str:
    """The next command for what VMs stand on, else the first VM that needs one, else the first host not armed."""
    blocked = [ObjectRef("StoragePool", pool.name) for pool in status.pools if pool.sync == "blocked"]
    blocked += [ObjectRef("Network", network.name) for network in status.networks if network.sync == "blocked"]
    troubled = [vm for vm in sorted_vms(status) if _vm_rank(vm) < _IN_ORDER]
    unarmed = [host.name for host in status.hosts if host.armed is False]
    if blocked:
        why = NextCommand("why", str(blocked[0]))
    elif troubled:
        why = NextCommand("why", f"VirtualMachine/{troubled[0].name}")
    elif unarmed:
        why = NextCommand("fence", "test", unarmed[0] if len(unarmed) == 1 else "--all")
    else:
        return ""
    return "\n".join(hint_lines(why, terminal, commands, indent="")) + "\n"


# -- order: problems first ---------------------------------------------------------------------------------------------

_IN_ORDER: Final = 4


def vm_trouble(vm: VmStatus) -> bool:
    """Whether the VM surely does not run as it should."""
    return vm.health in {"crashed", "missing", "paused", "not-answering"}


def _vm_rank(vm: VmStatus) -> int:
    rules = (vm_trouble(vm), vm.sync == "blocked", vm.health == "unknown", vm.sync != "in-sync", True)
    return rules.index(True)


def sorted_vms(status: FleetStatus) -> tuple[VmStatus, ...]:
    """Those that need somebody first, then by name."""
    return tuple(sorted(status.vms, key=lambda vm: (_vm_rank(vm), vm.name)))


def sorted_hosts(status: FleetStatus) -> tuple[HostStatus, ...]:
    """Those that are not online first, then those that would not be fenced, then by name."""
    return tuple(sorted(status.hosts, key=lambda host: (host.health == "online", host.well, host.name)))


def sorted_images(status: FleetStatus) -> tuple[ImageStatus, ...]:
    """Those that are not ready first, then by name."""
    return tuple(sorted(status.images, key=lambda image: (image.sync == "in-sync", image.name)))


def sorted_facilities(facilities: Sequence[FacilityStatus]) -> tuple[FacilityStatus, ...]:
    """Those that are not as in the specs first, then by name."""
    return tuple(sorted(facilities, key=lambda facility: (facility.sync == "in-sync", facility.name)))


# -- columns -----------------------------------------------------------------------------------------------------------


def _where(vm: VmStatus) -> str:
    """Its host, or where from and where to it is on its way."""
    return f"{vm.migration.source} → {vm.migration.target}" if vm.migration is not None else vm.host or ""


def vm_columns(at: float) -> tuple[Column[VmStatus], ...]:
    """`NAME HOST HEALTH SYNC REVISION AGE MESSAGE`."""
    return (
        Column("name", lambda vm: vm.name, lambda _: ("bold",)),
        Column("host", _where),
        Column("health", lambda vm: vm.health, lambda vm: (_VM_STYLE[vm.health],)),
        Column("sync", lambda vm: vm.sync, lambda vm: (_SYNC_STYLE[vm.sync],)),
        Column("revision", lambda vm: revision(vm.revision), lambda _: ("dim",)),
        Column("age", lambda vm: age(at - vm.since) if vm.since is not None else "", lambda _: ("dim",)),
        Column("message", lambda vm: vm.message),
    )


def _host_style(host: HostStatus) -> tuple[Style, ...]:
    return ("dim",) if host.is_out_of_service else (_HOST_STYLE[host.health],)


def host_columns(at: float, *, bars: bool = True) -> tuple[Column[HostStatus], ...]:
    """Hosts, what they carry, and how old the news is; `bars` are for people, figures alone for programs."""
    return (
        Column("name", lambda host: host.name, lambda _: ("bold",), "host"),
        Column("health", lambda host: host.condition, _host_style),
        Column("state", lambda host: host.state, lambda host: () if host.state == "active" else ("warn",)),
        Column("memory", lambda host: _memory(host, bars=bars), _stale),
        Column("cpus", _share(lambda host: (host.vcpus_promised, host.vcpus_allowed)), _stale),
        Column("armed", _armed, lambda host: ("warn",) if _armed(host) in {"no", "held"} else ()),
        Column("vms", lambda host: "" if host.vms is None else str(host.vms), _stale),
        Column("seen", lambda host: _seen(host, at), _stale),
        Column("message", _host_message),
    )


def _columns_worth_showing(status: FleetStatus) -> tuple[Column[HostStatus], ...]:
    """Without `armed` where no host of the fleet has a fence device."""
    has_devices = any(host.armed is not None for host in status.hosts)
    return tuple(column for column in host_columns(status.at) if has_devices or column.key != "armed")


def image_columns(status: FleetStatus) -> tuple[Column[ImageStatus], ...]:
    """Images and where they are; where any was tried by a drill, how old the last verified restore of each is."""
    has_drills = any(image.drill is not None for image in status.images)
    columns = _image_columns(status.at)
    has_versions = any(image.versions is not None for image in status.images)
    hidden = {"verified restore": not has_drills, "versions": not has_versions}
    return tuple(column for column in columns if not hidden.get(column.key, False))


def _last_verified(drill: DrillResult | None, at: float) -> str:
    if drill is None:
        return ""
    return f"{age(at - drill.passed_at)} ago" if drill.passed_stamp else "never"


def _image_columns(at: float) -> tuple[Column[ImageStatus], ...]:
    return (
        Column("name", lambda image: image.name, lambda _: ("bold",), "image"),
        Column("sync", lambda image: image.sync, lambda image: (_SYNC_STYLE[image.sync],)),
        Column("size", lambda image: "" if image.virtual_size is None else approximate_size(image.virtual_size)),
        Column("pools", lambda image: ",".join(image.pools)),
        Column("versions", lambda image: _versions(image, at)),
        Column(
            "verified restore",
            lambda image: _last_verified(image.drill, at),
            lambda image: () if image.drill is None else ("good",) if image.drill.passed else ("bad",),
        ),
        Column("digest", lambda image: "" if image.digest is None else image.digest[:19], lambda _: ("dim",)),
        Column("message", lambda image: image.message),
    )


def _versions(image: ImageStatus, at: float) -> str:
    if not image.versions or image.newest_at is None:
        return "" if image.versions is None else "none"
    return f"{image.versions} ({approximate_size(image.stored)}), newest {age(max(0.0, at - image.newest_at))} ago"


def facility_columns(noun: str) -> tuple[Column[FacilityStatus], ...]:
    """Pools or networks, and where they are to be."""
    return (
        Column("name", lambda facility: facility.name, lambda _: ("bold",), noun),
        Column("sync", lambda facility: facility.sync, lambda facility: (_SYNC_STYLE[facility.sync],)),
        Column("hosts", lambda facility: names(facility.hosts)),
        Column("message", lambda facility: facility.message),
    )


def _stale(host: HostStatus) -> tuple[Style, ...]:
    """What was true once is grey."""
    return () if host.health == "online" else ("dim",)


def _memory(host: HostStatus, *, bars: bool) -> str:
    if host.memory_total is None or host.memory_promised is None:
        return ""
    share = host.memory_promised / host.memory_total if host.memory_total else 0.0
    filled = min(_BAR, round(share * _BAR))
    figures = f"{approximate_size(host.memory_promised)}/{approximate_size(host.memory_total)}"
    return f"{'█' * filled}{'░' * (_BAR - filled)} {figures}" if bars else figures


def _share(pick: Callable[[HostStatus], tuple[int | None, int | None]]) -> Callable[[HostStatus], str]:
    def text(host: HostStatus) -> str:
        used, total = pick(host)
        return "" if used is None or total is None else f"{used}/{total}"

    return text


def _seen(host: HostStatus, at: float) -> str:
    if host.observed_at is None:
        return "never"
    passed = at - host.observed_at
    return "now" if passed < 2 else f"{age(passed)} ago"


def _armed(host: HostStatus) -> str:
    """Whether it would be fenced, if it were lost; empty for one that has nothing to be fenced with."""
    if host.armed is None:
        return ""
    return "no" if not host.armed else "held" if host.is_held else "yes"


def _host_message(host: HostStatus) -> str:
    parts: Sequence[str] = [host.message] if host.message else []
    if host.unmanaged:
        parts = [*parts, f"{host.unmanaged} unmanaged"]
    return " · ".join(parts)
