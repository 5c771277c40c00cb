"""The text of a plan."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from msgspec.structs import replace

from reconciler.cli.plan_json import plan_json
from reconciler.cli.plan_lines import Detail
from reconciler.cli.plan_markdown import plan_markdown
from reconciler.cli.render_plan import PlanPage, render_plan
from reconciler.cli.terminal import Terminal
from reconciler.model.plan import FieldChange, Plan, Summary, Unmet, UnmetReason
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import MigrateDomain, MigrationRules, Step, StopDomain
from tests.conftest import Golden
from tests.unit.cli.plans import EVERY_ACTION, NOW, SECRET, UNREAD, UUID, action, plan
from tests.unit.cli.reasons import EVERY_REASON, unmet

_PLAIN = Terminal()
_IMAGES = {("web-3", "root"): "debian-12"}


def page(made: Plan, *unread: object) -> PlanPage:
    return PlanPage(plan=made, at=NOW, images=_IMAGES, unread=(UNREAD,) if unread else ())


FULL = plan(*EVERY_ACTION, unmet=EVERY_REASON, summary=Summary(4, 6, 2, 0, 6, 12, 41), unseen=("h4",))
DETAILS: tuple[Detail, ...] = ("short", "normal", "verbose")


@pytest.mark.parametrize("detail", DETAILS)
def test_every_action_and_every_reason_reads_as_in_the_golden_file(detail: Detail, golden: Golden) -> None:
    text = render_plan(page(FULL, UNREAD), _PLAIN, detail=detail)

    golden(f"plan-{detail}.txt", text)


def test_markdown_reads_as_in_the_golden_file(golden: Golden) -> None:
    text = plan_markdown(page(FULL, UNREAD))

    golden("plan.md", text)


def test_the_golden_plan_holds_every_kind_of_step_and_every_reason() -> None:
    """Otherwise the golden files would not be the whole language."""
    steps = {type(action.step) for action in EVERY_ACTION}
    reasons = {item.reason for item in EVERY_REASON}

    assert steps == set(get_args(Step))
    assert reasons == set(get_args(UnmetReason))


@pytest.mark.parametrize("detail", DETAILS)
def test_no_line_ends_in_spaces(detail: Detail) -> None:
    lines = render_plan(page(FULL, UNREAD), _PLAIN, detail=detail).splitlines()

    assert [line for line in lines if line != line.rstrip()] == []


def test_the_first_character_says_what_a_line_is() -> None:
    lines = render_plan(page(FULL, UNREAD), _PLAIN).splitlines()

    assert {line[0] for line in lines if line} == set("+~-→!·? P")


def test_our_bookkeeping_is_hidden_unless_it_is_all_that_changes() -> None:
    mark = FieldChange("applied spec", "0a", "0b", "none")
    memory = FieldChange("memory", "2GiB", "4GiB", "reboot")
    redefine = next(action for action in EVERY_ACTION if action.kind == "redefine-domain")

    beside = render_plan(page(plan(replace(redefine, changes=(memory, mark)))), _PLAIN)
    alone = render_plan(page(plan(replace(redefine, changes=(mark,)))), _PLAIN)

    assert "applied spec" not in beside
    assert "applied spec: 0a → 0b" in alone


def test_fields_that_wait_for_the_restart_of_what_is_staged_are_told_once() -> None:
    redefine = next(action for action in EVERY_ACTION if action.kind == "redefine-domain")
    waiting = Unmet(redefine.target, "restart-pending", "staged", changes=redefine.changes)

    text = render_plan(page(plan(redefine, unmet=(waiting,))), _PLAIN)

    assert text.count("memory: 2GiB → 4GiB") == 1


def test_secrets_of_a_seed_are_never_shown() -> None:
    texts = [render_plan(page(FULL), _PLAIN, detail=detail) for detail in DETAILS] + [plan_markdown(page(FULL))]

    assert not any(SECRET in text for text in texts)


def test_an_empty_plan_says_that_nothing_changes() -> None:
    text = render_plan(page(plan()), _PLAIN)

    assert text == "Plan 5d1e07a: no change · 41 unchanged · specs 7f3c9a1\n"


def test_an_empty_plan_beside_a_host_that_was_not_seen_does_not_claim_that_nothing_changes() -> None:
    text = render_plan(page(plan(unseen=("h4",)), UNREAD), _PLAIN)

    assert "Plan 5d1e07a: no change on the hosts that could be seen" in text
    assert "its VMs are unknown, not absent" in " ".join(text.split())


def test_colour_changes_nothing_but_colour() -> None:
    coloured = render_plan(page(FULL, UNREAD), Terminal(colour=True))

    stripped = "\n".join(line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", coloured).splitlines())
    assert stripped + "\n" == render_plan(page(FULL, UNREAD), _PLAIN)


def test_a_narrow_terminal_gets_no_line_wider_than_it_except_names_and_fields() -> None:
    lines = render_plan(page(FULL, UNREAD), Terminal(width=80)).splitlines()

    assert [line for line in lines if len(line) > 80 and not line.startswith(("Plan", "+", "~", "-"))] == []


def test_control_characters_from_hosts_never_reach_the_terminal() -> None:
    hostile = Unmet(EVERY_REASON[0].target, "failed", "no\x1b[2Jspace\nleft", hint="look\rhere")

    text = render_plan(page(plan(unmet=(hostile,))), _PLAIN)

    assert "\x1b" not in text
    assert "\r" not in text
    assert "no [2Jspace left" in text


def test_the_same_news_of_many_objects_is_one_entry_unless_all_is_asked_for() -> None:
    change = FieldChange("disks[root].image", "old", "new", "rebuild")
    made_before = "disk root was made from another image than tiny is now, and stays as it is"
    news = [
        unmet(f"VirtualMachine/web-{n}", "immutable", made_before, severity="info", host=f"h{n % 2}", changes=(change,))
        for n in range(8)
    ]
    blocked = [unmet(f"VirtualMachine/db-{n}", "no-room", "full", severity="blocked", host="h1") for n in range(2)]

    text = render_plan(page(plan(unmet=(*news, *blocked))), _PLAIN)

    assert text.count("was made from another image") == 1
    assert text.count("disks[root].image") == 1
    assert "· VirtualMachine/web-0,web-1,… (8)  h0,h1  immutable" in text
    assert text.count("blocked: no room") == 2
    told_in_full = render_plan(page(plan(unmet=(*news, *blocked))), _PLAIN, detail="verbose")
    assert told_in_full.count("was made from another image") == 8


def test_what_a_spec_says_calls_nobody_and_ends_no_fence_in_a_comment() -> None:
    """Anybody who may open a pull request writes names and titles into the comment that a machine account makes."""
    hostile = "````\n</details> @everyone fixes #1 **bold** [look](https://evil.example) <img src=x>"
    changed = replace(EVERY_ACTION[0], changes=(FieldChange("title", "", hostile, "live"),))

    table, _, folded = plan_markdown(page(plan(changed))).partition("<details>")

    assert not re.search(r"@\w|[^&]#\d|[^\\]\*\*bold|[^\\]\[look|<img|https://|(?<!\\)````", table.split("what |")[1])
    assert folded.count("`````text\n") == 1


def test_a_plan_of_thousands_fits_into_one_comment_and_says_how_much_is_left_out() -> None:
    many = tuple(
        replace(EVERY_ACTION[0], id=f"a-{n}", target=ObjectRef("VirtualMachine", f"web-{n}")) for n in range(4000)
    )
    blocked = tuple(unmet(f"VirtualMachine/db-{n}", "no-host-fits", "no room " * 9) for n in range(2000))

    text = plan_markdown(page(plan(*many, unmet=blocked), UNREAD))

    assert len(text) <= 65_536
    assert text.count("more: `reconciler plan --verbose`") == 3
    assert text.count("<details>") == text.count("</details>") == 1


def test_a_move_for_balance_tells_what_it_gains_in_text_and_markdown_and_to_programs() -> None:
    gain = "to even out: h1 75 → 56.2 % of memory, h2 0 → 18.8 % of memory"
    step = MigrateDomain("web-1", UUID, "h1", "h2", 2, "qemu+ssh://h2.example/system", MigrationRules(1200.0, 30.0))
    move = action("VirtualMachine/web-1", step, sign="move", why="balance", host="h2", disruption="migrate")
    balanced = plan(replace(move, detail=f"move from h1: {gain}"))

    assert f"move from h1 while it runs, {gain}" in render_plan(page(balanced), Terminal(width=200))
    assert f"| move from h1 while it runs, {gain} |" in plan_markdown(page(balanced))
    assert gain in plan_json(balanced, {})["actions"][0]["detail"]


def test_a_vm_that_a_drain_shuts_down_is_said_to_stay_off() -> None:
    stop = action("VirtualMachine/web-1", StopDomain("web-1", UUID, 120.0, force=True), sign="change", why="drain")
    drained = plan(replace(stop, detail="shut down until h1 is active again: no other host takes it"))

    assert "shut down within 2m, else force off, until h1 is active again: no other host takes it" in render_plan(
        page(drained), Terminal(width=200)
    )


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            MigrationRules(120.0, 30.0, fallback="pause"),
            "while it runs; not there within 2m, its guest stands still until it is, for 2m more at the most",
        ),
        (
            MigrationRules(120.0, 30.0, post_copy=True),
            "while it runs, by post-copy if its memory does not come to an end",
        ),
    ],
)
def test_what_is_done_to_a_guest_that_writes_a_lot_is_told_beforehand(rules: MigrationRules, told: str) -> None:
    step = MigrateDomain("web-1", UUID, "h1", "h2", 2, "qemu+ssh://h2.example/system", rules)
    move = action("VirtualMachine/web-1", step, sign="move", why="drain", host="h2", disruption="migrate")

    assert told in render_plan(page(plan(move)), Terminal(width=200))
