"""Several controllers that share a ledger in etcd, side by side: each with its own state directory and way to etcd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Final

from reconciler.errors import ReconcilerError
from reconciler.hypervisor.simulated_world import SimulatedCrashError
from reconciler.leadership.candidate import accept_store
from reconciler.leadership.keys import keys_of, read_leader
from reconciler.leadership.lead import Lead
from reconciler.leadership.simulated_store import Backup, SimulatedCluster, SimulatedStore
from reconciler.ledger.asking import Question, ask
from reconciler.ledger.led_specs import LedSpecs, read_led_specs
from reconciler.ledger.replica import load
from reconciler.simulator.controller import Daemon, Share, Surroundings
from reconciler.simulator.event_clock import EventClock
from reconciler.simulator.timeline import Timeline
from reconciler.simulator.turns import Room, Turns

_NEVER: Final = 1e12
_LAST_BREATH: Final = 60.0
"""Seconds that controllers have to stop at the end."""

Around = Callable[[str, Share], Surroundings]
"""What surrounds the controller of that name."""


class Member:
    """One controller, from life to life."""

    def __init__(self, name: str, clock: EventClock, room: Room, cluster: SimulatedCluster) -> None:
        self.name = name
        self.turns = Turns(clock, room)
        self.cluster = cluster
        self.store = SimulatedStore(cluster)
        self.is_cut = False
        self.daemon: Daemon | None = None
        self.begin_at = 0.0
        self.told = ""

    def cut(self, *, is_cut: bool) -> None:
        """Take its way to etcd, or give it back."""
        self.is_cut = self.store.is_cut = is_cut

    def reborn(self) -> SimulatedStore:
        """A process of before, if anything of it is left, speaks to nobody any more."""
        self.store.is_cut = True
        self.store = SimulatedStore(self.cluster)
        self.store.is_cut = self.is_cut
        return self.store

    def kill(self) -> None:
        """As `kill -9`: nothing of it goes on, and nothing is given up."""
        if self.daemon is not None:
            self.store.is_cut = True
            self.turns.doom()


class Ensemble:
    """All of them, and the etcd."""

    def __init__(
        self,
        names: tuple[str, ...],
        clock: EventClock,
        timeline: Timeline,
        around: Around,
        *,
        fleet: str,
        lease: float,
        restart: float,
    ) -> None:
        self.cluster = SimulatedCluster(clock)
        self.keys = keys_of("/reconciler", fleet)
        self._clock = clock
        self._timeline = timeline
        self._around = around
        self._lease = int(lease)
        self._restart = restart
        self._room = Room()
        self._main = Turns(clock, self._room)
        self._members = {name: Member(name, clock, self._room, self.cluster) for name in names}
        self._backup: Backup | None = None
        self._is_over = False
        self._failure: BaseException | None = None
        self.lead_began = 0.0

    # -- playing ---------------------------------------------------------------------------------------------------
    def play(self, is_over: Callable[[], bool]) -> None:
        """From the beginning until it is over, and everybody has stopped."""
        self._main.take_over()
        for member in self._members.values():
            member.turns.begin(partial(self._live, member), member.name)
        self._main.wait_for(lambda: is_over() or self._failure is not None)
        self._is_over = True
        for member in self._members.values():
            if member.daemon is not None:
                member.daemon.stop()
        self._main.wait_for(lambda: not self.living, self._clock.monotonic() + _LAST_BREATH)
        self._clock.hand_over(None)
        if self._failure is not None:
            raise self._failure

    def _live(self, member: Member) -> None:
        try:
            while not self._is_over:
                if member.begin_at <= self._clock.monotonic():
                    self._live_once(member)
                else:
                    member.turns.wait_for(
                        lambda: self._is_over or member.begin_at <= self._clock.monotonic(),
                        min(member.begin_at, self._clock.monotonic() + 1.0),
                    )
        except BaseException as error:  # noqa: BLE001  # raised where the simulation began
            self._failure = error

    def _live_once(self, member: Member) -> None:
        member.begin_at = _NEVER
        member.told = ""
        member.daemon = Daemon(self._around(member.name, self._share(member)), member.turns)
        self._timeline.note("controller started", member.name)
        try:
            member.daemon.live()
        except SimulatedCrashError:
            self._timeline.note("controller killed", member.name)
            member.begin_at = self._clock.monotonic() + self._restart
        except ReconcilerError as error:
            self._timeline.note("controller refused", member.name, sentence=error.message)
            member.begin_at = self._clock.monotonic() + self._restart
        else:
            self._timeline.note("controller stopped", member.name)
        finally:
            member.daemon = None

    def _share(self, member: Member) -> Share:
        def led(lead: Lead) -> None:
            member.told = ""
            self.lead_began = self._clock.monotonic()
            lead.on_loss(partial(self._timeline.note, "lead lost", member.name, ""))

        def stands_by(sentence: str) -> None:
            if sentence != member.told and sentence.startswith("standing by"):
                member.told = sentence
                self._timeline.note("standby", member.name, sentence=sentence)

        return Share(member.name, member.reborn(), self.keys, self._lease, led, stands_by)

    def final_share(self) -> Share:
        """Of one more controller, that begins after all."""
        first = next(iter(self._members.values()))
        return self._untold_share(first.name, first.reborn())

    # -- what can be seen ------------------------------------------------------------------------------------------
    @property
    def living(self) -> list[Member]:
        return [member for member in self._members.values() if member.daemon is not None]

    @property
    def is_busy(self) -> bool:
        """Whether a plan is being carried out."""
        return any(member.daemon is not None and member.daemon.is_busy for member in self._members.values())

    @property
    def leads(self) -> str:
        """Who holds the leader key, by the word of etcd itself."""
        self.cluster.expire()
        stored = self.cluster.values.get(self.keys.leader)
        return read_leader(stored.value, stored.created).name if stored is not None else ""

    def runner_leads(self) -> bool:
        """Whether the controller whose turn it is holds the lead."""
        return any(member.turns is self._room.running and member.name == self.leads for member in self.living)

    # -- what happens ----------------------------------------------------------------------------------------------
    def member(self, name: str) -> Member:
        """Raises KeyError for a name that no controller has."""
        if name not in self._members:
            raise KeyError(f"controller {name}")
        return self._members[name]

    def nudge(self, reason: str) -> None:
        for member in self.living:
            if member.daemon is not None:
                member.daemon.nudge(reason)

    def kill_runner(self) -> None:
        """Kill the controller whose turn it is, in the midst of what it does; raises SimulatedCrashError."""
        for member in self.living:
            if member.turns is self._room.running:
                member.kill()
                raise SimulatedCrashError

    def kill(self, name: str) -> None:
        """Kill a controller; the one that leads for an empty name."""
        self.member(name or self.leads).kill()

    def stop(self, name: str) -> None:
        """As `systemctl stop`: it stays off."""
        member = self.member(name or self.leads)
        member.begin_at = _NEVER
        if member.daemon is not None:
            member.daemon.stop()

    def start(self, name: str) -> None:
        """As `systemctl start`."""
        self.member(name).begin_at = self._clock.monotonic()

    def freeze(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after `seconds`."""
        turns = self.member(name or self.leads).turns
        turns.is_frozen = True

        def thaw() -> None:
            turns.is_frozen = False
            self._timeline.note("controller goes on", name)

        self._clock.at(self._clock.monotonic() + seconds, thaw)

    def etcd(self, how: str) -> None:
        """Its majority is lost or back; its data are saved or put back."""
        match how:
            case "down":
                self.cluster.stop()
            case "up":
                self.cluster.start()
            case "saved":
                self._backup = self.cluster.backup()
            case _:
                if self._backup is None:
                    raise KeyError("backup of etcd")
                self.cluster.restore(self._backup)

    def accept_store(self, name: str) -> None:
        """As `reconciler leader --accept-store` on the machine of that controller."""
        member = self.member(name)
        around, share = self._around, self._untold_share(name, member.store)
        accept_store(member.store, self.keys, around(name, share).candidate(share).position)

    def led_specs(self) -> LedSpecs | None:
        """As the ledger in etcd has it."""
        connection, _ = load(self.cluster.reading(self.keys.root), self.keys)
        with closing(connection):
            return read_led_specs(connection)

    def ask(self, question: Question) -> None:
        """What a command asks of whoever leads."""
        ask(question, SimulatedStore(self.cluster), self.keys, "a user")

    def _untold_share(self, name: str, store: SimulatedStore) -> Share:
        """Of who leads, or stands, without that being told."""
        return Share(name, store, self.keys, self._lease, lambda _: None, lambda _: None)


def state_folders(names: tuple[str, ...]) -> Mapping[str, str]:
    """Of each controller; the first has the one that a controller that is alone has."""
    return {name: "state" if number == 0 else f"state-{name}" for number, name in enumerate(names)}
