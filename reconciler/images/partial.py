"""A download that is not finished, and what is needed to go on with it."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, ValidationError

from reconciler.images.durable import replace_file
from reconciler.private_files import open_private


class Origin(BaseModel):
    """Where the bytes of a partial download come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    digest: str
    etag: str | None
    last_modified: str | None
    total: int | None
    """Bytes of the whole file, where the server said so."""

    @property
    def validator(self) -> str | None:
        """What `If-Range` may carry: a strong entity tag, else the date."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


class Partial(Struct, frozen=True):
    """The `.part` file and its sidecar; the sidecar is always there before the first byte."""

    path: Path

    @property
    def sidecar(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self, url: str, digest: str) -> Origin | None:
        """How to go on; None, and nothing left, where the part is stale or of something else."""
        origin = self._read_origin()
        if origin is not None and (origin.url, origin.digest) == (url, digest) and 0 < self.size <= _bound(origin):
            return origin
        self.drop()
        return None

    def begin(self, origin: Origin) -> None:
        """Start from nothing, with bytes of `origin` to come."""
        self.drop()
        replace_file(self.sidecar, origin.model_dump_json().encode())
        os.close(open_private(self.path))

    def drop(self) -> None:
        """Forget it all."""
        self.path.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)

    def _read_origin(self) -> Origin | None:
        try:
            return Origin.model_validate_json(self.sidecar.read_bytes())
        except (OSError, ValidationError):
            return None


def _bound(origin: Origin) -> float:
    return float("inf") if origin.total is None else origin.total
