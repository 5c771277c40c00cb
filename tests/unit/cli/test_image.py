"""`image versions`, `image export` and `image delete`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.ledger.store import Ledger
from reconciler.model.version import ImageVersion
from tests.support.versions import IMAGE, version
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.worlds import FakeSession, doors

pytestmark = pytest.mark.usefixtures("_own_environment")

_HEAD = "apiVersion: reconciler/v1\n"
_FULL, _INCREMENT, _NEWEST = "2026-11-20T02:00Z", "2026-11-21T02:00Z", "2026-11-22T02:00Z"
_VERSIONS = (version(_FULL), version(_INCREMENT, _FULL), version(_NEWEST, consistency="crash-consistent"))


class Files:
    """A fleet of one host that has these volumes."""

    def __init__(self, content: Mapping[str, bytes]) -> None:
        self.content = content
        self.known: Mapping[str, str] = {}

    def update(self, hosts: Mapping[str, str]) -> None:
        self.known = hosts

    def host(self, name: str) -> Files:
        assert name in self.known
        return self

    def download_volume(self, _pool: str, volume: str, sink: Any, progress: Any, *, offset: int) -> None:
        sink.write(self.content[volume][offset:])
        progress(len(self.content[volume]) - offset)


class Session(FakeSession):
    """One that leads to hosts."""

    files: Any = None

    @property
    def fleet(self) -> Any:
        return self.files


@pytest.fixture
def fleet(specs: Path, tmp_path: Path) -> Path:
    """Specs with a captured image, of which the ledger has three versions."""
    (specs / "fleet.yaml").write_text(
        f"{_HEAD}kind: Host\nmetadata: {{name: h1}}\nspec: {{uri: 'test:///default'}}\n---\n"
        f"{_HEAD}kind: StoragePool\nmetadata: {{name: vms}}\nspec: {{type: dir, target: /srv/vms}}\n---\n"
        f"{_HEAD}kind: Image\nmetadata: {{name: {IMAGE}}}\nspec:\n"
        "  source: {vm: web}\n  pool: vms\n  schedule: 0 2 * * *\n  retention: {last: 1}\n---\n"
        f"{_HEAD}kind: VirtualMachine\nmetadata: {{name: web}}\nspec:\n  memory: 1GiB\n"
        "  disks: [{name: root, size: 10GiB, pool: vms}]\n"
    )
    with Ledger(tmp_path / "state") as ledger:
        ledger.note_versions(_VERSIONS)
    return specs


def call(*words: str, fleet: Path, session: FakeSession | None = None) -> Any:
    return invoke("image", *words, "--specs", fleet, onto=doors(session or FakeSession([EMPTY])))


def test_versions_are_listed_with_what_keeps_each(fleet: Path) -> None:
    result = call("versions", IMAGE, fleet=fleet)

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split() == [
        "VERSION", "TAKEN", "AGE", "SIZE", "VIRTUAL", "CONSISTENCY", "KIND", "GENERATION", "KEPT", "BECAUSE"
    ]  # fmt: skip
    assert lines[1].startswith(f"{IMAGE}@{_FULL}")
    assert "it goes with the next apply" in lines[1]
    assert f"increment of {_FULL}" in lines[2]
    assert lines[3].endswith("newest")
    assert "at 02:00 every day (UTC), next 2" in result.stderr


def test_versions_as_data_tell_all_that_is_on_record(fleet: Path) -> None:
    found = json.loads(call("versions", f"Image/{IMAGE}", "-f", "json", fleet=fleet).stdout)

    assert [each["kind"] for each in found] == ["full", "increment", "full"]
    assert found[1]["parent"] == f"{IMAGE}@{_FULL}"
    assert [each["toBeDeleted"] for each in found] == [True, True, False]
    assert found[0]["disks"][0]["digest"] == "sha256:" + "ab" * 32


@pytest.mark.parametrize("format", ["csv", "markdown", "yaml"])
def test_columns_are_chosen_in_every_format(fleet: Path, format: str) -> None:
    text = call("versions", "-f", format, "-c", "version,kind", fleet=fleet).stdout

    assert f"{IMAGE}@{_NEWEST}" in text
    assert "crash-consistent" not in text


def test_an_image_that_is_not_captured_has_no_versions_and_says_which_have(fleet: Path) -> None:
    result = call("versions", "debian", fleet=fleet)

    assert result.exit_code == 1
    assert f"captured: {IMAGE}" in result.output


def test_a_version_is_deleted_once_nothing_rests_on_it(fleet: Path, tmp_path: Path) -> None:
    refused = call("delete", f"{IMAGE}@{_FULL}", "--yes", fleet=fleet)
    asked = call("delete", f"{IMAGE}@{_INCREMENT}", "--yes", fleet=fleet)

    assert (refused.exit_code, asked.exit_code) == (1, 0)
    assert f"{IMAGE}@{_INCREMENT} holds only the difference to it" in refused.output
    with Ledger(tmp_path / "state") as ledger:
        assert {removal.stamp for removal in ledger.view().removals} == {"20261121t020000z"}
        assert ledger.events(f"Image/{IMAGE}")[0].event == "requested"
    assert "to be deleted, as was asked" in call("versions", fleet=fleet).stdout


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (_NEWEST, "its VM would be restored from"),
        ("latest", "name the version by its instant"),
        ("2020-01-01T00:00Z", "has 3, the newest"),
        ("yesterday", "names no version"),
    ],
)
def test_what_may_not_be_deleted_says_why(fleet: Path, tmp_path: Path, name: str, why: str) -> None:
    result = call("delete", f"{IMAGE}@{name}", "--yes", fleet=fleet)

    assert result.exit_code == 1
    assert why in result.output
    with Ledger(tmp_path / "state") as ledger:
        assert ledger.view().removals == frozenset()


def test_delete_asks_and_where_nobody_answers_says_how(fleet: Path) -> None:
    assert "add --yes" in call("delete", f"{IMAGE}@{_INCREMENT}", fleet=fleet).output


def test_a_disk_is_exported_with_its_checksum(fleet: Path, tmp_path: Path) -> None:
    content = b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(8) + bytes(4) + (16).to_bytes(4, "big") + bytes(1000)
    stored = _stored(_VERSIONS[2], content)
    with Ledger(tmp_path / "state") as ledger:
        ledger.note_versions([stored])
    session = Session([EMPTY])
    session.files = Files({stored.disks[0].volume: content})

    result = call("export", f"{IMAGE}@latest/root", str(tmp_path / "web.qcow2"), fleet=fleet, session=session)

    assert result.exit_code == 0, result.output
    assert (tmp_path / "web.qcow2").read_bytes() == content
    assert stored.disks[0].digest in result.stderr


def _stored(each: ImageVersion, content: bytes) -> ImageVersion:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return replace(each, disks=(replace(each.disks[0], size=len(content), digest=digest),))


def test_export_of_a_disk_that_is_not_there_names_those_that_are(fleet: Path, tmp_path: Path) -> None:
    result = call("export", f"{IMAGE}@latest/data", str(tmp_path / "x"), fleet=fleet)

    assert result.exit_code == 1
    assert "disks: root" in result.output
