"""The file of `plan --out`, which `apply --plan` carries out on just what it was decided from, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, ValidationError, convert, to_builtins

from reconciler.cli.plan_basis import Basis, basis_of
from reconciler.cli.plan_json import plan_json
from reconciler.daemon.view import View
from reconciler.errors import UsageError

_FORMAT: Final = 2
_AGAIN: Final = "make it again: reconciler plan DIR --out FILE"


class SavedPlan(Struct, frozen=True):
    """What of it is carried out, and on what."""

    fingerprint: str
    basis: Basis


def write_plan_file(path: Path, view: View) -> None:
    """Write the plan, whole or not at all, readable by its owner alone.

    Raises UsageError where it can't be written, or `path` is something else than a file: links are not followed.
    """
    data = {"file": _FORMAT, **plan_json(view.plan, view.inventory.unread), "basis": to_builtins(basis_of(view))}
    text = json.dumps({**data, "digest": _digest(data)}, ensure_ascii=False, indent=2) + "\n"
    try:
        _refuse_what_is_no_file(path)
        _replace_whole(path, text)
    except OSError as error:
        raise UsageError(f"{path}: the plan can't be written: {error.strerror}", hint="name another --out") from error


def read_plan_file(path: Path) -> SavedPlan:
    """Raises UsageError where it is no plan of this version, or not as it was written."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: the plan can't be read: {error.strerror}", hint=_AGAIN) from error
    except ValueError as error:
        raise UsageError(f"{path}: this is no plan, or only a part of one", hint=_AGAIN) from error
    if not isinstance(data, dict) or data.get("file") != _FORMAT or not isinstance(data.get("fingerprint"), str):
        raise UsageError(f"{path}: this is no plan of --out, or one of another version", hint=_AGAIN)
    if data.pop("digest", None) != _digest(data):
        raise UsageError(f"{path}: the plan was edited since it was written", hint=_AGAIN)
    try:
        return SavedPlan(data["fingerprint"], convert(data.get("basis"), Basis))
    except ValidationError as error:
        raise UsageError(f"{path}: the plan does not say what it was decided from", hint=_AGAIN) from error


def _digest(data: dict[str, Any]) -> str:
    """Against accidents: what people read in the file is what is carried out."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _refuse_what_is_no_file(path: Path) -> None:
    """Somebody else may have made a link in a shared folder; and /dev/null is not to be replaced by a plan."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        what = "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"
        raise UsageError(f"{path}: the plan is not written there: it is {what}", hint="name another --out")


def _replace_whole(path: Path, text: str) -> None:
    from tempfile import mkstemp  # noqa: PLC0415  for --out only

    descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
