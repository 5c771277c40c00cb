"""A NoCloud seed says what it was given, in a form that cloud images read."""

from __future__ import annotations

import io
import os
import subprocess
import time
from pathlib import Path

import pycdlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.images.cloud_init import seed_iso
from reconciler.model.seed import seed_hash
from reconciler.model.steps import SeedContent

CONTENT = SeedContent("web-1-1", "web-1", "#cloud-config\nhostname: wéb\n", "version: 2\n")


def read(iso: bytes, **path: str) -> bytes:
    opened = pycdlib.PyCdlib()
    opened.open_fp(io.BytesIO(iso))
    data = io.BytesIO()
    opened.get_file_from_iso_fp(data, **path)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["rr_path", "joliet_path"])
def test_the_files_are_there_by_both_kinds_of_name(kind: str) -> None:
    iso = seed_iso(CONTENT)

    assert read(iso, **{kind: "/user-data"}).decode() == CONTENT.user_data
    assert read(iso, **{kind: "/network-config"}).decode() == CONTENT.network_config
    assert read(iso, **{kind: "/meta-data"}) == b'instance-id: "web-1-1"\nlocal-hostname: "web-1"\n'


def test_no_network_config_makes_no_file() -> None:
    iso = seed_iso(replace(CONTENT, network_config=None))

    with pytest.raises(pycdlib.pycdlibexception.PyCdlibInvalidInput):
        read(iso, joliet_path="/network-config")


def test_the_label_is_what_cloud_init_looks_for(tmp_path: Path) -> None:
    (tmp_path / "seed.iso").write_bytes(seed_iso(CONTENT))

    label = subprocess.run(
        ["/usr/sbin/blkid", "-p", "-o", "value", "-s", "LABEL", tmp_path / "seed.iso"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert label.stdout.strip() == "cidata"


def test_the_same_content_makes_the_same_bytes_at_any_time_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    here = seed_iso(CONTENT)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.5)
    monkeypatch.setitem(os.environ, "TZ", "Asia/Tokyo")
    time.tzset()

    there = seed_iso(CONTENT)

    monkeypatch.undo()
    time.tzset()
    assert there == here


def test_a_large_seed_is_whole() -> None:
    content = replace(CONTENT, user_data="#cloud-config\n" + "# x\n" * 100_000)

    assert read(seed_iso(content), rr_path="/user-data").decode() == content.user_data


def test_the_hash_of_a_seed_is_fixed() -> None:
    """Volumes are named by it: another value would make every seed anew."""
    assert seed_hash(CONTENT)[:16] == "64afabb071d3b57c"


TEXT = st.text(max_size=8)
CONTENTS = st.builds(SeedContent, TEXT, TEXT, TEXT, st.none() | TEXT)


@given(CONTENTS, CONTENTS)
def test_hashes_differ_exactly_where_contents_do(one: SeedContent, other: SeedContent) -> None:
    assert (seed_hash(one) == seed_hash(other)) == (one == other)
