"""Why an object is as it is: spec, generation, placement, events, and what happens next or why nothing does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.cli.command_line import BARE, CommandLine
from reconciler.cli.dead_hosts import POWER_IT_ON, dead_hosts
from reconciler.cli.plan_groups import by_object
from reconciler.cli.plan_lines import field_lines, worth_telling
from reconciler.cli.render_drain import drain_lines, is_empty, left_lines
from reconciler.cli.render_lost_host import (
    attempt_lines,
    health_lines,
    incident_lines,
    proof_lines,
    test_lines,
    timeline_lines,
)
from reconciler.cli.render_unmet import unmet_details, unmet_sign, unmet_text
from reconciler.cli.step_words import disk_images, phrase
from reconciler.cli.terminal import Terminal
from reconciler.cli.words import age, clock_time, moment, printable, revision, wrapped
from reconciler.daemon.view import View
from reconciler.ledger.records import LedgerEvent
from reconciler.model.health import FenceAttempt
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Action
from reconciler.model.resource import ObjectRef
from reconciler.model.status import ImageStatus, VmStatus
from reconciler.planner.drain_status import NONE_THERE

_LABEL: Final = 10
_BODY: Final = " " * (_LABEL + 2)


class Story(Struct, frozen=True):
    """What is known of `target`; `events` newest first."""

    target: ObjectRef
    view: View
    events: Sequence[LedgerEvent]
    commands: CommandLine = BARE
    timeline: Sequence[LedgerEvent] = ()
    """The last loss of the host, or of the VM's host, oldest first."""
    attempts: Sequence[FenceAttempt] = ()
    """Of a host: attempts to fence it, newest first."""
    decided_in: str = ""
    """Id of the pass that decided the last event, where its input is kept."""


def render_why(story: Story, terminal: Terminal) -> str:
    """The chain from the line in the specs to the next action, oldest link first."""
    lines = [terminal.paint(str(story.target), "bold")]
    lines += _section("spec", _spec(story), terminal)
    if story.target.kind == "VirtualMachine":
        lines += _section("placed", _placed(story), terminal)
        lines += _section("now", _now(story), terminal)
    if story.target.kind == "Host":
        lines += _section("now", _host_now(story), terminal)
        lines += _lost_host(story, terminal)
    if story.target.kind == "Image":
        lines += _section("now", _image_now(story), terminal)
    lines += _section("timeline", timeline_lines(story.timeline), terminal)
    lines += _section("events", [_event(event, story.view.at) for event in reversed(story.events)], terminal)
    if story.decided_in:
        lines += _section("replay", [story.commands.call("simulate", "--replay", story.decided_in)], terminal)
    lines += _section("next", _next(story, terminal), terminal)
    return "\n".join(lines) + "\n"


def _lost_host(story: Story, terminal: Terminal) -> list[str]:
    """Health and all that follows from it, where anything but an answer is on record."""
    ledger, name = story.view.ledger, story.target.name
    health, incident = ledger.health.get(name), ledger.incidents.get(name)
    told = next((host.message for host in story.view.status.hosts if host.name == name), "")
    sections = (
        ("health", health_lines(health, story.view.at, told) if health is not None else []),
        ("incident", incident_lines(incident)),
        ("proof", proof_lines(ledger.proofs.get(name), incident, health, emptied=is_empty(story.view, name))),
        ("attempts", attempt_lines(story.attempts)),
        ("test", test_lines(ledger.fence_tests.get(name))),
    )
    return [line for label, body in sections for line in _section(label, body, terminal)]


def _section(label: str, body: Sequence[str], terminal: Terminal) -> list[str]:
    if not body:
        return []
    head = f"  {terminal.paint(f'{label:<{_LABEL}}', 'dim')}{body[0]}"
    return [head, *(f"{_BODY}{line}" for line in body[1:])]


def _spec(story: Story) -> list[str]:
    desired = story.view.desired
    source = desired.sources.get(story.target)
    broken = desired.unusable.get(story.target)
    generation = f"specs {revision(desired.generation)}"
    if broken is not None:
        stands = "its last good form stands; nothing of it is removed"
        left = stands if source is not None else "nothing of it is changed or removed until that is mended"
        return [f"{broken.where} · unusable: {broken.message}", left]
    if source is None:
        return [f"not in the specs · {generation}"]
    return [f"{source} · {generation}"]


def _placed(story: Story) -> list[str]:
    placement = story.view.ledger.placements.get(story.target.name)
    if placement is None:
        return ["not placed now"]
    since = f"since {moment(placement.since)} ({age(story.view.at - placement.since)} ago)"
    return [f"on {placement.host} {since} · epoch {placement.epoch}"]


def _now(story: Story) -> list[str]:
    vm = _vm_status(story)
    if vm is None:
        return ["nothing is known of it"]
    applied = f" · applied specs {revision(vm.revision)}" if vm.revision else ""
    line = f"{vm.health}{f' on {vm.host}' if vm.host else ''} · {vm.sync}{applied}"
    return [line, vm.message] if vm.message else [line]


def _host_now(story: Story) -> list[str]:
    host = next((host for host in story.view.status.hosts if host.name == story.target.name), None)
    if host is None:
        return ["nothing is known of it"]
    line = f"{host.condition} · {host.state}"
    return [line, host.message] if host.message else [line]


def _image_now(story: Story) -> list[str]:
    image = _image_status(story)
    if image is None and story.target in story.view.desired.unusable:
        return ["no VM is made of it; those that were made before run on"]
    if image is None:
        return ["nothing is known of it"]
    line = f"{image.sync} · in {', '.join(image.pools) or 'no pool yet'}{f' · {image.digest}' if image.digest else ''}"
    return [line, image.message] if image.message else [line]


def without_beginnings(events: Sequence[LedgerEvent]) -> list[LedgerEvent]:
    """The events, newest first, less each beginning whose end is told too."""
    ended: set[tuple[str, str]] = set()
    told: list[LedgerEvent] = []
    for event in events:
        action, _, phase = event.event.rpartition(" ")
        if phase == "started" and (action, event.host) in ended:
            ended.discard((action, event.host))
            continue
        if action and phase != "started":
            ended.add((action, event.host))
        told.append(event)
    return told


def _event(event: LedgerEvent, at: float) -> str:
    when = clock_time(event.at) if at - event.at < 86_400 else moment(event.at)
    where = f"{event.host}  " if event.host else ""
    return f"{when}  {where}{event.event}  {printable(event.message)}".rstrip()


def _next(story: Story, terminal: Terminal) -> list[str]:
    """What the plan holds for it; where that is nothing, why."""
    lines: list[str] = []
    images = disk_images(story.view.desired)
    for change in by_object(story.view.plan):
        if change.target == story.target:
            lines += [_action_line(action, phrase(action, images)) for action in change.actions]
            lines += field_lines(worth_telling(change.changes), terminal, indent="  ")
    for item in story.view.plan.unmet:
        if item.target == story.target:
            text = f"{item.severity}: {item.reason.replace('-', ' ')}: {unmet_text(item, 'verbose')}"
            first, *rest = wrapped(text, terminal.width - len(_BODY) - 2, "") or [""]
            lines += [f"{unmet_sign(item, terminal)} {first}", *(f"  {line}" for line in rest)]
            here = replace(item, hint="") if item.hint == NextCommand("why", str(story.target)) else item
            lines += unmet_details(here, terminal, story.commands, indent="  ")
    return lines or _inaction(story)


def _action_line(action: Action, words: str) -> str:
    return f"{words}{f' on {action.host}' if action.host else ''} · {action.why} · {action.disruption}"


def _inaction(story: Story) -> list[str]:
    view = story.view
    held = {"fleet", str(story.target)} & view.ledger.paused
    if held:
        return ["nothing: it is held by reconciler pause"]
    vm = _vm_status(story)
    if vm is not None and (vm.health == "unknown" or vm.sync == "unknown"):
        return ["nothing: it could not be seen, so nothing is known that could be decided on"]
    if story.target.kind == "Host" and (told := _of_host(view, story.target.name, story.commands)):
        return told
    image = _image_status(story)
    if image is not None and image.sync == "blocked":
        nothing = "nothing: no VM can be made of it until that is mended; VMs made before run on"
        path = view.desired.images[image.name].spec.source.path if image.name in view.desired.images else None
        where = view.desired.sources.get(story.target, "the specs")
        return [nothing, *([f"→ put {path} right, or correct spec.source.path in {where}"] if path else [])]
    if story.target not in view.desired.sources:
        kept = _kept_volumes(story)
        return ["nothing: it is not in the specs, and nothing of it is left to remove", *kept]
    last = next((event for event in story.events if event.event.endswith("done")), None)
    since = f" since {moment(last.at)}" if last is not None else ""
    return [f"nothing to do: in sync{since}"]


def _of_host(view: View, host: str, commands: CommandLine) -> list[str]:
    return _out_of_sight(view, host) or drain_lines(view, host, commands) or left_lines(view, host)


def _out_of_sight(view: View, host: str) -> list[str]:
    """Why nothing is done of a host that was not read; empty for one that was."""
    dead = dead_hosts(view.ledger, [host])
    if dead:
        return [f"nothing: {dead[host]}", f"→ {POWER_IT_ON}"]
    unread = view.inventory.unread.get(host)
    if unread is None:
        return []
    hint = [f"→ {unread.hint}"] if unread.hint else []
    left = NONE_THERE if is_empty(view, host) else "its VMs are left as they are"
    return [f"nothing: it could not be seen, and {left}", *hint]


def _vm_status(story: Story) -> VmStatus | None:
    return next((vm for vm in story.view.status.vms if vm.name == story.target.name), None)


def _image_status(story: Story) -> ImageStatus | None:
    if story.target.kind != "Image":
        return None
    return next((image for image in story.view.status.images if image.name == story.target.name), None)


def _kept_volumes(story: Story) -> list[str]:
    """The disks that a VM left behind; nothing else tells of them."""
    if story.target.kind != "VirtualMachine":
        return []
    start = f"{story.view.status.fleet}.{story.target.name}."
    return [
        f"kept: {volume} in pool {pool.name} on {host.name}; its spec brings it back"
        for host in story.view.inventory.hosts.values()
        for pool in host.pools.values()
        for volume in sorted(pool.volumes or ())
        if volume.startswith(start)
    ]
