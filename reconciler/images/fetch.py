"""Downloads an image into its partial file, resuming where it can, until its digest is the declared one."""

from __future__ import annotations

import threading
from typing import Final

from reconciler.errors import DownloadFailed, ImageError
from reconciler.images.attempt import Attempt
from reconciler.images.durable import storage_errors
from reconciler.images.fetch_rules import FetchRules, Progress, Wanted
from reconciler.images.partial import Partial
from reconciler.images.refusals import CacheFull, DownloadCancelled

_LONGEST_WAIT: Final = 2.0  # seconds between attempts, so that a stop is noticed soon


def download(rules: FetchRules, wanted: Wanted, partial: Partial, progress: Progress, stop: threading.Event) -> None:
    """Leave the whole file, with the declared digest, in `partial`.

    Raises ChecksumMismatch, DownloadFailed (trying again may help, and resumes), ImageTooLarge, AddressRefused,
    ImageUnavailable, StateError.
    """
    try:
        rules.check_url(wanted.url)
        with storage_errors(partial.path.parent):
            _until_no_progress(rules, wanted, partial, progress, stop)
    except ImageError as error:
        raise type(error)(f"{wanted.subject}: {error.message}", hint=error.hint) from error


def _until_no_progress(
    rules: FetchRules, wanted: Wanted, partial: Partial, progress: Progress, stop: threading.Event
) -> None:
    """A bad line is no reason to give up as long as it brings something."""
    farthest = partial.size
    while True:
        try:
            return _with_retries(rules, wanted, partial, progress, stop)
        except DownloadFailed as error:
            if not _worth_retrying(error) or partial.size < farthest + rules.limits.stall_bytes:
                raise
            farthest = partial.size


def _with_retries(
    rules: FetchRules, wanted: Wanted, partial: Partial, progress: Progress, stop: threading.Event
) -> None:
    import stamina  # noqa: PLC0415  # 10 ms that only a download needs

    for attempt in stamina.retry_context(
        on=_worth_retrying,
        attempts=rules.limits.attempts,
        timeout=None,
        wait_initial=rules.limits.backoff,
        wait_max=_LONGEST_WAIT,
        wait_jitter=rules.limits.backoff,
    ):
        with attempt:
            if stop.is_set():
                raise DownloadCancelled("the download was stopped")
            Attempt(rules, wanted, partial, progress, stop).run()


def _worth_retrying(error: Exception) -> bool:
    return isinstance(error, DownloadFailed) and not isinstance(error, DownloadCancelled | CacheFull)
