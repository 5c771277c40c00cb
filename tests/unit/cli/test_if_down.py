"""`plan --if-down`, and failures that the fleet is asked to bear."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec.structs import replace

from reconciler.daemon.view import View
from reconciler.model.status import FleetStatus
from tests.support.fleets import POLICY, Story, story, vm
from tests.unit.cli.calling import invoke
from tests.unit.cli.worlds import HEALTHY, FakeSession
from tests.unit.specfiles.fleets import document

ONE_HOST = "---\n".join(
    (
        document("Host", "h1", "uri: 'qemu+ssh://h1.example/system'"),
        document("StoragePool", "vms", "type: dir, target: /srv/vms, shared: true"),
        document("VirtualMachine", "web", "memory: 1GiB, disks: [{name: root, pool: vms, size: 1GiB}]"),
    )
)


def view(fleet: Story) -> View:
    status: FleetStatus = replace(HEALTHY, at=fleet.now)
    return View(
        desired=fleet.specs,
        inventory=fleet.inventory,
        ledger=fleet.ledger,
        plan=fleet.plan(),
        status=status,
        at=fleet.now,
    )


def session() -> FakeSession:
    """`web` runs on h1 of three hosts."""
    return FakeSession([view(story(vm(), hosts=3, shared=True).converged())])


def invoke_plan(specs: Path, *arguments: object) -> tuple[int, str, str]:
    config = specs.parent / "config.yaml"
    config.write_text(f"fleet: {POLICY.fleet}\n")
    result = invoke("--config", config, "plan", specs, *arguments, onto=session())
    return result.exit_code, result.stdout, result.stderr


def test_where_each_vm_would_go_is_shown_and_that_it_is_only_supposed(specs: Path) -> None:
    code, out, err = invoke_plan(specs, "--if-down", "h1")

    assert code == 2
    assert "→ VirtualMachine/web  h2  host lost" in out
    assert "not seen" not in out
    assert "once h1 is proven dead" in err
    assert "reconciler apply" not in err


def test_it_may_be_asked_of_several_hosts(specs: Path) -> None:
    _, out, err = invoke_plan(specs, "--if-down", "h1", "--if-down", "h2")

    assert "→ VirtualMachine/web  h3" in out
    assert "h1 and h2 are proven dead" in err


def test_a_host_whose_loss_changes_nothing_exits_0(specs: Path) -> None:
    code, _, _ = invoke_plan(specs, "--if-down", "h3")

    assert code == 0


def test_as_json_the_moves_are_actions_like_any_other(specs: Path) -> None:
    _, out, _ = invoke_plan(specs, "--if-down", "h1", "--json")

    assert {(action["sign"], action["host"]) for action in json.loads(out)["actions"]} == {("move", "h2")}


def test_a_host_that_is_not_in_the_specs_is_refused(specs: Path) -> None:
    code, _, err = invoke_plan(specs, "--if-down", "h9")

    assert code == 1
    assert "hosts: h1, h2, h3" in err


def test_what_is_only_supposed_is_not_written_for_apply(specs: Path, tmp_path: Path) -> None:
    code, _, err = invoke_plan(specs, "--if-down", "h1", "--out", tmp_path / "p.json")

    assert code == 1
    assert "can't be applied" in err
    assert not (tmp_path / "p.json").exists()


def test_validate_warns_of_vms_that_the_policy_can_not_hold_for_and_fails_where_strict(specs: Path) -> None:
    (specs / "fleet.yaml").write_text(ONE_HOST)
    config = specs.parent / "config.yaml"
    config.write_text("hostFailuresToTolerate: 1\n")

    warned = invoke("--config", config, "validate", specs)
    strict = invoke("--config", config, "validate", specs, "--strict")

    assert (warned.exit_code, strict.exit_code) == (0, 1)
    assert "S047" in warned.stdout
    assert "only h1 can run it, and 1 host failure must be borne" in " ".join(warned.stdout.split())


def test_strict_is_content_with_specs_that_have_no_warning(specs: Path) -> None:
    (specs / "fleet.yaml").write_text(ONE_HOST)

    assert invoke("validate", specs, "--strict").exit_code == 0
