"""Image: what root disks are made from."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from reconciler.model.resource import Line, Model, Resource

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


Checksum = Annotated[str, AfterValidator(_checked_checksum)]
ImageUrl = Annotated[Line, AfterValidator(_checked_url)]


class ImageSource(Model):
    """Where the image comes from: exactly one of these."""

    url: ImageUrl | None = None
    """Downloaded once by the controller; needs a checksum."""
    path: Line | None = None
    """A file on the controller, relative to the spec file."""

    @model_validator(mode="after")
    def _exactly_one(self) -> ImageSource:
        if (self.url is None) == (self.path is None):
            raise ValueError("name exactly one of url and path")
        return self


class ImageSpec(Model):
    """What the image is."""

    source: ImageSource
    """Where the image comes from."""
    checksum: Checksum | None = None
    """Digest of the file as fetched; required for `url`."""
    format: Literal["qcow2", "raw"]
    """Format of the file; declared, never guessed."""

    @model_validator(mode="after")
    def _checksum_for_url(self) -> ImageSpec:
        if self.source.url is not None and self.checksum is None:
            raise ValueError("a url needs a checksum: sha256:…, so that what is fetched is what was meant")
        return self


class Image(Resource):
    """A disk image that VMs' disks are made from."""

    kind: Literal["Image"]
    spec: ImageSpec
