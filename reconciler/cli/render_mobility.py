"""Where VMs could be moved, as a list."""

from __future__ import annotations

from reconciler.cli.tables import Column
from reconciler.cli.words import names
from reconciler.model.status import VmMobility


def mobility_columns() -> tuple[Column[VmMobility], ...]:
    """A VM a line; hosts that don't take it for the same reason are named together."""
    return (
        Column("name", lambda vm: vm.vm, lambda _: ("bold",)),
        Column("host", lambda vm: vm.host),
        Column("movable", _movable, lambda vm: ("good",) if vm.targets else ("bad",)),
        Column("to", lambda vm: names(vm.targets)),
        Column("copies", lambda vm: ",".join(vm.local_disks), lambda _: ("dim",)),
        Column("why-not", _obstacles, heading="why not"),
    )


def _movable(vm: VmMobility) -> str:
    return "yes" if vm.targets else "no"


def _obstacles(vm: VmMobility) -> str:
    """`h2 lacks 1GiB of memory · h3, h4 cordoned`; what is the same of all hosts once."""
    reasons: dict[str, list[str]] = {}
    for verdict in vm.verdicts:
        if verdict.obstacle:
            reasons.setdefault(verdict.obstacle, []).append(verdict.host)
    if len(reasons) == 1 and not vm.targets:
        return next(iter(reasons))
    return " · ".join(f"{names(hosts)} {reason}" for reason, hosts in reasons.items())
