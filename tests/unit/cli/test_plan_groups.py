"""What a plan does, gathered by object."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec.structs import replace

from reconciler.cli.plan_groups import by_object
from reconciler.model.plan import Why
from tests.unit.cli.plans import EVERY_ACTION, plan


@pytest.mark.parametrize("why", get_args(Why))
def test_every_reason_of_an_action_is_told_in_words(why: Why) -> None:
    made = replace(plan(), actions=(replace(EVERY_ACTION[0], why=why, after=()),))

    assert by_object(made)[0].why
