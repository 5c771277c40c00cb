"""What happens where several controllers share a ledger in etcd."""

from __future__ import annotations

from typing import Final

from reconciler.ledger.asking import AcceptSpecs
from reconciler.ledger.own_file import OwnFile
from reconciler.ledger.store import Ledger
from reconciler.simulator.command import Verb
from reconciler.simulator.ensemble import Ensemble
from reconciler.simulator.stage import Stage


def _all(stage: Stage) -> Ensemble:
    """Raises KeyError, which is told, where a controller is alone."""
    if stage.ensemble is None:
        raise KeyError("etcd: fleet.yaml has one controller")
    return stage.ensemble


def _cut(stage: Stage, name: str) -> None:
    _all(stage).member(name).cut(is_cut=True)


def _mend(stage: Stage, name: str) -> None:
    _all(stage).member(name).cut(is_cut=False)


def _lose_reply(stage: Stage, name: str) -> None:
    _all(stage).member(name).store.loses_replies = True


def _accept_specs(stage: Stage) -> None:
    led = _all(stage).led_specs()
    if led is None or not led.doubted:
        raise KeyError("doubt about any specs")
    stage.write(AcceptSpecs(led.doubted))
    stage.accept_specs_of(led.doubted_name)


def _own_ledger(stage: Stage, name: str, how: str) -> None:
    folder = stage.state_dir_of(name)
    if how == "away":
        OwnFile(folder).path.rename(folder / "ledger.unused")
        return
    with Ledger(folder) as ledger:
        ledger.pause()


SHARING_VERBS: Final = (
    Verb("etcd down|up|saved|restored", "its majority, or its data", lambda stage, how: _all(stage).etcd(how)),
    Verb("etcd-cut NAME", "a controller reaches etcd no more", _cut),
    Verb("etcd-back NAME", "and does again", _mend),
    Verb("etcd-lost-reply NAME", "its next change is applied, and it is not told", _lose_reply),
    Verb(
        "accept-store NAME", "a user accepts etcd as it is, on that machine", lambda s, name: _all(s).accept_store(name)
    ),
    Verb("accept-specs", "a user takes the leader's specs, which are in doubt, for the right ones", _accept_specs),
    Verb(
        "own-ledger NAME made|away",
        "that machine has a ledger of its own, with a hold",
        _own_ledger,
    ),
    Verb("freeze-controller NAME DURATION", "SIGSTOP, then SIGCONT", lambda s, name, time: _all(s).freeze(name, time)),
)
