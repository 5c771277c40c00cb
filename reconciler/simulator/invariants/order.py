"""One controller, within what hosts can carry, and then quiet."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.daemon.view import View
from reconciler.hypervisor.simulated_world import MutatingCall
from reconciler.simulator.invariants.promise import Promise


class LockHeld(Promise):
    """Two controllers would each undo what the other does."""

    name = "lock-held"
    sentence = "only the controller that holds the state directory, or of several the one that leads, changes anything"

    def before(self, call: MutatingCall) -> Iterator[str]:
        if not self.scene.lock_is_held():
            yield f"{call.method} {call.target} on {call.host} by a controller without the lock"
        elif self.scene.controllers() != 1:
            yield f"{call.method} {call.target} on {call.host} while {self.scene.controllers()} controllers act"

    def ordered_off(self, host: str) -> Iterator[str]:
        if not self.scene.lock_is_held():
            yield f"Host/{host} is switched off by a controller without the lock"


class CapacityKept(Promise):
    """A host that promises more than it has swaps, or kills a guest."""

    name = "capacity-kept"
    sentence = "no VM is started beyond its host's memory and CPUs"

    def after(self, call: MutatingCall) -> Iterator[str]:
        if call.method != "start_domain":
            return
        host = self.scene.world.hosts[call.host]
        wishes = self.scene.wishes.now
        spec = wishes.hosts[call.host].spec if wishes and call.host in wishes.hosts else None
        live = [entry.live for entry in host.domains.values() if entry.live is not None]
        memory, cpus = host.facts.memory * 1.0, host.facts.cpus * 1.0
        if spec is not None:
            memory = memory * spec.overcommit.memory - spec.reserved.memory
            cpus = max(0, host.facts.cpus - spec.reserved.cpus) * spec.overcommit.cpu
        if sum(config.memory for config in live) > memory:
            yield f"Host/{call.host} has guests of more memory than it may promise"
        if sum(config.vcpus for config in live) > cpus:
            yield f"Host/{call.host} has guests of more CPUs than it may promise"


class EmptyAtRest(Promise):
    """A plan that is never empty changes something for ever."""

    name = "empty-at-rest"
    sentence = "once nothing happens any more, planning again gives an empty plan"

    def at_rest(self, view: View, waiting: frozenset[str]) -> Iterator[str]:
        for action in view.plan.actions:
            if str(action.target) not in waiting:
                yield f"{action.id} is still planned"
