"""`init`: a first fleet that is valid, and shows what a newcomer has to know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.specfiles.loader import load
from tests.unit.cli.calling import invoke

pytestmark = pytest.mark.usefixtures("_own_environment")


def test_init_writes_a_fleet_that_validates(tmp_path: Path) -> None:
    directory = tmp_path / "new"

    made = invoke("init", directory)
    checked = invoke("validate", directory)

    assert made.exit_code == 0
    assert checked.exit_code == 0, checked.stdout
    assert all(
        file.read_text().startswith("# yaml-language-server: $schema=./schema.json\n")
        for file in directory.glob("*.yaml")
    )


def test_init_shows_what_decides_over_running_guests_and_kept_disks(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    invoke("init", directory)
    file = directory / "vms.yaml"

    shown = file.read_text()
    file.write_text(re.sub(r"# (\w+Policy: \w+)$", r"\1", shown, flags=re.MULTILINE))
    spec = load(directory, fleet="default").vms["hello"].spec

    assert "# updatePolicy: live" in shown
    assert "# deletionPolicy: retain" in shown
    assert {"update_policy", "deletion_policy"} <= spec.model_fields_set


def test_init_with_an_image_declares_the_format_that_it_has(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(b"\0" * 1024)

    invoke("init", tmp_path / "new", "--image", image)

    assert "format: raw" in (tmp_path / "new" / "storage.yaml").read_text()


def test_init_leaves_a_directory_alone_that_is_not_empty(specs: Path) -> None:
    (specs / "mine.txt").write_text("")

    result = invoke("init", specs)

    assert result.exit_code == 1
    assert [file.name for file in specs.iterdir()] == ["mine.txt"]
