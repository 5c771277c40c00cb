"""Where a VM is once libvirt's job has ended, by what both of its hosts say."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Literal

from msgspec import Struct

from reconciler.errors import HostError
from reconciler.executor.backoff import growing_delays
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.preconditions import find_domain
from reconciler.model.inventory import ObservedDomain
from reconciler.model.steps import MigrateDomain
from reconciler.planner.host_identity import is_stranger

_UNDECIDED_SECONDS: Final = 10.0
"""How long libvirt may take to tidy up both sides once its job has ended."""

Where = Literal["arrived", "stayed", "gone", "twice", "broken", "undecided"]
"""`gone`: neither host has it, though both answer; `twice`: it runs on both, and no migration is under way; `broken`:
its post-copy was cut, and neither half goes on without the other."""


class _Sight(Struct, frozen=True):
    """What is seen of it on one host."""

    domain: ObservedDomain | None
    how: Literal["answered", "dead", "silent"] = "answered"


def end_of(step: MigrateDomain, context: ActionContext, *, is_over: bool) -> tuple[Where, bool]:
    """Where it is, and whether its target was not asked; looks until both sides have tidied up.

    Not where one does not answer: whoever is to recover the VM must not wait for us. `is_over`: its source has done
    with it, whatever has come of it.
    """
    deadline = context.clock.monotonic() + _UNDECIDED_SECONDS
    for delay in growing_delays(0.1, 1.0):
        where, there, is_heard = _where(step, context, is_over=is_over)
        if where not in ("undecided", "twice") or not is_heard or context.clock.monotonic() + delay > deadline:
            return where, there.how != "answered"
        if context.clock.wait(context.stop, delay):
            raise HandedBack
    raise AssertionError("the delays never end")


def _where(step: MigrateDomain, context: ActionContext, *, is_over: bool) -> tuple[Where, _Sight, bool]:
    """Where it is, what is seen at the target, and whether both hosts answer or are proven dead.

    The source is asked first: what it does not have any more had arrived by then, and never comes back to it.
    """
    here = _look(step, context, step.source)
    try:
        is_under_way = here.domain is not None and context.host_named(step.source).migration_job(step.uuid) is not None
    except HostError:
        return "undecided", _Sight(None, "silent"), False
    there = _look(step, context, step.target)
    if any(seen.domain is not None and seen.domain.is_broken for seen in (here, there)):
        return "broken", there, True
    where = "undecided" if is_under_way else _judge(step, context, here, there, is_over=is_over)
    # What is in sight says where it is; what is not may be missing on another machine of that name.
    missing = [name for name, seen in ((step.source, here), (step.target, there)) if seen == _Sight(None)]
    if where != "undecided" and there.domain is None and any(_is_another_machine(context, name) for name in missing):
        there = _Sight(None, "silent")
        where = "undecided" if here.domain is None else _judge(step, context, here, there, is_over=is_over)
    return where, there, "silent" not in (here.how, there.how)


def _is_another_machine(context: ActionContext, name: str) -> bool:
    try:
        return is_stranger(context.host_named(name).read(), context.ledger.view(), context.fleet_name)
    except HostError:
        return True  # it does not answer any more: that is no better


def _look(step: MigrateDomain, context: ActionContext, name: str) -> _Sight:
    try:
        return _Sight(find_domain(context.host_named(name), step.uuid))
    except HostError:
        return _Sight(None, "dead" if context.is_dead(name) else "silent")


def _judge(step: MigrateDomain, context: ActionContext, here: _Sight, there: _Sight, *, is_over: bool) -> Where:
    if here.how == "silent":
        # What runs there has arrived, whatever its source has kept of it: the epoch decides.
        return "arrived" if there.domain is not None and _runs(step, there.domain) else "undecided"
    if there.domain is not None:
        return _beside_a_copy(step, context, here.domain, there.domain)
    if here.domain is not None:
        is_certain = there.how != "silent" or (is_over and _never_ran_there(step, here.domain))
        return "stayed" if is_certain and _is_whole(step, here.domain, there) else "undecided"
    if here.how == "dead":
        return "undecided"
    if there.how == "answered":
        return _nowhere(step, context)
    # It was at the target, wherever that is now. Whether its own disks are whole there is known once it is seen.
    return "undecided" if step.disks else "arrived"


def _beside_a_copy(
    step: MigrateDomain, context: ActionContext, here: ObservedDomain | None, there: ObservedDomain
) -> Where:
    mark = there.config.mark
    if there.is_on_its_way or mark is None or mark.epoch < step.epoch:
        return "undecided"
    if here is not None and here.active:
        return _beside_a_guest(step, context, here, there)
    if here is not None and here.reason == "migrated":
        # libvirt was to undefine it, and could not: nothing is left of it but the definition.
        with suppress(HostError):
            context.host_named(step.source).undefine_domain(step.uuid, keep_nvram=True)
    # One that is off because its host lost its power just then is an old copy, and cleared away as such.
    return "arrived"


def _runs(step: MigrateDomain, there: ObservedDomain) -> bool:
    mark = there.config.mark
    is_sent = mark is not None and mark.epoch == step.epoch
    return is_sent and there.persistent and there.state == "running" and not there.is_on_its_way


def _beside_a_guest(step: MigrateDomain, context: ActionContext, here: ObservedDomain, there: ObservedDomain) -> Where:
    """At its source it is active: that may be the last of it, or all; which, is seen by looking at both again."""
    if here.state == "running" and _runs(step, there):
        return "twice"
    mark = there.config.mark
    is_left_over = here.state == "running" and not there.active and mark is not None and mark.epoch == step.epoch
    if is_left_over and not step.disks:
        # People ended the one there, or started it here in the very moment of a cold move.
        with suppress(HostError):
            context.host_named(step.target).undefine_domain(step.uuid, keep_nvram=True)
    return "undecided"


def _is_whole(step: MigrateDomain, here: ObservedDomain, there: _Sight) -> bool:
    """Whether it is at its source with all that it wrote: what is off may have run on elsewhere, with its disks."""
    if here.active:
        return not here.is_on_its_way
    return not step.disks or (there.how == "answered" and here.reason != "migrated")


def _never_ran_there(step: MigrateDomain, here: ObservedDomain) -> bool:
    """Whether all that may be of it at its target is a definition, which nobody runs, and which never leaves there.

    It is of a lower epoch than the VM has once this is settled, so that it is cleared away when it is seen.
    """
    mark = here.config.mark
    return step.cold and here.persistent and mark is not None and mark.epoch < step.epoch


def _nowhere(step: MigrateDomain, context: ActionContext) -> Where:
    """Somebody moved it on, or undefined it. Of its own disks it is not known then which are the newest."""
    if not step.disks:
        return "gone"
    others = [name for name in context.desired.hosts if name not in (step.source, step.target)]
    try:
        is_elsewhere = any(find_domain(context.host_named(name), step.uuid) is not None for name in others)
    except HostError:
        is_elsewhere = False
    return "gone" if is_elsewhere else "undecided"
