"""What is told of a migration that is over: how it went, or why its VM stayed and what would help."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from reconciler.errors import HostError
from reconciler.model.migration import MigrationJob
from reconciler.model.steps import MigrateDomain

_NO_CERTIFICATE: Final = re.compile(
    r"Unable to access credentials (?P<file>[^\s:]+)|TLS (?:credentials|x509|cert)|x509"
)
LATE: Final = "more migration.bandwidth, a longer deadlinePerGib, postCopy or another fallback would help"
"""What helps where a guest's memory does not come to an end."""


class WhyStayed(Struct, frozen=True):
    """Why a VM is where it was, and what to do about it."""

    reason: str
    hint: str = ""


def how_it_went(step: MigrateDomain, job: MigrationJob | None, seconds: float, *, is_switched: bool) -> str:
    """One line for people; empty for what was off, as its action says that. `seconds`: since it was begun."""
    if step.cold:
        return ""
    how = " by post-copy" if is_switched else ""
    sealed = ", encrypted" if step.rules.tls else ""
    if job is None or job.downtime is None:
        return f"moved in {max(0.0, seconds):.1f} s{how}{sealed}"
    return f"moved in {job.elapsed:.1f} s{how}, stood still for {job.downtime * 1000:.0f} ms{sealed}"


def why_stayed(step: MigrateDomain, failure: HostError | None) -> WhyStayed:
    """In libvirt's words; about certificates these don't say which policy asks for them, or of which hosts."""
    if failure is None:
        return WhyStayed("libvirt's job ended without it")
    found = _NO_CERTIFICATE.search(failure.message) if step.rules.tls else None
    if found is None:
        return WhyStayed(failure.message, failure.hint)
    lacking = found["file"] or "a certificate that the other one takes"
    return WhyStayed(
        f"migration.tls is on, and {step.source} or {step.target} lacks {lacking} ({failure.message})",
        f"put it there for the user that QEMU runs as, then: reconciler resume VirtualMachine/{step.domain}",
    )
