"""Commands from the outside: exit codes, what goes where."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.config import Settings
from reconciler.daemon.view import View
from reconciler.errors import HostUnreachable
from reconciler.ledger.records import LedgerEvent
from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.model.status import HostVerdict, VmMobility
from tests.unit.cli.calling import CHANGES, EMPTY, invoke
from tests.unit.cli.plans import NOW, SECRET, plan
from tests.unit.cli.worlds import HEALTHY, NO_HOST, TROUBLED, FakeSession, doors, look, remember

MISTAKE = SpecProblem(SourceRef("vms.yaml", 3), "S033", "VirtualMachine/web", "spec.disks[0].image", "unknown image")

pytestmark = pytest.mark.usefixtures("_own_environment")


# -- plan --------------------------------------------------------------------------------------------------------------


def test_plan_exits_0_where_nothing_changes(specs: Path) -> None:
    result = invoke("plan", specs, onto=FakeSession([EMPTY]))

    assert result.exit_code == 0
    assert result.stdout.startswith("Plan 5d1e07a: no change")


def test_plan_exits_2_on_changes(specs: Path) -> None:
    result = invoke("plan", specs, onto=FakeSession([CHANGES]))

    assert result.exit_code == 2
    assert "+ VirtualMachine/web-3" in result.stdout


def test_plan_exits_0_on_changes_with_exit_zero(specs: Path) -> None:
    assert invoke("plan", specs, "--exit-zero", onto=FakeSession([CHANGES])).exit_code == 0


@pytest.mark.parametrize(("flags", "code"), [((), 1), (("--exit-zero",), 1), (("--json",), 1)])
def test_plan_exits_1_on_mistakes_in_the_specs_where_nothing_changes(
    specs: Path, flags: tuple[str, ...], code: int
) -> None:
    result = invoke("plan", specs, *flags, onto=FakeSession([look(problems=(MISTAKE,))]))

    assert (result.exit_code, "error[S033]" in result.stderr) == (code, True)


def test_plan_exits_2_on_changes_beside_mistakes_in_the_specs(specs: Path) -> None:
    changes = replace(CHANGES, desired=replace(CHANGES.desired, problems=(MISTAKE,)))

    assert invoke("plan", specs, onto=FakeSession([changes])).exit_code == 2
    assert invoke("plan", specs, "--exit-zero", onto=FakeSession([changes])).exit_code == 1


def test_plan_exits_0_on_a_warning(specs: Path) -> None:
    warning = replace(MISTAKE, code="S042", severity="warning")

    assert invoke("plan", specs, onto=FakeSession([look(problems=(warning,))])).exit_code == 0


def test_apply_exits_3_where_mistakes_in_the_specs_are_all_that_is_left(specs: Path) -> None:
    result = invoke("apply", specs, "--yes", onto=FakeSession([look(problems=(MISTAKE,))]))

    assert result.exit_code == 3
    assert "as far as it goes: 0 actions done, 1 error in the specs" in result.stderr


def test_plan_suggests_the_next_command_beside_the_data(specs: Path) -> None:
    alone = replace(CHANGES, status=replace(CHANGES.status, controller=""))

    result = invoke("plan", specs, onto=FakeSession([alone]))

    assert f"reconciler apply {specs}" in result.stderr
    assert "reconciler apply" not in result.stdout


def test_plan_json_is_one_object_without_secrets(specs: Path) -> None:
    result = invoke("plan", specs, "--json", onto=FakeSession([CHANGES]))

    data = json.loads(result.stdout)
    assert {"version", "generation", "summary", "actions", "unmet"} <= data.keys()
    assert data["actions"][0].keys() >= {"id", "kind", "target", "host", "why", "disruption", "changes", "after"}
    assert SECRET not in result.stdout


def test_plan_out_writes_a_file_for_its_owner_alone(specs: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.json"

    invoke("plan", specs, "--out", file, onto=FakeSession([CHANGES]))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET not in file.read_text(encoding="utf-8")


def test_plan_out_does_not_follow_a_link(specs: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "p.json", tmp_path / "other"
    other.write_text("precious", encoding="utf-8")
    file.symlink_to(other)

    result = invoke("plan", specs, "--out", file, onto=FakeSession([CHANGES]))

    assert result.exit_code == 1
    assert f"{file}: the plan is not written there: it is a symbolic link" in result.stderr
    assert (file.is_symlink(), other.read_text(encoding="utf-8")) == (True, "precious")


def test_plan_out_is_refused_where_there_is_a_pipe_or_device(specs: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    result = invoke("plan", specs, "--out", tmp_path / "pipe", onto=FakeSession([CHANGES]))

    assert result.exit_code == 1
    assert "it is no regular file" in result.stderr


def test_plan_out_that_cannot_be_written_leaves_the_last_plan_and_nothing_else(
    specs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "p.json").write_text("the last one", encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    result = invoke("plan", specs, "--out", folder / "p.json", onto=FakeSession([CHANGES]))

    assert "the plan can't be written: No space left on device" in result.stderr
    assert {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} == {"p.json": "the last one"}


def test_plan_takes_the_directory_from_the_environment(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SPECS", str(specs))

    assert invoke("plan", onto=FakeSession([EMPTY])).exit_code == 0


def test_plan_without_any_directory_says_how_to_name_one() -> None:
    result = invoke("plan", onto=FakeSession([EMPTY]))

    assert result.exit_code == 1
    assert "RECONCILER_SPECS" in result.stderr


def test_plan_of_a_paused_fleet_says_so_though_nothing_is_to_do(specs: Path) -> None:
    result = invoke("plan", specs, onto=FakeSession([look(paused=frozenset({"fleet"}))]))

    assert "! the fleet is paused: nothing is changed, and nobody is fenced\n    → reconciler resume" in result.stdout


def test_why_finds_the_kind_of_a_name_that_only_one_object_has(specs: Path) -> None:
    view = look(sources={"VirtualMachine/web-1": "web.yaml:1:1", "Host/h1": "h.yaml:1:1", "Network/h1": "n.yaml:1:1"})

    assert invoke("why", "web-1", specs, onto=FakeSession([view])).stdout.startswith("VirtualMachine/web-1")
    assert (
        "'h1' is the name of Host/h1 and of Network/h1" in invoke("why", "h1", specs, onto=FakeSession([view])).stderr
    )
    assert "'db' names no object" in invoke("why", "db", specs, onto=FakeSession([view])).stderr


def test_validate_is_quiet_about_warnings_where_asked_to_be(specs: Path) -> None:
    (specs / "h.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec: {uri: 'qemu+tcp://h1/system'}\n"
    )

    assert "S042" in invoke("validate", specs).stdout
    assert invoke("validate", specs, "-q").output == ""
    assert "S042" in invoke("validate", specs, "-q", "--strict").stdout


def test_validate_knows_what_people_call_the_kinds(specs: Path) -> None:
    (specs / "a.yaml").write_text("apiVersion: reconciler/v1\nkind: VM\nmetadata: {name: a}\nspec: {}\n")

    assert "did you mean `VirtualMachine`?" in invoke("validate", specs).stdout


# -- apply -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("view", "code"), [(EMPTY, 0), (look(status=TROUBLED), 2)])
def test_status_exits_2_where_anything_is_not_as_it_should_be(specs: Path, view: object, code: int) -> None:
    assert invoke("status", specs, onto=FakeSession([view])).exit_code == code  # type: ignore[list-item]


def test_status_tells_where_vms_could_go_only_if_that_is_asked_for(specs: Path) -> None:
    told = look(status=replace(HEALTHY, mobility=(VmMobility("web-1", "h1", (HostVerdict("h2", ""),), ()),)))

    listed = invoke("status", "--migratability", specs, onto=FakeSession([told]))
    whole = invoke("status", specs, onto=FakeSession([told]))

    assert listed.output.splitlines()[1].split() == ["web-1", "h1", "yes", "h2", "-"]
    assert "MOVABLE" not in whole.output


@pytest.mark.parametrize("option", ["--watch", "--only=vms"])
def test_status_refuses_what_does_not_go_with_migratability(option: str, specs: Path) -> None:
    result = invoke("status", "--migratability", option, specs, onto=FakeSession([EMPTY]))

    assert result.exit_code == 1
    assert "--migratability is a list of its own" in result.stderr


class _WatchedUntilCtrlC(FakeSession):
    def look(self, *, meanwhile: Callable[[], None] | None = None, mobility: bool = False) -> View:
        del meanwhile, mobility
        if not self.looks:
            raise KeyboardInterrupt
        return self.looks.pop(0)


def test_status_watch_looks_again_until_ctrl_c_and_ends_with_the_last_verdict(
    specs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.cli.status.WATCH_EVERY", 0.0)

    result = invoke("status", specs, "--watch", onto=_WatchedUntilCtrlC([look(status=TROUBLED), EMPTY]))

    assert result.exit_code == 0
    assert result.stdout.index("✗ 1 host unreachable") < result.stdout.index("✔ healthy")
    assert "\x1b" not in result.stdout


def test_why_takes_short_kinds_and_tells_events_of_the_ledger(specs: Path, tmp_path: Path) -> None:
    remember(tmp_path / "state", LedgerEvent(NOW, "p1", "VirtualMachine/web-1", "h1", "define-domain done", "define"))

    result = invoke("why", "vm/web-1", specs, onto=FakeSession([EMPTY]))

    assert result.exit_code == 0
    assert "h1  define-domain done  define" in result.stdout


def test_why_of_a_slip_of_the_pen_suggests_what_was_meant(specs: Path) -> None:
    view = look(plan(unmet=(NO_HOST,)))

    result = invoke("why", "VirtualMachine/db2", specs, onto=FakeSession([view]))

    assert result.exit_code == 1
    assert "did you mean VirtualMachine/db-2?" in result.stderr


def test_run_is_the_daemon_with_the_settings(specs: Path) -> None:
    seen: list[Settings] = []

    result = invoke("run", specs, "--log-format", "json", onto=doors(FakeSession([EMPTY]), seen.append))

    assert result.exit_code == 0
    assert (seen[0].specs, seen[0].log_format) == (specs, "json")


def test_validate_exits_1_with_the_place_of_the_mistake(specs: Path) -> None:
    (specs / "vms.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: VirtualMachine\nmetadata: {name: a}\nspec: {memroy: 2GiB}\n"
    )

    result = invoke("validate", specs)

    assert result.exit_code == 1
    assert "vms.yaml:4" in result.stdout
    assert "did you mean" in result.stdout


def test_explain_says_what_a_field_means() -> None:
    result = invoke("explain", "VirtualMachine.spec.memory")

    assert result.exit_code == 0
    assert "Memory that the guest has" in result.stdout


def test_explain_says_what_changing_a_field_does_to_a_running_vm() -> None:
    told = invoke("explain", "vm.spec.disks[0].size").stdout

    assert "larger: live" in told
    assert "smaller: refused" in told


def test_schema_of_a_kind_is_json_schema() -> None:
    result = invoke("schema", "vm")

    assert json.loads(result.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_config_show_says_where_each_value_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("fleet: lab\n")

    result = invoke("config", "show", "--origin", "--config", file, "--state-dir", "/srv/state")

    origins = {line.split()[0]: line.split()[1:3] for line in result.stdout.splitlines()}
    assert origins["fleet"] == ["lab", f"{file}:1"]
    assert origins["stateDir"] == ["/srv/state", "flag"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    assert "_RECONCILER_COMPLETE" in invoke("completion", shell).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_packaged_completions_are_what_the_command_prints(shell: str) -> None:
    packaged = Path(__file__).parents[3] / "packaging" / "completions" / f"reconciler.{shell}"

    assert packaged.read_text(encoding="utf-8") == invoke("completion", shell).stdout


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["plan", "--jso"], ["plann"], ["why"], ["status", "-f", "xml"]])
def test_a_wrong_command_line_is_one_line_and_never_exit_2(arguments: list[str]) -> None:
    """2 means that there are changes."""
    result = invoke(*arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output


class _Broken(FakeSession):
    def look(self, *, meanwhile: Callable[[], None] | None = None, mobility: bool = False) -> object:  # type: ignore[override]
        del meanwhile, mobility
        raise self.error

    error: Exception = HostUnreachable("no connection", host="h1", target="VirtualMachine/a", hint="start libvirtd")


def test_an_error_names_object_host_and_next_step(specs: Path) -> None:
    result = invoke("plan", specs, onto=_Broken([EMPTY]))

    assert result.exit_code == 1
    assert result.stderr == "error: VirtualMachine/a on h1: no connection\n  → start libvirtd\n"


class _Bug(_Broken):
    error = ZeroDivisionError("division by zero")


def test_a_bug_of_ours_is_one_line_and_its_traceback_comes_with_v(specs: Path) -> None:
    quiet = invoke("plan", specs, onto=_Bug([EMPTY]))
    verbose = invoke("plan", specs, "-v", onto=_Bug([EMPTY]))

    assert quiet.exit_code == 1
    assert "this is a bug in reconciler: ZeroDivisionError at" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in verbose.stderr


class _Interrupted(_Broken):
    error = KeyboardInterrupt()  # type: ignore[assignment]


def test_ctrl_c_while_looking_ends_quietly_with_130(specs: Path) -> None:
    result = invoke("plan", specs, onto=_Interrupted([EMPTY]))

    assert (result.exit_code, result.stderr.strip()) == (130, "stopped")


def test_help_is_plain_text_off_a_terminal() -> None:
    result = invoke("--help")

    assert result.exit_code == 0
    assert "╭" not in result.stdout
    assert "  plan  " in result.stdout
