"""A state directory whose ledger is in etcd, used by a configuration that does not name one."""

from __future__ import annotations

from pathlib import Path

from reconciler.errors import LedgerConflict
from reconciler.ledger.own_file import marks_of_etcd


def refuse_left_etcd(state_dir: Path) -> None:
    """Raise LedgerConflict where this controller had its ledger in etcd, and no word to the contrary."""
    marks = marks_of_etcd(state_dir)
    if marks:
        raise LedgerConflict(
            f"the ledger of this fleet is in etcd, as {' and '.join(map(str, marks))} tell, and the configuration names"
            " no etcd: holds and proofs of death would be forgotten, and another controller may lead by it",
            hint="name ledger.etcd.endpoints again; to leave etcd for good, stop every controller and run, with"
            " the endpoints, reconciler leader --export",
        )


def left_etcd(state_dir: Path) -> tuple[str, ...]:
    """The same as problems, for who only looks."""
    try:
        refuse_left_etcd(state_dir)
    except LedgerConflict as error:
        return (f"{error.message} ({error.hint})",)
    except OSError:
        return ()  # another user's directory, as whoever opens the ledger is told
    return ()
