"""When something is due, as cron says it; always in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from reconciler.model.resource import Line

_FIELDS: Final = 5
_ADVICE: Final = "write minute, hour, day of month, month and day of week, such as 0 2 * * * (at 02:00 UTC every day)"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _checked_cron(value: str) -> str:
    count = len(value.split())
    if count != _FIELDS:
        fields = "1 field" if count == 1 else f"{count} fields"
        raise ValueError(f"{value!r} has {fields} and needs {_FIELDS}; {_ADVICE}")
    try:
        due = CronSim(value, _EPOCH)
    except CronSimError as error:
        problem = str(error)
        raise ValueError(f"{value!r}: {problem[:1].lower()}{problem[1:]}; {_ADVICE}") from error
    if next(due, None) is None:
        raise ValueError(f"{value!r} is never due; {_ADVICE}")
    return value


Cron = Annotated[
    Line,
    AfterValidator(_checked_cron),
    Field(json_schema_extra={"pattern": r"^\S+( +\S+){4}$", "examples": ["0 2 * * *"]}),
]
