"""What hosts can do for guests that come from elsewhere: asked where a plan may need it, and kept for a while."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from queue import Empty
from typing import Final

from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.errors import HostError, mistake_of_ours
from reconciler.hypervisor.interface import Fleet
from reconciler.model.abilities import CpuAnswer, CpuQuestion, GuestCpu, HostAbilities
from reconciler.model.fleet_cpu import cpu_text
from reconciler.model.inventory import HostFacts, HostInventory, Inventory
from reconciler.observe.readers import Answers, Readers, Reading, Threads

HOLD: Final = 600.0
"""Seconds for which an answer holds: a hypervisor is seldom upgraded."""
_TIMEOUT: Final = 10.0

Questions = Mapping[str, Collection[CpuQuestion]]
"""By host: the CPUs that it is asked for."""


class Abilities:
    """Asks hosts, all at once; one that does not answer in time has said nothing, and holds up nobody for long."""

    def __init__(self, fleet: Fleet, clock: Clock, readers: Readers | None = None) -> None:
        self._fleet = fleet
        self._clock = clock
        self._readers: Readers = readers or Threads()
        self._said: dict[str, tuple[HostFacts, float, HostAbilities]] = {}
        """What each host said, while it was what, and when (monotonic)."""
        self._failed: dict[str, str] = {}
        """Why a host said nothing when it was asked last."""
        self._common: dict[tuple[str, tuple[GuestCpu, ...]], str] = {}
        self._asked: set[str] = set()
        """Hosts whose answer has not come yet: hung questions must not pile up."""

    def complete(self, inventory: Inventory, questions: Questions) -> Inventory:
        """The inventory with what each host of `questions` can do, and its answers; no call for what is known."""
        wanted = {name: questions[name] for name in sorted(questions) if name in inventory.hosts}
        unknown = [name for name in wanted if self._known(inventory.hosts[name], wanted[name]) is None]
        self._ask({name: (inventory.hosts[name], wanted[name]) for name in unknown if name not in self._asked})
        hosts = dict(inventory.hosts)
        for name, asked in wanted.items():
            known = self._known(hosts[name], asked)
            error = self._failed.get(name, "") if known is None else ""
            hosts[name] = replace(hosts[name], abilities=known, abilities_error=error)
        return replace(inventory, hosts=hosts) if wanted else inventory

    def baselines(self, inventory: Inventory, kinds: Collection[str]) -> Inventory:
        """The inventory with the CPU that all its hosts have, for these domain types; the first host works it out."""
        found = {kind: text for kind in sorted(kinds) if (text := self._baseline(inventory, kind))}
        return replace(inventory, baselines=found) if found else inventory

    def _baseline(self, inventory: Inventory, kind: str) -> str:
        """Empty where they have nothing in common, or nobody can tell."""
        able = {name: host.abilities for name, host in sorted(inventory.hosts.items()) if host.abilities is not None}
        cpus = tuple(dict.fromkeys(abilities.cpus[kind] for abilities in able.values() if kind in abilities.cpus))
        key = (kind, cpus)
        if cpus and key not in self._common:
            with suppress(HostError):
                common = self._fleet.host(next(iter(able))).cpu_baseline(cpus, kind)
                self._common[key] = "" if common is None else cpu_text(common)
        return self._common.get(key, "")

    def _known(self, host: HostInventory, questions: Collection[CpuQuestion]) -> HostAbilities | None:
        """What it said not long ago, if that answers all `questions`."""
        facts, at, said = self._said.get(host.name, (None, 0.0, HostAbilities()))
        if facts != host.facts or self._clock.monotonic() - at > HOLD:
            return None
        return said if all(said.lacks(question) is not None for question in questions) else None

    def _ask(self, hosts: Mapping[str, tuple[HostInventory, Collection[CpuQuestion]]]) -> None:
        answers, deadline = self._readers.answers(), self._clock.monotonic() + _TIMEOUT
        for name, (host, questions) in hosts.items():
            self._asked.add(name)
            self._readers.start(f"abilities-{name}", partial(self._question, host, questions, answers))
        for _ in hosts:
            try:
                answers.get(timeout=max(0.0, deadline - self._clock.monotonic()))
            except Empty:
                return

    def _all(self, host: HostInventory, questions: Collection[CpuQuestion]) -> list[CpuQuestion]:
        """With those that it answered before: other passes may ask other things."""
        facts, _, said = self._said.get(host.name, (None, 0.0, HostAbilities()))
        before = {answer.question for answer in said.answers} if facts == host.facts else set()
        return sorted({*questions, *before}, key=repr)

    def _question(self, host: HostInventory, questions: Collection[CpuQuestion], answers: Answers) -> None:
        door, begun = self._fleet.host(host.name), self._clock.monotonic()
        result: HostInventory | HostError = host
        try:
            said = tuple(CpuAnswer(question, door.cpu_lacks(question)) for question in self._all(host, questions))
            self._said[host.name] = (host.facts, begun, replace(door.abilities(), answers=said))
            self._failed.pop(host.name, None)
        except HostError as error:
            result = error  # asked again in the next pass; until then it is no target
        except Exception as error:  # noqa: BLE001  a mistake of ours must not keep it from being asked again
            result = mistake_of_ours(error, host.name)
        if isinstance(result, HostError):
            self._failed[host.name] = result.message
        self._asked.discard(host.name)
        now = self._clock.monotonic()
        answers.put(Reading(host.name, result, now - begun, now, 0))
