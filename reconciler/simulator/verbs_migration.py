"""What happens to VMs on their way from host to host."""

from __future__ import annotations

from typing import Final

from reconciler.simulator.command import Verb
from reconciler.simulator.stage import Stage


def _rate(stage: Stage, size: int) -> None:
    stage.fleet.world.migration_rate = float(size)


def _switch(stage: Stage, seconds: float) -> None:
    stage.fleet.world.switch_seconds = seconds


MIGRATION_VERBS: Final = (
    Verb("migration-rate SIZE", "so much of one migration is sent in a second", _rate),
    Verb("migration-switch DURATION", "so long a guest stands still at the end of its migration", _switch),
    Verb("migration-stalls VM", "nothing of it is sent any more", lambda stage, vm: stage.fleet.world.stalled.add(vm)),
    Verb("migration-flows VM", "it is sent again", lambda stage, vm: stage.fleet.world.stalled.discard(vm)),
    Verb(
        "guest-restless VM",
        "it writes as fast as its memory can be sent",
        lambda stage, vm: stage.fleet.world.restless.add(vm),
    ),
    Verb("guest-calm VM", "it writes little", lambda stage, vm: stage.fleet.world.restless.discard(vm)),
    Verb(
        "virsh-migrate HOST VM TARGET",
        "somebody moves it by hand, live",
        lambda stage, host, vm, target: stage.fleet.people(host).migrate(vm, target),
    ),
)
