"""A mistake in the shape of one object hides nothing else that is wrong, and nothing is made up because of it."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reconciler.model.desired_state import SpecProblem
from reconciler.model.identity import nic_mac
from reconciler.specfiles.loader import LoadedSpecs, load

pytestmark = pytest.mark.no_cover  # a tracer makes it twice as long, and adds next to no line

Object = dict[str, Any]
Place = tuple[str | int, ...]

RACKS = st.fixed_dictionaries({}, optional={"rack": st.sampled_from("ab")})
HOSTS = st.lists(st.sampled_from(["h1", "h2", "h9"]), max_size=2)
SELECTORS = st.fixed_dictionaries({}, optional={"names": HOSTS, "matchLabels": RACKS})
MACS = st.sampled_from(["52:54:00:00:00:01", nic_mac("test", "vm-1", 0)])


def parts(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries(
        {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in required.items()},
        optional=optional,
    )


SPECS = {
    "Host": parts({"uri": st.sampled_from([f"qemu+ssh://{name}.example/system" for name in "abcd"])}),
    "StoragePool": parts(
        {"type": st.sampled_from(["dir", "logical"]), "target": st.sampled_from(["/p", "/q"])}, hosts=SELECTORS
    ),
    "Network": parts(
        {"mode": "nat", "subnet": st.sampled_from(["10.0.0.0/16", "10.0.1.0/24", "10.9.0.0/24"])}, hosts=SELECTORS
    ),
    "Image": parts({"source": {"path": "debian.qcow2"}, "format": "qcow2"}),
    "VirtualMachine": parts(
        {"memory": "1GiB"},
        disks=st.lists(
            parts(
                {
                    "name": "root",
                    "pool": st.sampled_from(["pool-1", "pool-2", "poool"]),
                    "size": st.sampled_from(["1GiB", "9GiB"]),
                },
                image=st.sampled_from(["image-1", "image-9"]),
                format=st.just("qcow2"),
            ),
            max_size=1,
        ),
        networks=st.lists(
            parts({"network": st.sampled_from(["network-1", "network-2", "networc"])}, mac=MACS), max_size=2
        ),
        placement=parts({}, hosts=HOSTS, nodeSelector=RACKS, spread=parts({}, app=st.just("web"))),
    ),
}
NAMES = {"Host": "h", "StoragePool": "pool-", "Network": "network-", "Image": "image-", "VirtualMachine": "vm-"}


@st.composite
def fleets(draw: st.DrawFn) -> list[Object]:
    """One or two objects of each kind; references, claims and places may be wrong, the shape of each is right."""
    return [
        {
            "apiVersion": "reconciler/v1",
            "kind": kind,
            "metadata": {"name": f"{NAMES[kind]}{number}", "labels": draw(RACKS | st.just({"app": "web"}))},
            "spec": draw(SPECS[kind]),
        }
        for kind in SPECS
        for number in range(1, draw(st.integers(2, 3)))
    ]


def load_objects(objects: list[Object]) -> LoadedSpecs:
    with tempfile.TemporaryDirectory() as name:
        for number, item in enumerate(objects):
            Path(name, f"{number}.yaml").write_text(f"{json.dumps(item)}\n", encoding="utf-8")
        return load(Path(name), fleet="test", image_size=lambda _path, _format: 2 << 30)


def between(loaded: LoadedSpecs) -> set[tuple[str, str, str]]:
    """What is wrong between the objects; that too many share a spread rule is said at any one of them."""
    return {key(problem) for problem in loaded.problems if problem.code >= "S030"}


def key(problem: SpecProblem) -> tuple[str, str, str]:
    shared = problem.code == "S036" and "share the rule" in problem.message
    return "" if shared else problem.target, problem.code, problem.field


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Every key and list index below `value`."""
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, step)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, step))


def mappings(item: Object) -> list[Place]:
    """Where an unknown field can stand: labels and the like take any."""
    inner = [path for path in places(item) if isinstance(at(item, path), dict)]
    return [(), *(path for path in inner if path[-1] not in ("labels", "matchLabels", "nodeSelector", "spread"))]


def at(item: Any, path: Place) -> Any:
    for step in path:
        item = item[step]
    return item


def target(item: Object) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


@given(fleets(), st.data())
@settings(max_examples=100, deadline=None)
def test_an_unknown_field_hides_nothing_that_its_object_names_or_claims(
    fleet: list[Object], data: st.DataObject
) -> None:
    broken = copy.deepcopy(fleet)
    item = data.draw(st.sampled_from(broken))
    at(item, data.draw(st.sampled_from(mappings(item))))["zzz"] = 1

    right, wrong = load_objects(fleet), load_objects(broken)

    of_it = {problem for problem in between(right) if problem[0] == target(item)}
    assert {problem for problem in of_it if problem[1] in ("S030", "S031", "S032", "S033")} <= between(wrong)


@given(fleets(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_mistyped_name_hides_nothing_of_its_object(fleet: list[Object], data: st.DataObject) -> None:
    broken = copy.deepcopy(fleet)
    item = data.draw(st.sampled_from(broken))
    fields = [
        path for path in places(item) if path[-1] in ("spec", "networks", "network", "pool", "hosts", "placement")
    ]
    *owner, name = data.draw(st.sampled_from(fields))
    mapping = at(item, tuple(owner))
    mapping[f"{name}x"] = mapping.pop(name)

    right, wrong = load_objects(fleet), load_objects(broken)

    found = {
        (problem[1], problem[2].replace(f"{name}x", str(name)))
        for problem in between(wrong)
        if problem[0] == target(item)
    }
    assert found == {problem[1:] for problem in between(right) if problem[0] == target(item)}


@given(fleets(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_value_that_cannot_be_read_makes_up_no_other_problem(fleet: list[Object], data: st.DataObject) -> None:
    right = load_objects(fleet)
    # What hosts, pools and networks have wrong between them hides what VMs have wrong with these.
    assume(not any(code in ("S037", "S032") and not of.startswith("Virtual") for of, code, _ in between(right)))
    broken = copy.deepcopy(fleet)
    item = data.draw(st.sampled_from(broken))
    *owner, step = data.draw(st.sampled_from([path for path in places(item) if path[-1] not in ("kind", "name")]))
    mapping = at(item, tuple(owner))
    match data.draw(st.sampled_from(["wrong", "gone", "unknown"])):
        case "wrong":
            mapping[step] = data.draw(st.sampled_from([{"zzz": 1}, ["zzz"], 5, None]))
        case "gone" if isinstance(step, str) and step in (
            "memory",
            "pool",
            "network",
            "uri",
            "type",
            "spec",
            "metadata",
        ):
            del mapping[step]
        case _:
            mapping["zzz" if isinstance(step, str) else step] = mapping[step]
            if isinstance(step, str):
                del mapping[step]

    wrong = load_objects(broken)

    assume(target(fleet[broken.index(item)]) in {problem.target for problem in wrong.problems if problem.code < "S030"})
    # Whether a VM that names what does not exist fits a host is not judged.
    hidden = {(of, "S034", "spec.placement") for of, code, _ in between(right) if code == "S032"}
    assert between(wrong) <= between(right) | hidden
