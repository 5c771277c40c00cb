"""Every image of the specs: known, verified, and readable. What the rest of the program uses of this package."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from reconciler.clock import Clock, SystemClock
from reconciler.credentials.secret_store import SecretStore
from reconciler.credentials.seed_texts import with_secrets
from reconciler.errors import ChecksumMismatch, ImageError, SpecError
from reconciler.images import cloud_init
from reconciler.images.addresses import AddressPolicy, Lookup, system_lookup
from reconciler.images.cache import ImageCache
from reconciler.images.compress import Look, compressed
from reconciler.images.digest import VerifiedContent, algorithm_of, digest_of
from reconciler.images.digest_index import DigestIndex, KnownFile, identity_of
from reconciler.images.fetch import download
from reconciler.images.fetch_rules import FetchLimits, FetchRules, Progress, Wanted
from reconciler.images.file_lock import locked
from reconciler.images.inspect import ImageFormat, inspect, inspect_file, open_regular
from reconciler.images.places import is_within
from reconciler.images.refusals import ForbiddenPlace, ImageChanged, ImageTooLarge, ImageUnavailable
from reconciler.model.image import Image
from reconciler.model.inventory import ImageFacts
from reconciler.model.policy import Policy
from reconciler.model.steps import SeedContent

if TYPE_CHECKING:
    import ssl


class ImageStore:
    """Images on the controller. Safe to use from several threads and processes at once."""

    def __init__(
        self,
        state_dir: Path,
        policy: Policy,
        *,
        clock: Clock | None = None,
        secrets: SecretStore | None = None,
        limits: FetchLimits | None = None,
        lookup: Lookup = system_lookup,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._policy = policy
        self._secrets = secrets or SecretStore()
        self._cache = ImageCache(state_dir / "images")
        self._index = DigestIndex(self._cache.directory / "index.json", self._clock)
        self._rules = FetchRules(
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

    def compressed(self, content: BinaryIO, stop: threading.Event, look: Look) -> tuple[BinaryIO, int]:
        """As ImageSource.compressed."""
        return compressed(content, self._clock, stop, look)

    def virtual_size(self, path: Path, declared: ImageFormat) -> int:
        """Bytes that a disk made from the file has at least, for checks of specs; hashes nothing.

        Raises a subclass of UnsafeImage, or OSError where the file is not there or may not be read.
        """
        try:
            return self._virtual_size(path, declared)
        except ImageUnavailable as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise

    def _virtual_size(self, path: Path, declared: ImageFormat) -> int:
        with self._opened(path, str(path)) as file:
            known = self._index.recall(path, identity_of(os.fstat(file.fileno())))
            if declared in known.virtual_sizes:
                return known.virtual_sizes[declared]
            size = self._inspected(file, declared, str(path))
        known = known.model_copy(update={"virtual_sizes": known.virtual_sizes | {declared: size}})
        self._index.remember(path, known, ours=False)
        return size

    def open(self, image: Image) -> tuple[BinaryIO, int]:
        """The verified content and its length in bytes; the last read fails if the content is not the verified one.

        Raises as `fetch` does, and ImageUnavailable for an image that was not fetched.
        """
        facts = self._look(image)
        if facts.path is None or facts.digest is None:
            raise ImageUnavailable(f"{_subject(image)}: not on the controller yet", hint="fetch it first")
        path = Path(facts.path)
        with self._opened(path, _subject(image), ours=path.parent == self._cache.directory) as file:
            length = os.fstat(file.fileno()).st_size
            content = VerifiedContent(path, os.dup(file.fileno()), length, facts.digest, _subject(image))
        return cast("BinaryIO", content), length

    def seed_iso(self, content: SeedContent) -> bytes:
        """The NoCloud seed; the same bytes for the same content and secrets. Raises SecretError."""
        return cloud_init.seed_iso(with_secrets(content, self._secrets))

    def collect(self, used_digests: Collection[str]) -> tuple[str, ...]:
        """Remove cached files of images that are none of `used_digests`; returns the names removed."""
        removed = self._cache.collect(used_digests)
        self._index.forget_missing()
        return removed

    def _fetch(self, image: Image, wanted: Wanted, progress: Progress, stop: threading.Event) -> None:
        partial = self._cache.partial(wanted.digest, image.spec.format)
        download(self._rules, wanted, partial, progress, stop)
        try:
            found = inspect(
                partial.path,
                image.spec.format,
                max_virtual_size=self._policy.max_image_size,
                subject=wanted.subject,
            )
        except ImageError:
            partial.drop()
            raise
        path = self._cache.commit(wanted.digest, image.spec.format)
        self._index.remember(
            path,
            KnownFile(
                identity=identity_of(path.stat()),
                digests={algorithm_of(wanted.digest): wanted.digest},
                virtual_sizes={image.spec.format: found.virtual_size},
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
            self._rules.check_url(image.spec.source.url or "")
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
        with self._opened(path, _subject(image), ours=ours) as file:
            identity = identity_of(os.fstat(file.fileno()))
            known = self._index.recall(path, identity)
            if algorithm in known.digests and image.spec.format in known.virtual_sizes:
                return known
            known = self._read(image, file, known, algorithm)
            if identity_of(os.fstat(file.fileno())) != identity:
                raise ImageChanged(
                    f"{_subject(image)}: {path} changes while it is read", hint="wait until it is written"
                )
        self._index.remember(path, known, ours=ours)
        return known

    @contextmanager
    def _opened(self, path: Path, subject: str, *, ours: bool = False) -> Iterator[BinaryIO]:
        """The file, open; one that is not of our cache must be where the policy allows.

        What was opened is looked at, not what the path meant before: a link may be switched in between.
        """
        with open_regular(path, subject) as file:
            allowed = self._policy.image_directories
            if allowed and not ours and not is_within(file, path, allowed):
                raise ForbiddenPlace(
                    f"{subject}: {path} is in none of the folders that images may be in ({', '.join(allowed)})",
                    hint="put the image into one of them, or add its folder to imageDirectories in the configuration",
                )
            yield file

    def _read(self, image: Image, file: BinaryIO, known: KnownFile, algorithm: str) -> KnownFile:
        virtual_size = self._inspected(file, image.spec.format, _subject(image))
        try:
            digest = digest_of(file, os.fstat(file.fileno()).st_size, algorithm)
        except (EOFError, OSError) as error:
            raise ImageUnavailable(f"{_subject(image)}: the file can't be read to its end") from error
        return KnownFile(
            identity=known.identity,
            digests=known.digests | {algorithm: digest},
            virtual_sizes=known.virtual_sizes | {image.spec.format: virtual_size},
        )

    def _inspected(self, file: BinaryIO, declared: ImageFormat, subject: str) -> int:
        limit = self._policy.max_image_size
        return inspect_file(file, declared, max_virtual_size=limit, subject=subject).virtual_size


def _subject(image: Image) -> str:
    return f"Image/{image.name}"
