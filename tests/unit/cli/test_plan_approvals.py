"""What a plan prints to be approved is what has to be committed."""

from __future__ import annotations

import re
import textwrap

import yaml
from msgspec.structs import replace

from reconciler.cli.command_line import BARE
from reconciler.cli.plan_markdown import plan_markdown
from reconciler.cli.plan_page import page_of
from reconciler.cli.render_plan import render_plan
from reconciler.cli.terminal import Terminal
from reconciler.model.approval import Approval
from tests.support.fleets import Story
from tests.unit.cli.test_why_of_drained_hosts import view
from tests.unit.planner.test_approvals import removed


def approving(fleet: Story, document: str) -> Story:
    approval = Approval.model_validate(yaml.safe_load(document))
    return replace(fleet, specs=replace(fleet.specs, approvals={approval.name: approval}))


def test_the_text_holds_the_document_that_lets_it_go() -> None:
    fleet = removed()
    text = render_plan(page_of(view(fleet), BARE), Terminal(width=200))

    document = textwrap.dedent(text.partition("whatever its name:\n")[2].partition("\n\n")[0])

    assert "waits for somebody's approval" in text
    assert not approving(fleet, re.sub("^      ", "", document, flags=re.MULTILINE)).plan().empty


def test_so_does_the_comment_on_a_pull_request() -> None:
    fleet = removed()
    text = plan_markdown(page_of(view(fleet), BARE))

    found = re.search(r"To approve, commit:\n\n````yaml\n(.*?)````", text, flags=re.DOTALL)

    assert found is not None
    assert not approving(fleet, found[1]).plan().empty
