"""Why an object is as it is, for programs: the JSON of `why --json`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from reconciler.cli.plan_json import unmet_json
from reconciler.cli.render_why import Story
from reconciler.cli.status_data import host_data, image_data, vm_data
from reconciler.ledger.records import LedgerEvent


def why_data(story: Story) -> dict[str, Any]:
    """Everything that the text tells, times in seconds since the epoch, events oldest first."""
    view, target = story.view, story.target
    source = view.desired.sources.get(target)
    return {
        "version": 1,
        "object": str(target),
        "generation": view.desired.generation,
        "at": view.at,
        "source": None if source is None else str(source),
        "status": _status(story),
        **(_placement(story) if target.kind == "VirtualMachine" else {}),
        **(_host(story) if target.kind == "Host" else {}),
        "timeline": [_event(event) for event in story.timeline],
        "events": [_event(event) for event in reversed(story.events)],
        "actions": [
            {"id": action.id, "host": action.host, "why": action.why, "disruption": action.disruption}
            for action in view.plan.actions
            if action.target == target
        ],
        "unmet": [unmet_json(item) for item in view.plan.unmet if item.target == target],
    }


def _status(story: Story) -> dict[str, Any] | None:
    status, name = story.view.status, story.target.name
    match story.target.kind:
        case "Host":
            return next((host_data(host) for host in status.hosts if host.name == name), None)
        case "VirtualMachine":
            return next((vm_data(vm) for vm in status.vms if vm.name == name), None)
        case "Image":
            return next((image_data(image) for image in status.images if image.name == name), None)
        case _:
            return None


def _placement(story: Story) -> dict[str, Any]:
    placement = story.view.ledger.placements.get(story.target.name)
    if placement is None:
        return {"placement": None}
    return {"placement": {"host": placement.host, "epoch": placement.epoch, "since": placement.since}}


def _host(story: Story) -> dict[str, Any]:
    ledger, name = story.view.ledger, story.target.name
    found = {
        "health": ledger.health.get(name),
        "incident": ledger.incidents.get(name),
        "proof": ledger.proofs.get(name),
        "fenceTest": ledger.fence_tests.get(name),
    }
    told: dict[str, Any] = {key: None if value is None else _camel(asdict(value)) for key, value in found.items()}
    return {**told, "attempts": [_camel(asdict(attempt)) for attempt in reversed(story.attempts)]}


def _camel(fields: dict[str, Any]) -> dict[str, Any]:
    """Keys as in all other JSON of ours."""

    def key(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(word.title() for word in rest)

    return {key(name): value for name, value in fields.items()}


def _event(event: LedgerEvent) -> dict[str, Any]:
    return {"at": event.at, "event": event.event, "host": event.host, "message": event.message}
