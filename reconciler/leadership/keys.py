"""Where things are in etcd, and who a leader says that it is."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct


class Keys(Struct, frozen=True):
    """The keys of one fleet."""

    root: str
    """Such as `/reconciler/lab/`: everything of the fleet is below."""

    @property
    def fleet(self) -> str:
        """Whose they are."""
        return self.root.rstrip("/").rpartition("/")[2]

    @property
    def leader(self) -> str:
        """Made by who leads, and gone with its lease; its create revision is the term."""
        return f"{self.root}leader"

    @property
    def rows(self) -> str:
        """A row of the ledger each: `…ledger/TABLE/["primary","key"]`."""
        return f"{self.root}ledger/"

    @property
    def schema(self) -> str:
        """Number of the migration that the rows are of."""
        return f"{self.root}schema"

    @property
    def standbys(self) -> str:
        """Who stands by, a key each that goes with its lease."""
        return f"{self.root}standbys/"

    @property
    def requests(self) -> str:
        """What commands ask of the leader, and its answers."""
        return f"{self.root}requests/"


def keys_of(prefix: str, fleet: str) -> Keys:
    """The keys of `fleet` below the configured prefix."""
    return Keys(f"{prefix.rstrip('/')}/{fleet}/")


class Leader(Struct, frozen=True):
    """Who leads, as written into the leader key."""

    name: str
    """Of the controller; its machine, unless the configuration says otherwise."""
    pid: int
    since: float
    """Wall time in seconds."""
    command: str = "run"
    term: int = 0
    """Grows with each lead: the revision of etcd that began it."""
    id: str = ""
    """Of its state directory: two of one name differ in that."""

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"`reconciler {self.command}` on {self.name} (pid {self.pid}, since {since}, term {self.term})"


def leader_text(leader: Leader) -> str:
    """The value of the leader key."""
    return msgspec.json.encode(leader).decode()


def read_leader(text: str, term: int) -> Leader:
    """Of a leader key that revision `term` made; one that can't be read was made by another version."""
    try:
        return msgspec.structs.replace(msgspec.json.decode(text, type=Leader), term=term)
    except msgspec.MsgspecError:
        return Leader("another version of this program", 0, 0.0, term=term)
