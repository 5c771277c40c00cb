"""Which versions of an image are kept for how long."""

from __future__ import annotations

from pydantic import Field, model_validator

from reconciler.model.resource import Model


class Retention(Model):
    """How many versions stay. Each rule picks its own, and what any of them picks stays.

    Days, weeks and so on count where there is a version of them, from the newest version backwards and never from
    today: a server that is not captured for a year loses none. All in UTC.
    """

    last: int = Field(default=0, ge=0)
    """The newest versions, so many."""
    hourly: int = Field(default=0, ge=0)
    """The newest version of each hour, for so many hours."""
    daily: int = Field(default=0, ge=0)
    """The newest version of each day, for so many days."""
    weekly: int = Field(default=0, ge=0)
    """The newest version of each week (ISO 8601, Monday first), for so many weeks."""
    monthly: int = Field(default=0, ge=0)
    """The newest version of each month, for so many months."""

    @model_validator(mode="after")
    def _keeps_something(self) -> Retention:
        if not (self.last or self.hourly or self.daily or self.weekly or self.monthly):
            raise ValueError("keeps nothing; write how many stay, such as {last: 7, daily: 14}, or leave it out")
        return self
