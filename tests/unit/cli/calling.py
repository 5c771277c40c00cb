"""The command line, called as from a shell."""

from __future__ import annotations

from click.testing import CliRunner, Result

from reconciler.cli.app import app
from reconciler.cli.outside import Outside
from reconciler.model.plan import Summary
from tests.unit.cli.plans import EVERY_ACTION, plan
from tests.unit.cli.worlds import FakeSession, doors, look

CHANGES = look(plan(*EVERY_ACTION, summary=Summary(3, 4, 2, 0, 0, 0, 41)))
EMPTY = look()


def invoke(*arguments: object, onto: FakeSession | Outside | None = None, typed: str | None = None) -> Result:
    """Run `reconciler ARGUMENTS` on a session or other doors; `typed` is its standard input."""
    outside = doors(onto) if isinstance(onto, FakeSession) else onto
    return CliRunner().invoke(app, [str(argument) for argument in arguments], obj=outside, input=typed)
