"""Each invariant about versions, and a plan that breaks it."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.identity import version_manifest
from reconciler.model.plan import Action
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DeleteVersion
from reconciler.model.version import ImageVersion
from reconciler.planner.plan_check import check
from tests.support.fleets import FLEET, POLICY, Story, observed, vm
from tests.support.fleets import story as fleet_story
from tests.support.versions import IMAGE, at, captured_image, nightly, story, version

_TODAY = at("2026-11-23T12:00Z")


def delete(each: ImageVersion, *, name: str = "x", after: tuple[str, ...] = (), volume: str = "") -> Action:
    manifest = version_manifest(FLEET, each.image, each.stamp)
    volumes = (volume,) if volume else tuple(disk.volume for disk in each.disks)
    return Action(
        id=name,
        kind="delete-version",
        sign="destroy",
        target=ObjectRef("Image", IMAGE),
        host="h1",
        why="retention",
        detail="",
        disruption="none",
        step=DeleteVersion(each.image, each.stamp, "vms", manifest, volumes),
        after=after,
    )


def violations(told: Story, *actions: Action) -> str:
    made = replace(told.plan(), actions=actions)
    return "\n".join(check(made, told.specs, told.inventory, told.ledger, POLICY))


def test_what_another_version_rests_on_does_not_go_before_it() -> None:
    full, increment = version("2026-11-21T02:00Z"), version("2026-11-22T02:00Z", "2026-11-21T02:00Z")
    told = story((full, increment, version("2026-11-23T02:00Z")), captured_image(), now=_TODAY)

    assert violations(told, delete(increment), delete(full, name="y", after=("x",))) == ""
    assert "rests on" in violations(told, delete(full))


def test_the_last_version_of_a_declared_image_stays() -> None:
    only = nightly("2026-11-23T02:00Z", 1)

    assert "every version" in violations(story(only, captured_image(), now=_TODAY), delete(only[0]))
    assert violations(story(only, now=_TODAY), delete(only[0])) == ""


def test_only_files_of_that_version_go() -> None:
    two = nightly("2026-11-23T02:00Z", 2)

    assert "no part of that version" in violations(
        story(two, captured_image(), now=_TODAY), delete(two[0], volume=two[1].disks[0].volume)
    )


def test_a_file_that_a_domain_has_stays() -> None:
    two = nightly("2026-11-23T02:00Z", 2)
    told = story(two, captured_image(), now=_TODAY)
    config = fleet_story(vm("other")).converged().domain("other").config
    disk = replace(config.disks[0], path=f"/elsewhere/{two[0].disks[0].volume}")
    using = told.with_host("h1", domains={"other": observed(replace(config, disks=(disk,), mark=None, name="other"))})

    assert "which a domain has" in violations(using, delete(two[0]))
