"""Whatever stands in a directory of specs, loading gives objects or problems, never an exception."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.problem_formats import FORMATS
from reconciler.model.resource import KINDS, ObjectRef
from reconciler.specfiles.last_good import objects_of
from reconciler.specfiles.loader import LoadedSpecs, load
from reconciler.specfiles.problem_codes import CODES

pytestmark = pytest.mark.no_cover  # a tracer makes it twice as long, and adds next to no line

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["2GiB", "lan", "vms", "web-1", "h1"])
)
# fmt: off
WORDS = st.sampled_from(
    [
        "apiVersion", "kind", "metadata", "name", "labels", "annotations", "spec", "memory", "cpu", "count",
        "max", "disks", "pool", "image", "size", "networks", "network", "mac", "cloudInit", "userData",
        "placement", "hosts", "nodeSelector", "spread", "ha", "uri", "fencing", "agent", "parameters",
        "secrets", "type", "target", "source", "url", "path", "checksum", "format", "mode", "subnet",
        "bridge",
    ]
) | st.text(max_size=5)
# fmt: on
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=12
)
OBJECTS = st.fixed_dictionaries(
    {"apiVersion": st.just("reconciler/v1"), "kind": st.sampled_from(KINDS)},
    optional={
        "metadata": st.fixed_dictionaries({"name": st.sampled_from(["a", "b"])}, optional={"labels": VALUES}) | VALUES,
        "spec": st.dictionaries(WORDS, VALUES, max_size=6) | VALUES,
    },
)


def load_texts(*texts: bytes, directory: Path, previous: LoadedSpecs | None = None) -> LoadedSpecs:
    for number, text in enumerate(texts):
        directory.joinpath(f"{number}.yaml").write_bytes(text)
    return load(directory, fleet="test", previous=previous)


def assert_sane(loaded: LoadedSpecs) -> None:
    for problem in loaded.problems:
        assert problem.code in CODES
        assert min(problem.where.line, problem.where.column, problem.width) >= 1
        assert problem.message
    assert all(render(loaded.problems).endswith("\n") for render in FORMATS.values()) or not loaded.problems


def named(objects: list[Any]) -> set[ObjectRef]:
    """References of all objects whose kind and name can be read."""
    metadata = [(data["kind"], data.get("metadata")) for data in objects if isinstance(data, dict) and "kind" in data]
    return {
        ObjectRef(kind, inner["name"])
        for kind, inner in metadata
        if kind in KINDS and isinstance(inner, dict) and inner.get("name") in ("a", "b")
    }


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_random_bytes_give_problems_or_nothing(texts: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        assert_sane(load_texts(*texts, directory=Path(directory)))


@given(st.text(alphabet="abk:{}[]-&*!|>#'\"%@`,? \n\t12", max_size=120))
@settings(max_examples=200, deadline=None)
def test_garbage_that_looks_like_yaml_gives_problems_or_nothing(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        assert_sane(load_texts(text.encode(), directory=Path(directory)))


@given(st.lists(OBJECTS, min_size=1, max_size=4), st.lists(OBJECTS | VALUES, min_size=1, max_size=3))
@settings(max_examples=250, deadline=None)
def test_no_object_is_silently_ignored_nor_lost(first: list[Any], second: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        before = load_texts(yaml.safe_dump_all(first).encode(), directory=directory)
        after = load_texts(yaml.safe_dump_all(second).encode(), previous=before, directory=directory)

    for loaded, objects in ((before, first), (after, second)):
        assert_sane(loaded)
        known = objects_of(loaded).keys() | loaded.unusable.keys()
        assert named(objects) <= known or any(problem.code == "S010" for problem in loaded.problems)
    gone = objects_of(before).keys() - objects_of(after).keys()
    assert not gone & named(second)
