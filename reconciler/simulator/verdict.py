"""What a simulation came to, in a few sentences: what ran again and when, and what waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from reconciler.model.status import VmStatus
from reconciler.simulator.stage import Stage
from reconciler.simulator.timeline import Entry

_NO_PROMISE: Final = "times are those of the simulation, and no promise: real hosts, devices and guests take longer"


def verdict(stage: Stage) -> str:
    """Broken promises first, then VMs that were started again, then those that are not as they should be."""
    vms = stage.last_view.status.vms if stage.last_view is not None else ()
    again = [*_started_again(stage.timeline.entries)]
    waiting = [sentence for vm in vms for sentence in _waiting(vm)]
    lines = [_promises(stage, vms), *again, *waiting, *([_NO_PROMISE] if again else [])]
    return "".join(f"{line}\n" for line in lines)


def _promises(stage: Stage, vms: Sequence[VmStatus]) -> str:
    broken = len(stage.promises.violations)
    running = f"{sum(vm.health == 'running' for vm in vms)} of {len(vms)} VMs run at the end"
    if not broken:
        return f"✔ every promise was kept; {running}"
    return f"✗ {broken} {'promise was' if broken == 1 else 'promises were'} broken; {running}"


def _started_again(entries: Sequence[Entry]) -> Iterator[str]:
    """The first start of each VM after the last event that came before it."""
    event: Entry | None = None
    started: set[str] = set()
    for entry in entries:
        if entry.event == "event":
            event = entry
            started.clear()
        elif entry.event == "start-domain done" and event is not None and entry.object not in started:
            started.add(entry.object)
            name = entry.object.partition("/")[2]
            yield f"  {name} was started on {entry.host}, {entry.at - event.at:.1f} s after {event.sentence}"


def _waiting(vm: VmStatus) -> Iterator[str]:
    if vm.sync in {"in-sync", "restart-pending"} and vm.health in {"running", "stopped"}:
        return
    why = vm.unmet[0].reason.replace("-", " ") if vm.unmet else vm.message
    yield f"  {vm.name} is {vm.health}{f' on {vm.host}' if vm.host else ''}: {why or vm.sync}"
