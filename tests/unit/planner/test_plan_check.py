"""Each invariant of plan_check, and a plan that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.health import FenceProof
from reconciler.model.ledger import LedgerView, Placement, RemovedVm
from reconciler.model.plan import Action, Plan
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import (
    CreateVolume,
    DefineDomain,
    DeleteVolume,
    FenceHost,
    RedefineDomain,
    StartDomain,
    Step,
    StopDomain,
    UndefineDomain,
)
from reconciler.planner.plan_check import PlanRejected, check, require_sound
from tests.support.fleets import DIGEST, NOW, POLICY, Story, host, observed, ref, story, stranger, vm

BASE = f"prod.base-{DIGEST[7:39]}.qcow2"
ROOT = "prod.web.root.qcow2"
WEB = ObjectRef("VirtualMachine", "web")


def fleet() -> Story:
    """`web` runs on h1, `theirs` is not managed, storage is shared."""
    made = story(vm(), shared=True).converged()
    return made.with_domain(stranger("theirs", made.domain().config), on="h1")


def action(step: Step, *, host_name: str | None = "h1", name: str = "x", **fields: Any) -> Action:
    made = Action(
        id=name,
        kind="any",
        sign="change",
        target=WEB,
        host=host_name,
        why="drift",
        detail="",
        disruption="none",
        step=step,
    )
    return replace(made, **fields)


def plan_of(*actions: Action) -> Plan:
    return replace(story().converged().plan(), actions=actions)


def violations(story_now: Story, *actions: Action) -> tuple[str, ...]:
    return check(plan_of(*actions), story_now.specs, story_now.inventory, story_now.ledger, POLICY)


def start(now: Story, name: str = "x", **fields: Any) -> Action:
    return action(StartDomain("web", now.domain().uuid), name=name, **fields)


def delete(volume: str, **fields: Any) -> Action:
    return action(DeleteVolume("vms", volume), **fields)


def define(now: Story, epoch: int = 1, **fields: Any) -> Action:
    config = now.domain().config
    assert config.mark is not None
    return action(DefineDomain(replace(config, mark=replace(config.mark, epoch=epoch))), **fields)


def fence(name_of_host: str, incident: str = "", **fields: Any) -> Action:
    return action(FenceHost(name_of_host, incident or f"i-{name_of_host}"), host_name=None, **fields)


def stale_proof(of_host: str) -> FenceProof:
    return FenceProof(of_host, "older", "human", NOW, "it was unplugged", "ann")


def gone(now: Story) -> Story:
    return now.without_domain()


def gone_and_removed(now: Story) -> Story:
    removed = {"web": RemovedVm("web", "h1", 3)}
    return now.without_domain().with_ledger(placements={}, removed=removed)


def out_of_specs(now: Story) -> Story:
    return now.with_specs(without=["VirtualMachine/web"])


def idle(now: Story) -> Story:
    return now.with_domain(replace(now.domain(), state="shutoff", live=None))


def undefine(now: Story, **fields: Any) -> Action:
    return action(UndefineDomain("web", now.domain().uuid, keep_nvram=False), **{"name": "undefine", **fields})


Case = tuple[Callable[[Story], Story], Callable[[Story], tuple[Action, ...]], str]

CASES: dict[str, Case] = {
    "an id twice": (idle, lambda s: (start(s), start(s)), "in the plan twice"),
    "out of order": (
        idle,
        lambda s: (start(s, "a", after=("b",)), start(s, "b")),
        "comes before b, which it needs",
    ),
    "a host that was not read": (idle, lambda s: (start(s, host_name="h9"),), "acts on h9, which was not read"),
    "defined twice": (
        lambda s: s,
        lambda s: (define(s, name="a"), define(s, name="b", host_name="h2")),
        "web is defined on h1 and on h2",
    ),
    "a second copy": (lambda s: s, lambda s: (define(s, host_name="h2"),), "but it exists on h1"),
    "a copy may be out of sight": (
        lambda s: s.placed("web", "h9"),
        lambda s: (define(s, 2, host_name="h2"),),
        "was placed on h9, which was not read",
    ),
    "an epoch that does not grow": (
        lambda s: s.placed("web", "h1", 1),
        lambda s: (define(s, 1, host_name="h2"),),
        "does not exceed that of the copy on h1",
    ),
    "an epoch that a copy of before the removal may have": (
        gone_and_removed,
        lambda s: (define(s, 3, host_name="h2"),),
        "does not exceed that of the copy removed from h1",
    ),
    "a start beside a copy": (
        lambda s: idle(s).with_domain(s.domain(), on="h2"),
        lambda s: (start(s),),
        "but it also exists on h2",
    ),
    "a start while the true copy is out of sight": (
        lambda s: idle(s).placed("web", "h9"),
        lambda s: (start(s),),
        "was placed on h9, which was not read",
    ),
    "a start of a stale copy": (
        lambda s: idle(s).placed("web", "h2", 7),
        lambda s: (start(s),),
        "would start a stale copy of web",
    ),
    "a start of what is nowhere": (
        lambda s: s,
        lambda _: (action(StartDomain("ghost", "no-such-uuid")),),
        "not seen on h1 and is not defined before",
    ),
    "somebody else's domain": (
        lambda s: s,
        lambda s: (action(StopDomain("theirs", s.domain("theirs").uuid, 1.0, force=True)),),
        "would touch theirs on h1, which is not managed",
    ),
    "a domain that was not seen": (
        lambda s: s,
        lambda s: (action(RedefineDomain(replace(s.domain().config, uuid="ghost"), "")),),
        "a domain that was not seen",
    ),
    "somebody else's volume": (lambda s: s, lambda _: (delete("theirs.qcow2"),), "which is not ours"),
    "a disk in use": (lambda s: s, lambda _: (delete(ROOT),), "which web on h1 uses"),
    "a disk in use on another host": (
        lambda s: s.with_domain(s.domain(), on="h2").without_domain(),
        lambda _: (delete(ROOT),),
        "which web on h2 uses",
    ),
    "a disk whose domain goes only later": (
        out_of_specs,
        lambda s: (delete(ROOT, disruption="data-loss"), undefine(s)),
        "which web on h1 uses",
    ),
    "a disk whose domain was not stopped": (
        out_of_specs,
        lambda s: (undefine(s), delete(ROOT, after=("undefine",))),
        "which web on h1 uses",
    ),
    "a base with overlays": (lambda s: s, lambda _: (delete(BASE),), f"which {ROOT} is an overlay of"),
    "a removal while the specs are uncertain": (
        lambda s: out_of_specs(s).with_specs(removal_hold="the directory is empty"),
        lambda s: (undefine(s),),
        "removes although the directory is empty",
    ),
    "another system by specs that are in doubt": (
        lambda s: idle(s).with_specs(doubt="these may be older"),
        lambda s: (start(s, disruption="rebuild"),),
        "is done although these may be older",
    ),
    "a removal of what is in the specs": (idle, lambda s: (undefine(s),), "removes a VM that is in the specs"),
    "a removal of what could not be read": (
        lambda s: out_of_specs(s).with_specs(unusable={ref("VirtualMachine/web"): None}),
        lambda s: (undefine(s),),
        "whose spec could not be read",
    ),
    "data that nobody gave up": (
        lambda s: out_of_specs(idle(s)),
        lambda s: (undefine(s), delete(ROOT, after=("undefine",), disruption="data-loss")),
        "whose deletionPolicy does not say so",
    ),
    "a finished disk": (
        lambda s: out_of_specs(gone(s)),
        lambda _: (delete(ROOT),),
        "which nobody asked for",
    ),
    "a finished disk replaced": (
        lambda s: s,
        lambda _: (action(CreateVolume("vms", ROOT, "qcow2", 1, None, None, "full", replace_partial=True)),),
        "not known to be partial",
    ),
    "a held object": (
        lambda s: idle(s).with_ledger(paused=frozenset({"VirtualMachine/web"})),
        lambda s: (start(s),),
        "which is paused",
    ),
    "an object held by its annotation": (
        lambda s: idle(s).with_specs(vm(annotations={"reconciler/paused": "true"})),
        lambda s: (start(s),),
        "which is paused",
    ),
    "a held fleet": (
        lambda s: idle(s).with_ledger(paused=frozenset({"fleet"})),
        lambda s: (start(s),),
        "which is paused",
    ),
    "a proof of an earlier incident": (
        lambda s: gone(s).placed("web", "h2").lost("h2").with_ledger(proofs={"h2": stale_proof("h2")}),
        lambda _: (define(fleet(), 2),),
        "was placed on h2, which was not read",
    ),
    "a recovery in the quiet period": (
        lambda s: gone(s).placed("web", "h2").lost("h2").proven("h2").with_ledger(quiet=True),
        lambda _: (define(fleet(), 2),),
        "was placed on h2, which was not read",
    ),
    "two hosts fenced at once": (
        lambda s: s.lost("h1", "h2"),
        lambda _: (fence("h1", name="a"), fence("h2", name="b")),
        "2 hosts would be fenced at once",
    ),
    "a host that answers fenced": (lambda s: s, lambda _: (fence("h1"),), "would fence h1, but it answers"),
    "a host fenced for another incident": (
        lambda s: s.lost("h1"),
        lambda _: (fence("h1", "older"),),
        "incident older is not open",
    ),
    "a suspect host fenced": (
        lambda s: s.lost("h1", state="suspect"),
        lambda _: (fence("h1"),),
        "would fence h1, but it is suspect",
    ),
    "a dead host fenced": (
        lambda s: s.lost("h1").proven("h1"),
        lambda _: (fence("h1"),),
        "it is proven dead already",
    ),
    "a host fenced in the quiet period": (
        lambda s: s.lost("h1").with_ledger(quiet=True),
        lambda _: (fence("h1"),),
        "this is the quiet period",
    ),
    "a host fenced after another machine answered for it": (
        lambda s: s.lost("h1").in_state("h1", "unreachable", "other-machine-silent"),
        lambda _: (fence("h1"),),
        "another machine was the last to answer",
    ),
    "a host fenced by an untested device": (
        lambda s: s.armed("h1").lost("h1").with_ledger(fence_tests={}),
        lambda _: (fence("h1"),),
        "its devices have not passed a test",
    ),
    "a host without a device fenced": (
        lambda s: s.lost("h1"),
        lambda _: (fence("h1"),),
        "it has no fence device",
    ),
    "a host fenced under the brake": (
        lambda s: s.lost("h1").in_state("h2", "suspect"),
        lambda _: (fence("h1"),),
        "2 of 2 hosts are bad at once",
    ),
    "a host fenced for a VM that may run nowhere else": (
        lambda s: s.with_specs(vm(placement={"hosts": ["h1"]}), without=["VirtualMachine/web"]).lost("h1"),
        lambda _: (fence("h1"),),
        "none of its VMs would run elsewhere",
    ),
    "a host fenced for a VM that fits nowhere else": (
        lambda s: s.lost("h1").with_host("h2", facts=replace(s.inventory.hosts["h2"].facts, memory=1 << 20)),
        lambda _: (fence("h1"),),
        "none of its VMs would run elsewhere",
    ),
    "a host fenced for a VM that never ran": (
        lambda s: s.lost("h1").with_ledger(placements={"web": Placement("web", "h1", 1, NOW, ran=False)}),
        lambda _: (fence("h1"),),
        "none of its VMs would run elsewhere",
    ),
    "the true copy forced off without asking": (
        lambda s: s,
        lambda s: (action(StopDomain("web", s.domain().uuid, 0.0, force=True)),),
        "it is not an old copy",
    ),
    "a guest given less time than the policy promises": (
        lambda s: s,
        lambda s: (action(StopDomain("web", s.domain().uuid, POLICY.shutdown_timeout / 2, force=True)),),
        "it is not an old copy",
    ),
    "a copy of an equal epoch undefined": (
        lambda s: idle(s).placed("web", "h2", 1),
        lambda s: (undefine(s),),
        "removes a VM that is in the specs",
    ),
    "more memory than there is": (
        lambda s: gone(s).with_host("h1", facts=replace(s.inventory.hosts["h1"].facts, memory=1 << 20)),
        lambda _: (define(fleet()),),
        "promises more memory on h1 than it has",
    ),
    "more CPUs than there are": (
        lambda s: gone(s).with_host("h1", facts=replace(s.inventory.hosts["h1"].facts, cpus=0)),
        lambda _: (define(fleet()),),
        "promises more CPUs on h1 than it has",
    ),
    "a held host": (
        lambda s: idle(s).with_specs(host("h1", annotations={"reconciler/paused": "true"})),
        lambda s: (start(s),),
        "acts on h1, which is paused",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_plan_that_breaks_the_invariant_is_caught(case: Case) -> None:
    prepare, broken, words = case
    now = fleet()

    found = violations(prepare(now), *broken(now))

    assert any(words in violation for violation in found), found


def test_an_empty_plan_breaks_nothing() -> None:
    assert violations(fleet()) == ()


def test_a_disk_that_goes_after_its_domain_was_stopped_and_undefined_is_fine() -> None:
    now = story(vm(deletionPolicy="delete"), shared=True).converged().with_specs(without=["VirtualMachine/web"])

    assert now.kinds() == ["stop-domain", "undefine-domain", "delete-volume"]


def test_a_broken_plan_is_rejected_with_every_violation() -> None:
    now = idle(fleet())
    inputs = (now.specs, now.inventory, LedgerView(placements={"web": Placement("web", "h9", 1, NOW)}), POLICY)

    with pytest.raises(PlanRejected) as rejected:
        require_sound(plan_of(start(now), start(now)), *inputs)

    assert len(rejected.value.violations) >= 2
    assert "nothing of it is done" in str(rejected.value)
    assert observed(now.domain().config).name == "web"


def test_a_guest_that_gets_the_time_of_the_policy_may_be_forced_off_in_the_end() -> None:
    """However short that is: what tells an old copy is its epoch."""
    now = fleet()
    stop = action(StopDomain("web", now.domain().uuid, 0.0, force=True))
    policy = POLICY.model_copy(update={"shutdown_timeout": 0.0})

    assert check(plan_of(stop), now.specs, now.inventory, now.ledger, policy) == ()
