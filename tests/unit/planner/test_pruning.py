"""Which versions of captured images a plan deletes, and which it never does."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.inventory import Inventory, ObservedVolume
from reconciler.model.ledger import Failure, VersionRemoval
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DeleteVersion
from reconciler.model.version import ImageVersion, instant_of
from reconciler.planner.version_uses import keeping
from reconciler.planner.world import World, make_world
from tests.support.fleets import GIB, POLICY, Story, vm
from tests.support.versions import IMAGE, at, captured_image, nightly, story, version, volumes_of

_TODAY = at("2026-11-23T12:00Z")
_REF = f"Image/{IMAGE}"
_LAST_TWO = {"last": 2}


def gone(told: Story) -> list[str]:
    """What the plan deletes, in its order."""
    steps = [action.step for action in told.plan().actions if isinstance(action.step, DeleteVersion)]
    return [instant_of(step.stamp) for step in steps]


def test_what_no_rule_keeps_goes() -> None:
    told = story(nightly("2026-11-23T02:00Z", 4), captured_image(retention=_LAST_TWO), now=_TODAY)

    assert gone(told) == ["2026-11-20T02:00Z", "2026-11-21T02:00Z"]
    assert {action.why for action in told.plan().actions} == {"retention"}
    assert told.converged().plan().empty


def test_an_increment_goes_before_what_it_rests_on() -> None:
    full, first, second = "2026-11-18T02:00Z", "2026-11-19T02:00Z", "2026-11-20T02:00Z"
    chain = (version(full), version(first, full), version(second, first))

    told = story((*chain, *nightly("2026-11-23T02:00Z", 2)), captured_image(retention=_LAST_TWO), now=_TODAY)

    assert gone(told) == [second, first, full]


def test_what_a_kept_increment_rests_on_stays() -> None:
    full, first, second = "2026-11-21T02:00Z", "2026-11-22T02:00Z", "2026-11-23T02:00Z"
    chain = (version(full), version(first, full), version(second, first))

    assert gone(story(chain, captured_image(retention={"last": 1}), now=_TODAY)) == []


def test_versions_of_an_image_without_retention_or_without_a_spec_stay() -> None:
    versions = nightly("2026-11-23T02:00Z", 40)

    assert gone(story(versions, captured_image(), now=_TODAY)) == []
    assert gone(story(versions, now=_TODAY)) == []


def test_a_year_off_on_the_clock_makes_nothing_go() -> None:
    versions = nightly("2026-11-23T02:00Z", 14)
    image = captured_image(retention={"daily": 14}, schedule="0 2 * * *")

    assert gone(story(versions, image, now=_TODAY + 365 * 86400)) == []
    assert gone(story(versions, image, now=_TODAY - 365 * 86400)) == []


def test_a_version_that_a_domain_or_another_volume_refers_to_stays() -> None:
    versions = nightly("2026-11-23T02:00Z", 5)
    overlay = ObservedVolume(
        "prod.web.root.qcow2",
        "/srv/vms/prod.web.root.qcow2",
        "qcow2",
        GIB,
        0,
        f"/srv/vms/{versions[0].disks[0].volume}",
    )

    told = story(versions, captured_image(retention={"last": 1}), now=_TODAY, extra_volumes=[overlay])

    assert instant_of(versions[0].stamp) not in gone(told)
    assert len(gone(told)) == 3


def test_a_version_that_a_spec_restores_or_makes_disks_of_stays() -> None:
    versions = nightly("2026-11-23T02:00Z", 4)
    web = vm("web", restore={"image": IMAGE, "version": "2026-11-21T02:00Z"}, runStrategy="Halted")

    told = story(versions, captured_image(retention={"last": 1}), web, now=_TODAY)

    assert keeping(_world(told), IMAGE)[versions[1].stamp] == ("VirtualMachine/web is to be restored from it",)
    assert "2026-11-21T02:00Z" not in gone(told)


def _world(told: Story) -> World:
    return make_world(told.specs, told.inventory, told.ledger, POLICY, told.now)


def test_what_an_increment_rests_on_that_is_not_on_record_stays() -> None:
    """The ledger was lost, and the manifest of the increment has not been read yet."""
    full, increment = version("2026-11-20T02:00Z"), version("2026-11-21T02:00Z", "2026-11-20T02:00Z")
    known = (full, *nightly("2026-11-23T02:00Z", 2))

    told = story(known, captured_image(retention={"last": 1}), now=_TODAY, extra_volumes=volumes_of([increment]))

    assert gone(told) == ["2026-11-22T02:00Z"]


def test_what_is_newer_than_a_capture_that_failed_stays() -> None:
    """People asked for one on the 21st, which fails since; whatever the rules say, what came after it stays."""
    failure = Failure(f"capture-image:{_REF}@h1", 3, "no space", permanent=False, not_before=0, inputs="")
    known = {"failures": {failure.key: failure}, "capture_requests": {IMAGE: at("2026-11-21T00:00Z")}}

    told = story(nightly("2026-11-23T02:00Z", 5), captured_image(retention={"last": 1}), now=_TODAY, ledger=known)

    assert gone(told) == ["2026-11-19T02:00Z", "2026-11-20T02:00Z"]


def test_a_damaged_version_takes_no_place_of_a_whole_one_and_is_left_to_people() -> None:
    versions = nightly("2026-11-23T02:00Z", 3)
    told = story(versions, captured_image(retention={"last": 2}), now=_TODAY)
    pool = told.inventory.hosts["h1"].pools["vms"]
    left = {name: each for name, each in (pool.volumes or {}).items() if name != versions[-1].disks[0].volume}
    hurt = told.with_host("h1", pools={"vms": replace(pool, volumes=left)})

    assert gone(hurt) == []
    assert "is gone from pool vms" in hurt.unmet(_REF)["version-damaged"].detail


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"removal_hold": "the directory of specs is empty"}, "removal-held"),
        ({"doubt": "they are older"}, "removal-held"),
        (
            {
                "unusable": {
                    ObjectRef("VirtualMachine", "x"): SpecProblem(
                        SourceRef("x.yaml", 1, 1), "S001", "VirtualMachine/x", "", "broken"
                    )
                }
            },
            "removal-held",
        ),
    ],
)
def test_nothing_goes_while_what_the_specs_need_is_not_known(more: dict[str, object], reason: str) -> None:
    told = story(nightly("2026-11-23T02:00Z", 4), captured_image(retention=_LAST_TWO), now=_TODAY, desired_more=more)

    assert gone(told) == []
    assert "2 versions would be deleted" in told.unmet(_REF)[reason].detail


def test_nothing_goes_while_the_host_that_has_it_is_out_of_sight() -> None:
    told = story(nightly("2026-11-23T02:00Z", 3), captured_image(retention=_LAST_TWO), now=_TODAY)
    away = Story(told.specs, Inventory(), told.ledger, _TODAY)

    assert gone(away) == []
    assert "can't be read" in away.unmet(_REF)["host-unread"].detail


def test_held_and_protected_images_keep_theirs() -> None:
    versions = nightly("2026-11-23T02:00Z", 3)
    image = captured_image(retention=_LAST_TWO)
    held = story(versions, image, now=_TODAY, ledger={"paused": frozenset({_REF})})
    safe = image.model_copy(
        update={"metadata": image.metadata.model_copy(update={"annotations": {"reconciler/prune": "disabled"}})}
    )

    assert gone(held) == []
    assert "is held" in held.unmet(_REF)["paused"].detail
    assert gone(story(versions, safe, now=_TODAY)) == []


def test_what_people_want_gone_goes_though_a_rule_has_a_place_for_it() -> None:
    versions = nightly("2026-11-23T02:00Z", 3)
    asked = frozenset({VersionRemoval(IMAGE, versions[1].stamp, _TODAY)})

    told = story(versions, captured_image(retention={"last": 7}), now=_TODAY, ledger={"removals": asked})

    assert gone(told) == ["2026-11-22T02:00Z"]
    assert told.action("delete-version").disruption == "data-loss"
    assert told.converged().plan().empty


@pytest.mark.parametrize("declared", [True, False])
def test_the_newest_version_goes_by_command_only_once_its_image_is_not_declared(declared: bool) -> None:
    versions = nightly("2026-11-23T02:00Z", 1)
    asked = frozenset({VersionRemoval(IMAGE, versions[0].stamp, _TODAY)})
    specs = [captured_image()] if declared else []

    told = story(versions, *specs, now=_TODAY, ledger={"removals": asked})

    assert gone(told) == ([] if declared else ["2026-11-23T02:00Z"])


def test_what_is_left_of_a_version_goes_whatever_retention_says_by_then() -> None:
    """Its removal was begun by a retention that is another one now: without its manifest it is no version."""
    versions = nightly("2026-11-23T02:00Z", 3)
    was: ImageVersion = versions[0]
    begun = frozenset({VersionRemoval(IMAGE, was.stamp, _TODAY, was)})

    told = story(
        versions[1:],
        captured_image(),
        now=_TODAY,
        ledger={"removals": begun},
        extra_volumes=volumes_of([was])[1:],
    )

    assert gone(told) == ["2026-11-21T02:00Z"]
    assert told.action("delete-version").why == "incomplete"
    assert told.converged().plan().empty


def test_a_policy_that_captures_so_many_at_once_has_its_defaults() -> None:
    assert (POLICY.capture.parallel_fleet, POLICY.capture.parallel_per_host) == (4, 1)
