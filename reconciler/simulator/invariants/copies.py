"""One copy of a VM, and another start only on proof."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reconciler.hypervisor.simulated_world import MutatingCall
from reconciler.model.ledger import LedgerView
from reconciler.simulator.invariants.promise import Promise, Scene, answers, running


class OneCopy(Promise):
    """A VM that writes to its disks twice at once loses them."""

    name = "one-copy"
    sentence = "at most one copy of a VM runs"

    def tick(self) -> Iterator[str]:
        copies: dict[str, list[str]] = defaultdict(list)
        for host, entry in running(self.scene.world.hosts):
            mark = entry.config.mark
            if mark is not None and self.scene.is_ours(entry):
                copies[mark.vm].append(host.name)
        for vm, hosts in copies.items():
            if len(hosts) > 1:
                yield f"VirtualMachine/{vm} runs on {' and on '.join(hosts)}"


class ProofFirst(Promise):
    """Silence is not death: a host that can't be asked may be running what it ran."""

    name = "proof-first"
    sentence = "a VM starts elsewhere only where its host says that it is off there, or is proven dead"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._ran_on: dict[str, str] = {}
        self._proofs_seen: set[tuple[str, str]] = set()

    def before(self, call: MutatingCall) -> Iterator[str]:
        if call.method != "start_domain":
            return
        entry = self.scene.domain(call)
        ran_on = self._ran_on.get(entry.config.uuid) if entry else None
        if entry is None or ran_on is None or ran_on == call.host:
            return
        former = self.scene.world.hosts.get(ran_on)
        if former is not None and not answers(former) and ran_on not in self.scene.ledger().proofs:
            yield (
                f"VirtualMachine/{entry.config.name} is started on {call.host}, but it ran on {ran_on}, which does not"
                " answer and is not proven dead"
            )

    def tick(self) -> Iterator[str]:
        self._forget_undefined()
        for host, entry in running(self.scene.world.hosts):
            if self.scene.is_ours(entry):
                self._ran_on[entry.config.uuid] = host.name
        if any(not answers(host) for host in self.scene.world.hosts.values()):
            yield from self._false_proofs(self.scene.ledger())

    def _forget_undefined(self) -> None:
        """What its host was seen to have no more can't run there, even if the host is lost later."""
        hosts = self.scene.world.hosts
        for uuid, name in tuple(self._ran_on.items()):
            if name in hosts and answers(hosts[name]) and uuid not in hosts[name].domains:
                del self._ran_on[uuid]

    def _false_proofs(self, ledger: LedgerView) -> Iterator[str]:
        for name, proof in ledger.proofs.items():
            key = (name, proof.incident)
            host = self.scene.world.hosts.get(name)
            if key in self._proofs_seen or host is None:
                continue
            self._proofs_seen.add(key)
            if proof.kind != "human" and host.faults.powered:
                yield f"Host/{name} counts as dead ({proof.evidence}), but its power is on"


class WantedStays(Promise):
    """A VM that somebody still wants is gone with its one definition, until the specs are put right."""

    name = "wanted-stays"
    sentence = "the one definition of a VM that the specs name is never removed"

    def before(self, call: MutatingCall) -> Iterator[str]:
        entry = self.scene.domain(call) if call.method == "undefine_domain" else None
        if entry is None or not self.scene.is_ours(entry):
            return
        name, wishes = entry.config.name, self.scene.wishes.now
        is_wanted = wishes is not None and name in wishes.vms and name not in self.scene.wishes.disposable
        placement = self.scene.ledger().placements.get(name) if is_wanted else None
        others = [
            host.name for host in self.scene.world.hosts.values() if host.name != call.host and host.by_name(name)
        ]
        if placement is not None and placement.host == call.host and not others:
            yield f"VirtualMachine/{name} is undefined on {call.host}, and the specs name it"
