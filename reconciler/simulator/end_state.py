"""How a simulation ended, in a text that stays the same from run to run."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.simulator.stage import Stage


def end_state(stage: Stage) -> str:
    """Domains and files as they are, and what the controller makes of them."""
    sections = (
        ("domains", _domains(stage)),
        ("files", _files(stage)),
        ("status", _status(stage)),
        ("unmet", _unmet(stage)),
        ("plan", _plan(stage)),
        ("broken promises", (str(violation) for violation in stage.promises.violations)),
    )
    return "\n".join(_section(title, lines) for title, lines in sections)


def _section(title: str, lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in (title, *(f"  {line}" for line in [*lines] or ["none"])))


def _domains(stage: Stage) -> Iterator[str]:
    for host in stage.fleet.world.hosts.values():
        if not host.faults.powered:
            yield f"{host.name}  powered off"
        for entry in sorted(host.domains.values(), key=lambda found: found.config.name):
            mark = entry.config.mark
            whose = "not managed" if mark is None else f"epoch {mark.epoch}"
            transient = "" if entry.persistent else ", transient"
            yield f"{host.name}  {entry.config.name}  {entry.state}, {whose}{transient}"


def _files(stage: Stage) -> Iterator[str]:
    shown: set[int] = set()
    for host in stage.fleet.world.hosts.values():
        for path, directory in sorted(host.directories.items()):
            if id(directory) not in shown:
                shown.add(id(directory))
                sharers = sum(other.directories.get(path) is directory for other in stage.fleet.world.hosts.values())
                for name in sorted(directory.files):
                    yield f"{'shared' if sharers > 1 else host.name}  {path}/{name}"


def _status(stage: Stage) -> Iterator[str]:
    view = stage.last_view
    if view is None:
        return
    for host in view.status.hosts:
        yield f"Host/{host.name}  {host.health}"
    for vm in view.status.vms:
        yield f"VirtualMachine/{vm.name}  {vm.health}, {vm.sync}{f' on {vm.host}' if vm.host else ''}"


def _unmet(stage: Stage) -> Iterator[str]:
    for item in stage.last_view.plan.unmet if stage.last_view is not None else ():
        yield stage.timeline.shown(f"{item.target}  {item.reason}: {item.detail}")
        for host, why in item.per_host:
            yield f"  {host}: {why}"
        if item.hint:
            yield stage.timeline.shown(f"  → {item.hint}")


def _plan(stage: Stage) -> Iterator[str]:
    view = stage.last_view
    if view is None:
        yield "none was made"
        return
    for action in view.plan.actions:
        yield f"{action.kind}  {action.target}  {action.host or ''}".rstrip()
    if view.plan.empty:
        yield "empty"
