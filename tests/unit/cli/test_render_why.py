"""The story behind an object."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.cli.render_why import Story, render_why, without_beginnings
from reconciler.cli.terminal import Terminal
from reconciler.ledger.records import LedgerEvent
from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import Placement
from reconciler.model.status import ImageStatus
from tests.conftest import Golden
from tests.support.fleets import image, observed_host, observed_pool, volume
from tests.unit.cli.plans import EVERY_ACTION, NOW, plan, ref
from tests.unit.cli.reasons import EVERY_REASON
from tests.unit.cli.worlds import TROUBLED, look

_PLAIN = Terminal()
_EVENTS = (
    LedgerEvent(NOW - 60, "p2", "VirtualMachine/web-1", "h1", "start-domain done", "start"),
    LedgerEvent(
        NOW - 61, "p2", "VirtualMachine/web-1", "h1", "start-domain failed", "start: no space left on /srv/vms"
    ),
    LedgerEvent(NOW - 200_000, "p1", "VirtualMachine/web-1", "h1", "define-domain done", "define"),
)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local times are the same everywhere."""
    monkeypatch.setattr("reconciler.cli.words.time.localtime", __import__("time").gmtime)


def story(target: str, *events: LedgerEvent, **view: object) -> str:
    return render_why(Story(ref(target), look(**view), events), _PLAIN)  # type: ignore[arg-type]


def test_a_vm_in_sync_tells_its_chain_and_why_nothing_is_done(golden: Golden) -> None:
    text = story(
        "VirtualMachine/web-1",
        *_EVENTS,
        sources={"VirtualMachine/web-1": "vms/web.yaml:14:1"},
        placements={"web-1": Placement("web-1", "h1", 2, NOW - 200_000)},
    )

    golden("why-in-sync.txt", text)


def test_a_vm_that_changes_tells_what_is_next(golden: Golden) -> None:
    text = story(
        "VirtualMachine/web-1",
        made=plan(*EVERY_ACTION),
        sources={"VirtualMachine/web-1": "vms/web.yaml:14:1"},
        placements={"web-1": Placement("web-1", "h1", 1, NOW - 60)},
    )

    golden("why-changing.txt", text)


def test_a_vm_that_fits_nowhere_tells_each_host_s_reason(golden: Golden) -> None:
    text = story(
        "VirtualMachine/db-2",
        made=plan(unmet=EVERY_REASON),
        status=TROUBLED,
        sources={"VirtualMachine/db-2": "vms/db.yaml:1:1"},
    )

    golden("why-no-host.txt", text)


def test_a_held_object_says_who_holds_it() -> None:
    text = story(
        "VirtualMachine/web-1",
        sources={"VirtualMachine/web-1": "vms/web.yaml:14:1"},
        paused=frozenset({"VirtualMachine/web-1"}),
    )

    assert "nothing: it is held by reconciler pause" in text


def test_a_vm_on_a_host_that_was_not_seen_is_not_called_in_sync() -> None:
    text = story("VirtualMachine/db-1", status=TROUBLED, sources={"VirtualMachine/db-1": "vms/db.yaml:1:1"})

    assert "could not be seen" in text
    assert "in sync since" not in text


def test_a_host_that_was_not_seen_is_not_called_in_sync() -> None:
    text = story("Host/h4", made=plan(unseen=("h4",)), status=TROUBLED, sources={"Host/h4": "hosts.yaml:1:1"})

    assert "ssh h4 systemctl status libvirtd" in text
    assert "in sync" not in text


def test_an_image_that_cannot_be_used_is_not_called_in_sync() -> None:
    refused = ImageStatus("alpine", "blocked", None, None, ("vms",), "checksum mismatch")
    broken = replace(TROUBLED, images=(refused,))

    text = story("Image/alpine", status=broken, sources={"Image/alpine": "images.yaml:1:1"})

    assert "until that is mended" in text
    assert "in sync" not in text


def test_an_image_whose_file_is_missing_says_which_path_to_mend_and_where_it_stands() -> None:
    absent = ImageStatus("first", "blocked", None, None, ("vms",), "can't read /srv/first.qcow2: No such file")

    text = story(
        "Image/first",
        status=replace(TROUBLED, images=(absent,)),
        sources={"Image/first": "images.yaml:4:1"},
        images={"first": image("first", source={"path": "/srv/first.qcow2"})},
    )

    assert "→ put /srv/first.qcow2 right, or correct spec.source.path in images.yaml:4:1" in text


def test_an_image_that_is_refused_says_what_that_means_for_the_vms() -> None:
    refused = SpecProblem(SourceRef("i.yaml", 4), "S039", "Image/first", "spec.source.path", "has a backing file")

    text = story("Image/first", unusable={ref("Image/first"): refused})

    assert "unusable: has a backing file" in text
    assert "no VM is made of it; those that were made before run on" in text
    assert "nothing is known" not in text


def test_a_beginning_is_left_out_where_its_end_is_told() -> None:
    def event(phase: str, at: float) -> LedgerEvent:
        return LedgerEvent(at, "p1", "VirtualMachine/web-1", "h1", f"start-domain {phase}", "start")

    told = without_beginnings([event("started", 4.0), event("done", 3.0), event("started", 2.0), event("started", 1.0)])

    assert [item.at for item in told] == [4.0, 3.0, 1.0]


def test_an_object_that_left_the_specs_is_told_as_such() -> None:
    text = story("VirtualMachine/gone", *_EVENTS)

    assert "not in the specs" in text
    assert "kept" not in text


def test_disks_that_a_vm_left_behind_are_told_of() -> None:
    pool = observed_pool(volumes=[volume("default.gone.root.qcow2"), volume("default.other.root.qcow2")])
    view = replace(look(), inventory=Inventory(hosts={"h1": observed_host("h1", pools=[pool])}))

    text = render_why(Story(ref("VirtualMachine/gone"), view, _EVENTS), _PLAIN)

    assert "kept: default.gone.root.qcow2 in pool vms on h1" in text
    assert "default.other" not in text
