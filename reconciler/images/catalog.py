"""Every image of the specs: known, verified, and readable. What the rest of the program uses of this package."""

from __future__ import annotations

import io
import os
import ssl
import threading
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, Final

from reconciler.clock import Clock, SystemClock
from reconciler.errors import ChecksumMismatch, ImageError, SpecError
from reconciler.images import cloud_init
from reconciler.images.addresses import AddressPolicy, Lookup, system_lookup
from reconciler.images.cache import ImageCache
from reconciler.images.digest import VerifiedContent, algorithm_of, digest_of
from reconciler.images.digest_index import DigestIndex, KnownFile, identity_of
from reconciler.images.fetch import Fetcher, FetchLimits, Progress, Wanted
from reconciler.images.file_lock import locked
from reconciler.images.inspect import inspect, open_regular
from reconciler.images.refusals import ImageChanged, ImageTooLarge, ImageUnavailable
from reconciler.model.image import Image
from reconciler.model.inventory import ImageFacts
from reconciler.model.policy import Policy
from reconciler.model.steps import SeedContent

_READ_AHEAD: Final = 1 << 20


class ImageStore:
    """Images on the controller. Safe to use from several threads and processes at once."""

    def __init__(
        self,
        state_dir: Path,
        policy: Policy,
        *,
        clock: Clock | None = None,
        limits: FetchLimits | None = None,
        lookup: Lookup = system_lookup,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._policy = policy
        self._cache = ImageCache(state_dir / "images")
        self._index = DigestIndex(self._cache.directory / "index.json", self._clock)
        self._fetcher = Fetcher(
            addresses=AddressPolicy(allow_private=policy.allow_private_addresses, lookup=lookup),
            allow_http=policy.allow_http,
            max_size=policy.max_image_size,
            clock=self._clock,
            limits=limits or FetchLimits(),
            context=context,
        )

    def facts(self, image: Image) -> ImageFacts:
        """What is known without the network; reads a whole file only if it is new or changed since the last time.

        Never raises for what is wrong with the image: that is in `error`.
        """
        try:
            return self._look(image)
        except (ImageError, SpecError) as error:
            digest = image.spec.checksum
            return ImageFacts(image.name, digest, cached=False, virtual_size=None, error=str(error))

    def fetch(self, image: Image, progress: Progress, stop: threading.Event) -> ImageFacts:
        """Bring the image onto the controller, verified and inspected; nothing to do for one that is there.

        Raises DownloadFailed (trying again may help), ChecksumMismatch, a subclass of UnsafeImage, ImageUnavailable,
        AddressRefused, StateError.
        """
        url, digest = image.spec.source.url, image.spec.checksum
        if url is None or digest is None:
            return self._look(image)
        self._cache.prepare()
        with locked(self._cache.lock(digest, image.spec.format), self._clock, stop):
            facts = self._look_in_cache(image, digest)
            if not facts.cached:
                self._fetch(image, Wanted(_subject(image), url, digest), progress, stop)
                facts = self._look_in_cache(image, digest)
        return facts

    def open(self, image: Image) -> tuple[BinaryIO, int]:
        """The verified content and its length in bytes; the last read fails if the content is not the verified one.

        Raises as `fetch` does, and ImageUnavailable for an image that was not fetched.
        """
        facts = self._look(image)
        if facts.path is None or facts.digest is None:
            raise ImageUnavailable(f"{_subject(image)}: not on the controller yet", hint="fetch it first")
        path = Path(facts.path)
        with open_regular(path, _subject(image)) as file:
            length = os.fstat(file.fileno()).st_size
            content = VerifiedContent(path, os.dup(file.fileno()), length, facts.digest, _subject(image))
        return io.BufferedReader(content, _READ_AHEAD), length

    def seed_iso(self, content: SeedContent) -> bytes:
        """The NoCloud seed; the same bytes for the same content."""
        return cloud_init.seed_iso(content)

    def collect(self, used_digests: Collection[str]) -> tuple[str, ...]:
        """Remove cached files of images that are none of `used_digests`; returns the names removed."""
        removed = self._cache.collect(used_digests)
        if removed:
            self._index.forget_missing()
        return removed

    def _fetch(self, image: Image, wanted: Wanted, progress: Progress, stop: threading.Event) -> None:
        partial = self._cache.partial(wanted.digest, image.spec.format)
        self._fetcher.download(wanted, partial, progress, stop)
        try:
            found = self._inspect(image, partial.path)
        except ImageError:
            partial.drop()
            raise
        path = self._cache.commit(wanted.digest, image.spec.format)
        self._index.remember(
            path,
            KnownFile(
                identity=identity_of(path.stat()),
                digests={algorithm_of(wanted.digest): wanted.digest},
                virtual_sizes={image.spec.format: found},
            ),
            ours=True,
        )

    def _look(self, image: Image) -> ImageFacts:
        source = image.spec.source
        if source.url is not None and image.spec.checksum is not None:
            return self._look_in_cache(image, image.spec.checksum)
        path = Path(source.path or "")
        if not path.is_absolute():
            raise SpecError(
                f"{_subject(image)}: path {source.path!r} is relative and nothing says to what",
                hint="write an absolute path, or one relative to the spec file",
            )
        return self._facts_of_file(image, path, ours=False)

    def _look_in_cache(self, image: Image, digest: str) -> ImageFacts:
        self._check_url(image)
        path = self._cache.path(digest, image.spec.format)
        if not path.exists():
            return ImageFacts(image.name, digest, cached=False, virtual_size=None)
        try:
            return self._facts_of_file(image, path, ours=True)
        except ChecksumMismatch:  # damaged since it was verified: to be fetched again
            return ImageFacts(image.name, digest, cached=False, virtual_size=None)

    def _check_url(self, image: Image) -> None:
        try:
            self._fetcher.check_url(image.spec.source.url or "")
        except ImageError as error:
            raise type(error)(f"{_subject(image)}: {error.message}", hint=error.hint) from error

    def _facts_of_file(self, image: Image, path: Path, *, ours: bool) -> ImageFacts:
        declared = image.spec.checksum
        algorithm = algorithm_of(declared or "sha256:")
        known = self._known(image, path, algorithm, ours=ours)
        digest = known.digests[algorithm]
        if declared not in (None, digest):
            raise ChecksumMismatch(
                f"{_subject(image)}: {path} is {digest}, the spec declares {declared}",
                hint="correct the file or the checksum in the spec",
            )
        size = known.virtual_sizes[image.spec.format]
        if size > self._policy.max_image_size:
            raise ImageTooLarge(f"{_subject(image)}: describes a disk larger than policy allows")
        return ImageFacts(image.name, digest, cached=True, virtual_size=size, path=str(path))

    def _known(self, image: Image, path: Path, algorithm: str, *, ours: bool) -> KnownFile:
        """What the file is, from memory where it has not changed; completed by reading where something is missing."""
        with open_regular(path, _subject(image)) as file:
            identity = identity_of(os.fstat(file.fileno()))
            known = self._index.recall(path, identity)
            if algorithm in known.digests and image.spec.format in known.virtual_sizes:
                return known
            virtual_size = self._inspect(image, path)
            try:
                digest = digest_of(file, identity[2], algorithm)
            except (EOFError, OSError) as error:
                raise ImageUnavailable(f"{_subject(image)}: can't read {path} to its end") from error
            if identity_of(os.fstat(file.fileno())) != identity:
                raise ImageChanged(
                    f"{_subject(image)}: {path} changes while it is read", hint="wait until it is written"
                )
        known = KnownFile(
            identity=identity,
            digests=known.digests | {algorithm: digest},
            virtual_sizes=known.virtual_sizes | {image.spec.format: virtual_size},
        )
        self._index.remember(path, known, ours=ours)
        return known

    def _inspect(self, image: Image, path: Path) -> int:
        limit = self._policy.max_image_size
        return inspect(path, image.spec.format, max_virtual_size=limit, subject=_subject(image)).virtual_size


def _subject(image: Image) -> str:
    return f"Image/{image.name}"
