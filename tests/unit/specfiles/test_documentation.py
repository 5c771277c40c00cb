"""Schema, explanations and reference come from the models; the examples and the first fleet are right."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from reconciler.config import setting_keys, setting_meanings
from reconciler.errors import UsageError
from reconciler.model.plan import UnmetReason
from reconciler.model.resource import KINDS
from reconciler.specfiles.explain import explain
from reconciler.specfiles.json_schema import fields_of, property_at, schema
from reconciler.specfiles.reasons import REASONS
from reconciler.specfiles.yaml_documents import parse
from tests.unit.specfiles.fleets import load_fleet, vm

ROOT = Path(__file__).resolve().parents[3]
SPEC_FILES = sorted([*ROOT.glob("specs/**/*.yaml"), *ROOT.glob("docs/examples/*.yaml")])


def documents(path: Path) -> list[Any]:
    return [document.data for document in parse(path.read_bytes())]


def errors(data: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema())
    return [error.message for error in validator.iter_errors(data)]


@pytest.mark.parametrize("path", SPEC_FILES, ids=str)
def test_the_json_schema_accepts_every_example(path: Path) -> None:
    assert [errors(data) for data in documents(path)] == [[] for _ in documents(path)]


@pytest.mark.parametrize("path", SPEC_FILES, ids=str)
def test_every_example_tells_editors_its_schema(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    prefix, _, target = first.partition("=")

    assert prefix == "# yaml-language-server: $schema"
    assert (path.parent / target).resolve() == ROOT / "specs/schema.json"


def test_the_json_schema_is_one_and_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    for kind in KINDS:
        jsonschema.Draft202012Validator.check_schema(schema(kind))


@pytest.mark.parametrize(
    "spec",
    ["memroy: 1GiB", "memory: 2", "memory: 1GiB, firmware: x", "memory: 1GiB, networks: [{network: lan, mac: 5}]"],
)
def test_the_json_schema_refuses_what_the_loader_refuses(spec: str) -> None:
    (document,) = parse(vm("web-1", spec).encode())

    assert errors(document.data)


def test_every_field_has_a_description() -> None:
    def bare(kind: str, path: tuple[str, ...]) -> list[str]:
        found = []
        for name, (field, _) in fields_of(kind, property_at(kind, path) or {}).items():
            if not field.get("description"):
                found.append(".".join([kind, *path, name]))
            found += bare(kind, (*path, name))
        return found

    assert [name for kind in KINDS for name in bare(kind, ())] == []


def test_the_first_fleet_is_right_and_what_it_should_be() -> None:
    loaded = load_fleet(ROOT / "specs")

    assert loaded.problems == ()
    counts = [len(group) for group in (loaded.hosts, loaded.pools, loaded.networks, loaded.images, loaded.vms)]
    assert counts == [3, 1, 1, 1, 6]


def test_the_examples_are_right() -> None:
    assert load_fleet(ROOT / "docs/examples").problems == ()


def test_the_examples_show_every_field_and_every_possible_value() -> None:
    shown: set[str] = set()

    def collect(kind: str, path: tuple[str, ...], value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                collect(kind, path, item)
            return
        shown.add(".".join([kind, *path]))
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(kind, (*path, key), inner)
        else:
            shown.add(f"{'.'.join([kind, *path])}={value}")

    def expected(kind: str, path: tuple[str, ...]) -> set[str]:
        names: set[str] = set()
        for name, (field, _) in fields_of(kind, property_at(kind, path) or {}).items():
            dotted = ".".join([kind, *path, name])
            names |= (
                {dotted} | {f"{dotted}={choice}" for choice in field.get("enum", ())} | expected(kind, (*path, name))
            )
        return names

    for path in ROOT.glob("docs/examples/*.yaml"):
        for data in documents(path):
            collect(data["kind"], (), data)
    of_vms = ("adopt", "previousName")
    refused = {f"{kind}.metadata.{name}" for kind in KINDS if kind != "VirtualMachine" for name in of_vms}
    missing = {name for kind in KINDS for name in expected(kind, ())} - shown - refused

    assert {name for name in missing if not is_default(name)} == set()


def is_default(name: str) -> bool:
    """Whether it is a value that a spec has by saying nothing."""
    path, _, value = name.partition("=")
    kind, *steps = path.split(".")
    return bool(value) and str((property_at(kind, tuple(steps)) or {}).get("default")) == value


def test_generated_files_are_up_to_date() -> None:
    location = importlib.util.spec_from_file_location("generate_docs", ROOT / "scripts/generate_docs.py")
    assert location is not None
    assert location.loader is not None
    script = importlib.util.module_from_spec(location)
    location.loader.exec_module(script)

    stale = [path.name for path, text in script.generated().items() if path.read_text() != text]

    assert stale == [], "run scripts/generate_docs.py"


def test_every_key_of_the_configuration_has_a_meaning() -> None:
    text = (ROOT / "docs/CONFIGURATION.md").read_text()

    assert [key for key in setting_keys() if f"\n| {key} | " not in text] == []
    assert [key for key in setting_keys() if not setting_meanings()[key]] == []


def test_the_reference_names_each_field_with_unit_and_default() -> None:
    text = (ROOT / "docs/SPEC.md").read_text()

    assert "| **memory** | size | KiB, MiB, GiB or TiB | required | Memory that the guest has. |" in text
    assert "| memory | size | KiB, MiB, GiB or TiB | `1GiB` | Memory never given to VMs. |" in text


def test_explain_says_type_unit_default_meaning_and_example() -> None:
    assert explain("Host.spec.reserved.memory").splitlines() == [
        "Host.spec.reserved.memory  size",
        "",
        "  Memory never given to VMs.",
        "",
        "  unit     KiB, MiB, GiB or TiB",
        "  default  1GiB",
        "  example  memory: 2GiB",
    ]


def test_explain_names_hosts_where_hosts_are_listed() -> None:
    assert "example  hosts: [h1, h2]" in explain("vm.spec.placement.hosts")


def test_explain_lists_the_fields_of_a_mapping_and_of_the_items_of_a_list() -> None:
    assert "\n  * memory " in explain("vm.spec")
    assert "\n    clone      one of `linked`, `full` (default linked)" in explain("VirtualMachine.spec.disks")
    assert explain("VirtualMachine.spec.disks[0].size") == explain("VirtualMachine.spec.disks.size")


def test_explain_tells_what_a_reason_means_and_what_helps() -> None:
    told = explain("fencing-failed")

    assert told.startswith("fencing-failed  (why a spec is not met)\n\n  means   no device confirmed")
    assert "\n  remedy  mend the device" in told
    assert explain("fencing failed") == told


def test_every_reason_is_explained_and_the_table_of_the_documentation_says_the_same() -> None:
    text = (ROOT / "docs" / "OPERATIONS.md").read_text()

    assert set(REASONS) == set(get_args(UnmetReason))
    rows = {f"| `{info.reason}` | {info.means} | {info.remedy} |" for info in REASONS.values()}
    assert [row for row in rows if row not in text] == []


def test_explain_tells_what_a_code_means() -> None:
    assert explain("S014").startswith("S014  Unknown field  (error)\n\n  A field that is not known would be ignored")
    assert explain("s014") == explain("error[S014]".removeprefix("error"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("VirtualMachine.spec.memroy", "VirtualMachine.spec has no field 'memroy'; did you mean `memory`?"),
        ("Host.state", "Host has no field 'state'; did you mean `spec.state`?"),
        ("fencing-faild", "there is no reason 'fencing-faild'; did you mean `fencing-failed`?"),
        ("VirtualMachin", "there is no kind 'VirtualMachin'; did you mean `VirtualMachine`?"),
        ("", "there is no kind ''; the kinds are Host, StoragePool, Network, Image, VirtualMachine, Approval"),
        ("Host.spec.uri.x", "Host.spec.uri has no field 'x'; it has no fields of its own"),
        (
            "Host.spec.0",
            (
                "Host.spec has no field '0'; its fields are uri, migrationAddress, peerUri, state, reserved,"
                " overcommit, fencing"
            ),
        ),
    ],
)
def test_explain_says_what_was_probably_meant(path: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        explain(path)

    assert raised.value.message == message


def test_a_copy_of_the_first_fleet_elsewhere_is_right_too(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "fleet")

    loaded = load_fleet(tmp_path / "fleet")

    assert loaded.problems == ()
    assert loaded.images["debian-12"].spec.source.path == str(tmp_path / "fleet/images/debian-12.qcow2")


def test_the_committed_schema_is_what_schema_prints() -> None:
    assert json.loads((ROOT / "specs/schema.json").read_text()) == schema()
