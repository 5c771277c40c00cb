"""Image: what root disks are made from, fetched or captured from a VM."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from reconciler.model.cron import Cron
from reconciler.model.drill import Drill
from reconciler.model.quantities import Size
from reconciler.model.resource import Items, Line, Model, Name, Resource
from reconciler.model.retention import Retention

_OTHER_SOURCES: Final = 2
_OF_CAPTURES: Final = frozenset(
    {"pool", "quiesce", "bandwidth", "compression", "schedule", "retention", "full_every", "drill"}
)
_CHECKSUM: Final = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


def _checked_checksum(value: str) -> str:
    if _CHECKSUM.fullmatch(value):
        return value
    raise ValueError("write sha256:<64 hex digits> or sha512:<128 hex digits>; weaker algorithms are refused")


def _checked_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise ValueError("credentials in a URL would be shown in logs; serve the image without them")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("only https:// URLs are fetched (http:// where the controller's policy allows it)")
    return value


Quiesce = Literal["prefer", "require", "never"]
Checksum = Annotated[str, AfterValidator(_checked_checksum)]
ImageUrl = Annotated[Line, AfterValidator(_checked_url)]


class ImageSource(Model):
    """Where the image comes from: exactly one of these."""

    url: ImageUrl | None = None
    """Downloaded once by the controller; needs a checksum."""
    path: Line | None = None
    """A file on the controller, relative to the spec file."""
    vm: Name | None = None
    """Captured from this VM, a version each time."""
    disks: Items[Name] = ()
    """Which of its disks; all of them when empty."""

    @model_validator(mode="after")
    def _exactly_one(self) -> ImageSource:
        if [self.url, self.path, self.vm].count(None) != _OTHER_SOURCES:
            raise ValueError("name exactly one of url, path and vm")
        if self.disks and self.vm is None:
            raise ValueError("disks are those of the VM that vm names; an image of a url or path has none")
        if len(set(self.disks)) != len(self.disks):
            raise ValueError("a disk is named twice; name each once")
        return self


class ImageSpec(Model):
    """What the image is."""

    source: ImageSource
    """Where the image comes from."""
    checksum: Checksum | None = None
    """Digest of the file as fetched; required for `url`."""
    format: Literal["qcow2", "raw"] = "qcow2"
    """Format of the file; declared, never guessed. What is captured from a VM is qcow2."""
    pool: Name | None = None
    """Where the versions of a captured image are kept: a pool of files, of any host."""
    quiesce: Quiesce = "prefer"
    """Whether the guest's agent has its file systems stand still for the moment of the capture: `require` captures
    nothing where it does not, `prefer` goes on without and records it, `never` does not ask."""
    bandwidth: Size | None = None
    """Bytes that a capture may copy in a second, such as `100MiB`; as many as there is room for when absent."""
    compression: Literal["none", "zstd"] = "none"
    """Whether versions are stored compressed, once the guest is let go; that takes the controller's CPU."""

    schedule: Cron | None = None
    """When it is captured, as cron has it and in UTC: `0 2 * * *` is at two every night. Runs that were missed are made
    up for by one. When absent it is captured once, and then by `reconciler image capture`."""
    retention: Retention | None = None
    """Which versions stay; all of them when absent."""
    full_every: int = Field(default=1, ge=1, le=1000)
    """Of so many versions in a row one is a full copy, and the others hold the difference to the one before them, where
    QEMU keeps track of that: `7` with a schedule of every night is one a week. A version goes only after those that
    rest on it; restoring reads all of them. `1` makes each a full copy."""
    drill: Drill | None = None
    """Boots the newest version now and then, as a throw-away VM that can reach nobody, to see that it works."""

    @model_validator(mode="after")
    def _checksum_for_url(self) -> ImageSpec:
        if self.source.url is not None and self.checksum is None:
            raise ValueError("a url needs a checksum: sha256:…, so that what is fetched is what was meant")
        return self

    @model_validator(mode="after")
    def _of_a_vm_or_a_file(self) -> ImageSpec:
        if self.source.vm is None:
            if "format" not in self.model_fields_set:
                raise ValueError("format is missing: write qcow2 or raw, whichever the file is")
            given = sorted(to_camel(name) for name in self.model_fields_set & _OF_CAPTURES)
            if given:
                raise ValueError(f"{given[0]} is for images that are captured from a VM (source.vm)")
            return self
        if self.pool is None:
            raise ValueError("an image that is captured from a VM needs a pool for its versions")
        if self.checksum is not None:
            raise ValueError("the checksum of what is captured is recorded with each version; leave it out")
        if self.format != "qcow2":
            raise ValueError("what is captured from a VM is stored as qcow2; leave format out")
        return self

    @property
    def is_captured(self) -> bool:
        """Whether it has versions, rather than one file."""
        return self.source.vm is not None


class Image(Resource):
    """A disk image that VMs' disks are made from."""

    kind: Literal["Image"]
    spec: ImageSpec
