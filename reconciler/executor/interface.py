"""What the executor needs from others, and what it tells them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import BinaryIO, Literal, Protocol

from msgspec import Struct

from reconciler.model.image import Image
from reconciler.model.inventory import ImageFacts
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action
from reconciler.model.steps import SeedContent

FetchProgress = Callable[[int, int | None], None]
"""Called with bytes done so far and bytes in all, None while that is not known."""


class ImageSource(Protocol):
    """Images on the controller."""

    def facts(self, image: Image) -> ImageFacts:
        """What is known of the image without fetching it."""
        ...

    def fetch(self, image: Image, progress: FetchProgress, stop: threading.Event) -> ImageFacts:
        """Bring the image onto the controller, verified and inspected; one that is there already is fine.

        Raises ImageError; DownloadFailed also when `stop` was set, and what was fetched so far is kept.
        """
        ...

    def open(self, image: Image) -> tuple[BinaryIO, int]:
        """The verified content and its length in bytes; raises ImageError, also from the last read, if it changed."""
        ...

    def compressed(self, content: BinaryIO, stop: threading.Event, look: Callable[[int], None]) -> tuple[BinaryIO, int]:
        """The same qcow2 image, compressed, from its beginning, and its length in bytes; the caller closes it.

        `look` is told again and again how many bytes there are by now; what it raises ends this.

        Raises ImageError where it can't be, DownloadFailed where `stop` was set.
        """
        ...

    def seed_iso(self, content: SeedContent) -> bytes:
        """A NoCloud seed as an ISO image; the same content gives the same bytes."""
        ...


class ActionEvent(Struct, frozen=True):
    """An action began (`outcome` is None) or came to its end. `at` is wall time in seconds."""

    at: float
    pass_id: str
    action: Action
    phase: Literal["started", "done", "refused", "failed", "skipped", "handed-back"]
    outcome: Outcome | None = None


EventCallback = Callable[[ActionEvent], None]
"""Called from the thread that executes the plan, in order."""
ProgressCallback = Callable[[str, int, int | None], None]
"""Called from any thread with the action's id, bytes done so far and bytes in all."""
