"""What `why` tells of a host that is to be emptied, or that left the specs before it was."""

from __future__ import annotations

from typing import Final

from reconciler.cli.command_line import CommandLine
from reconciler.cli.words import names, printable
from reconciler.daemon.view import View
from reconciler.model.next_command import NextCommand
from reconciler.model.resource import ObjectRef
from reconciler.planner.drain_status import drain_words, is_emptied

_NAMED: Final = 6
_OFF: Final = frozenset({"stopped", "crashed", "missing"})


def is_empty(view: View, host: str) -> bool:
    """Whether by the ledger nothing is on a host that is in maintenance."""
    spec = view.desired.hosts.get(host)
    return spec is not None and is_emptied(view.ledger, spec)


def drain_lines(view: View, host: str, commands: CommandLine) -> list[str]:
    """How far it is emptied, and what each VM waits for that runs there; empty unless it is in maintenance and seen."""
    drain = next((found.drain for found in view.status.hosts if found.name == host), None)
    if drain is None:
        return []
    left = [vm for vm in view.status.vms if vm.host == host and vm.health not in _OFF]
    told = [f"VirtualMachine/{vm.name}: {printable(vm.message) or vm.sync}" for vm in left[:_NAMED]]
    more = [f"and {len(left) - _NAMED} more"] if len(left) > _NAMED else []
    hint = [f"→ {commands.spelled(NextCommand('why', f'VirtualMachine/{left[0].name}'))}"] if left else []
    return [drain_words(drain), *told, *more, *hint]


def left_lines(view: View, host: str) -> list[str]:
    """VMs that are placed on a host that is not in the specs any more; empty where there are none."""
    target = ObjectRef("Host", host)
    placed = sorted(vm for vm, placement in view.ledger.placements.items() if placement.host == host)
    if not placed or target in view.desired.sources:
        return []
    return [
        f"nothing: it is not in the specs, and these are still placed there: {names(placed, most=_NAMED)}",
        f"→ put {target} back until they are elsewhere",
    ]
