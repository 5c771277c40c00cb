"""Hosts that are read in a process of its own, and the questions and answers between that process and this one.

    this process  ── which host, which pools ──▶  a child, forked  ──▶ its share of the hosts
                  ◀── inventory, or the error ──

A child has the hosts' connections, does nothing but read, and ends with its parent, however that ends.
"""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

import msgspec
from msgspec import Struct

from reconciler import errors
from reconciler.errors import HostError, HostUnreachable, mistake_of_ours
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.model.inventory import HostInventory, ObservedPool


class Question(Struct, frozen=True):
    """What one host is asked: everything, with the volumes of `pools`; or one `pool` only."""

    number: int
    host: str
    pools: tuple[str, ...] = ()
    refresh: bool = False
    pool: str = ""


class Mistake(Struct, frozen=True):
    """A HostError on its way to the parent."""

    kind: str
    message: str
    host: str
    target: str
    hint: str


class Answer(Struct, frozen=True):
    """What came of a question; one without any result says that the host is connected, and its result will follow."""

    number: int
    host: str
    inventory: HostInventory | None = None
    pool: ObservedPool | None = None
    mistake: Mistake | None = None


class ReadingProcess:
    """A child that reads its share of the hosts, as its parent sees it; used from any thread."""

    def __init__(self, make_fleet: Callable[[], LibvirtFleet], siblings: Iterable[ReadingProcess]) -> None:
        """Fork, for which this process should have one thread; `make_fleet` is called in the child."""
        context = get_context("fork")
        self.pipe, theirs = context.Pipe()
        inherited = [self.pipe, *(sibling.pipe for sibling in siblings)]
        self._process = context.Process(target=_live, args=(theirs, inherited, make_fleet), daemon=True)
        self._process.start()
        theirs.close()
        self._lock: Final = threading.Lock()
        self._numbers: Final = itertools.count()
        self._asked: Final[dict[int, Future[Answer]]] = {}
        self._connected: Final[set[str]] = set()
        self._listener: threading.Thread | None = None
        self._ended = False

    def is_connected(self, host: str) -> bool:
        """Whether the host has answered by connecting, as far as is known; never waits."""
        return host in self._connected

    def inventory(self, host: str, pools: Iterable[str], *, refresh: bool) -> HostInventory:
        """As Hypervisor.read; raises HostError."""
        found = self._ask(Question(next(self._numbers), host, tuple(pools), refresh)).inventory
        if found is None:
            raise _ended(host)
        return found

    def pool(self, host: str, pool: str, *, refresh: bool) -> ObservedPool:
        """As Hypervisor.pool; raises HostError."""
        found = self._ask(Question(next(self._numbers), host, refresh=refresh, pool=pool)).pool
        if found is None:
            raise _ended(host)
        return found

    def close(self) -> None:
        """End the child, whatever it waits for."""
        self._process.kill()
        self._process.join()

    def _ask(self, question: Question) -> Answer:
        future: Future[Answer] = Future()
        with self._lock:
            if self._ended:
                raise _ended(question.host)
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="reading-process", daemon=True)
                self._listener.start()
            self._asked[question.number] = future
            try:
                self.pipe.send_bytes(msgspec.msgpack.encode(question))
            except OSError:
                raise _ended(question.host) from None
        answer = future.result()
        if answer.mistake is not None:
            raise as_error(answer.mistake)
        return answer

    def _listen(self) -> None:
        decoder = msgspec.msgpack.Decoder(Answer)
        while True:
            try:
                answer = decoder.decode(self.pipe.recv_bytes())
            except (EOFError, OSError, msgspec.MsgspecError):
                break
            if answer.mistake is None:
                self._connected.add(answer.host)
            if answer.inventory is not None or answer.pool is not None or answer.mistake is not None:
                with self._lock:
                    future = self._asked.pop(answer.number)
                future.set_result(answer)
        with self._lock:
            self._ended = True
            left = list(self._asked.items())
        for number, future in left:
            future.set_result(Answer(number, ""))


def _ended(host: str) -> HostError:
    return HostUnreachable("the process that read it has ended", host=host, hint="look again")


def as_error(mistake: Mistake) -> HostError:
    """As it was raised in the child."""
    kind: type[HostError] = getattr(errors, mistake.kind)
    return kind(mistake.message, host=mistake.host, target=mistake.target, hint=mistake.hint)


# -- in the child ------------------------------------------------------------------------------------------------------
def _live(pipe: Connection, inherited: Iterable[Connection], make_fleet: Callable[[], LibvirtFleet]) -> None:
    # A parent's end that stays open here would keep this child, or a sibling, from seeing that the parent has ended.
    for connection in inherited:
        connection.close()
    # Ctrl-C reaches the whole group; it is the parent that answers it, and ends its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    serve(pipe, make_fleet())


def serve(pipe: Connection, fleet: LibvirtFleet) -> None:
    """Answer questions, each in a thread of its own, until the other end of `pipe` is closed."""
    lock = threading.Lock()
    decoder = msgspec.msgpack.Decoder(Question)

    def tell(answer: Answer) -> None:
        with lock:
            pipe.send_bytes(msgspec.msgpack.encode(answer))

    while True:
        try:
            question = decoder.decode(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        threading.Thread(target=partial(_answer, question, fleet, tell), daemon=True).start()


def _answer(question: Question, fleet: LibvirtFleet, tell: Callable[[Answer], None]) -> None:
    """Whatever happens is told: the parent waits for it."""
    try:
        tell(_found(question, fleet, tell))
    except HostError as error:
        told = error
    except Exception as error:  # noqa: BLE001  a mistake of ours is the host's error, and not its silence
        told = mistake_of_ours(error, question.host)
    else:
        return
    mistake = Mistake(type(told).__name__, told.message, told.host, told.target, told.hint)
    with suppress(OSError):  # nobody waits any more
        tell(Answer(question.number, question.host, mistake=mistake))


def _found(question: Question, fleet: LibvirtFleet, tell: Callable[[Answer], None]) -> Answer:
    number, name = question.number, question.host
    host = fleet.host(name)
    if not host.connected:
        host.connect()
        tell(Answer(number, name))
    if question.pool:
        return Answer(number, name, pool=host.pool(question.pool, refresh=question.refresh))
    return Answer(number, name, inventory=host.read(pools_with_volumes=question.pools, refresh=question.refresh))
