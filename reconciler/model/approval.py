"""A committed word for what the policy asks to be approved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from reconciler.model.resource import Items, Line, Model, Resource

ApprovedDisruption = Literal["reboot", "rebuild", "destroy", "data-loss"]
_FORMATS: Final = ("%Y-%m-%d", "%Y-%m-%dT%H:%MZ")


def _instant(value: str) -> str:
    _seconds(value)
    return value


def _seconds(value: str) -> float:
    for form in _FORMATS:
        try:
            return datetime.strptime(value, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    raise ValueError(f"{value!r} is no instant; write 2026-12-01, or 2026-12-01T18:00Z")


Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Instant = Annotated[Line, AfterValidator(_instant)]


class ApprovalSpec(Model):
    """What is approved, and by whom."""

    fingerprints: Items[Fingerprint] = Field(min_length=1)
    """Of the changes that are let through, as `plan` tells them. Each is of one object, as its spec is now: a later
    change of that object needs another."""
    approved_by: Line = ""
    """Who answers for it; for people."""
    reason: Line = ""
    """Why; for people."""
    expires: Instant | None = None
    """From when on it does not count any more, in UTC: `2026-12-01` or `2026-12-01T18:00Z`. For ever when absent, so
    take it out of the specs once it has served."""

    def counts(self, now: float) -> bool:
        """Whether it does still; `now` is wall time in seconds."""
        return self.expires is None or now < _seconds(self.expires)


class Approval(Resource):
    """Lets changes through that `requireApproval` of the configuration holds back."""

    kind: Literal["Approval"]
    spec: ApprovalSpec
