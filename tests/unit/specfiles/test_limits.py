"""Limits are written with their units, and one that can't be meant is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.model.limits import Bandwidth, IoTune
from reconciler.model.quantities import format_rate, parse_rate


@pytest.mark.parametrize("text", ["1KiB/s", "10MiB/s", "3GiB/s"])
def test_a_rate_is_read_as_it_is_written(text: str) -> None:
    assert format_rate(parse_rate(text)) == text


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("10MiB", "write 10MiB/s"),
        ("10MB/s", "write 10MiB/s"),
        ("100Mbit/s", "bytes a second"),
        (100, "such as 10MiB/s"),
    ],
)
def test_a_rate_without_its_unit_is_refused_with_what_to_write(text: object, advice: str) -> None:
    with pytest.raises(ValueError, match="is not a rate") as refused:
        parse_rate(text)

    assert advice in str(refused.value)


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"totalBytes": "1MiB/s", "readBytes": "1MiB/s"}, "leave it, or readBytes"),
        ({"totalIops": 5, "writeIops": 5}, "leave it, or readIops"),
        ({}, "limits nothing"),
        ({"totalIops": 0}, "greater than or equal to 1"),
        ({"totalBytes": "0KiB/s"}, "greater than or equal to 1"),
    ],
)
def test_io_limits_that_contradict_each_other_are_refused(limits: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        IoTune.model_validate(limits)


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({}, "limits nothing"),
        ({"inbound": {"average": "2MiB/s", "peak": "1MiB/s"}}, "peak is less than average"),
        ({"outbound": {"peak": "1MiB/s"}}, "average"),
    ],
)
def test_a_bandwidth_that_says_nothing_or_contradicts_itself_is_refused(limits: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Bandwidth.model_validate(limits)
