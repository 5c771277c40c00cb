"""What happens to the controller: its process, ledger, clock, specs and images; and what its user tells it."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Final

from reconciler.ledger.asking import AcceptDeletions, KeepTombstones, Pause, PurgeTombstones, Resume
from reconciler.ledger.database import LEDGER_FILE
from reconciler.simulator.command import Verb
from reconciler.simulator.stage import Stage

_SCHEMA_VERSION_AT: Final = 60
"""Where SQLite keeps `user_version` in its file."""


def _write(stage: Stage, target: PurePosixPath, source: PurePosixPath) -> None:
    stage.specs_with(target).write(target, source)
    stage.specs_changed()


def _write_half(stage: Stage, target: PurePosixPath, source: PurePosixPath) -> None:
    stage.specs_with(target).write_half(target, source)
    stage.specs_changed()


def _remove(stage: Stage, target: PurePosixPath) -> None:
    stage.specs_with(target).remove(target)
    stage.specs_changed()


def _specs(stage: Stage, how: str) -> None:
    {"unmounted": stage.specs.unmount, "gone": stage.specs.remove_all, "back": stage.specs.mount}[how]()
    stage.specs_changed()


def _crash_at(stage: Stage, method: str, number: int = 1) -> None:
    stage.crash_points.add(method, number, "before")


def _crash_during(stage: Stage, method: str, number: int = 1) -> None:
    stage.crash_points.add(method, number, "during")


def _crash_after(stage: Stage, method: str, number: int = 1) -> None:
    stage.crash_points.add(method, number, "after")


def _ledger(stage: Stage, how: str) -> None:
    file = stage.settings.state_dir / LEDGER_FILE
    match how:
        case "full" | "roomy":
            stage.ledger.full = how == "full"
        case "deleted":
            for part in file.parent.glob(f"{LEDGER_FILE}*"):
                part.unlink()
        case "saved":
            _copy_ledger(file.parent, _backup(stage))
        case "restored":
            _copy_ledger(_backup(stage), file.parent)
        case "torn":
            file.write_bytes(b"\0" * 4096)
        case _:
            with file.open("r+b") as content:
                content.seek(_SCHEMA_VERSION_AT)
                content.write((9999).to_bytes(4, "big"))


def _backup(stage: Stage) -> Path:
    """Where a user keeps a copy of the ledger: outside of the state directory."""
    folder = stage.root / "backup"
    folder.mkdir(exist_ok=True)
    return folder


def _copy_ledger(source: Path, target: Path) -> None:
    """The database and its journal as they are at this instant, in place of what is there."""
    for part in target.glob(f"{LEDGER_FILE}*"):
        part.unlink()
    for part in source.glob(f"{LEDGER_FILE}*"):
        shutil.copy(part, target)


def _pause(stage: Stage, target: str = "fleet") -> None:
    stage.write(Pause(target))
    stage.specs_changed()


def _accept_deletions(stage: Stage) -> None:
    """Raises KeyError, which is told, where none is held."""
    held = stage.last_view.plan.mass_deletion if stage.last_view is not None else None
    if held is None:
        raise KeyError("mass deletion")
    stage.write(AcceptDeletions(held.deletions))
    stage.nudge("command")


def _tombstone(stage: Stage, vm: str, how: str) -> None:
    if how == "purge":
        stage.wishes.purged.add(vm)
        stage.write(PurgeTombstones(vm))
    else:
        stage.write(KeepTombstones(vm, stage.clock.now() + stage.policy.tombstone_retention))
    stage.nudge("command")


def _unpause(stage: Stage, target: str = "fleet") -> None:
    stage.write(Resume(target))
    stage.specs_changed()


CONTROLLER_VERBS: Final = (
    Verb(
        "crash-controller [NAME]", "kill -9; it is started again; of several the one that leads", Stage.kill_controller
    ),
    Verb("stop-controller [NAME]", "it stops, and stays off; of several the one that leads", Stage.stop_controller),
    Verb("restart-controller [NAME]", "it stops where it runs, and starts", Stage.start_controller),
    Verb("second-controller", "another one on the same state directory", lambda stage: stage.second_controller()),
    Verb("crash-before METHOD [N]", "kill -9 before the n-th such call from now; any is every method", _crash_at),
    Verb("crash-during METHOD [N]", "kill -9 in the middle of an upload", _crash_during),
    Verb("crash-after METHOD [N]", "kill -9 once it was applied", _crash_after),
    Verb("ledger full|roomy|deleted|torn|newer|saved|restored", "what happens to the ledger's file", _ledger),
    Verb("clock-jump JUMP", "the wall clock is set forward or back", lambda stage, by: stage.clock.jump(by)),
    Verb("write FILE FILE", "a file of the specs becomes a copy of another of the scenario", _write),
    Verb("write-half FILE FILE", "as write, seen half-way", _write_half),
    Verb("remove FILE", "a file of the specs is removed", _remove),
    Verb("specs unmounted|gone|back", "the directory of the specs is empty, missing, or back", _specs),
    Verb("pause [TARGET]", "a user holds all changes, or those of one object", _pause),
    Verb("accept-deletions", "a user means all of a mass deletion that is held", _accept_deletions),
    Verb("tombstone VM keep|purge", "a user keeps what is kept of a removed VM for longer, or gives it up", _tombstone),
    Verb("unpause [TARGET]", "and lets them go on", _unpause),
    Verb(
        "download-cut IMAGE N", "so many downloads end half-way", lambda s, image, n: s.images.cut_downloads(image, n)
    ),
    Verb("image-changed IMAGE", "its file is another one", lambda stage, image: stage.images.change(image)),
    Verb(
        "image-broken IMAGE",
        "its file can't be used",
        lambda stage, image: stage.images.break_file(image, "not a qcow2 image"),
    ),
    Verb("image-mended IMAGE", "it can be used again", lambda stage, image: stage.images.break_file(image, "")),
)
