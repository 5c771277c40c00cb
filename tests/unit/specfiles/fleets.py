"""Small fleets written to a directory, for the tests of the loader."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from reconciler.model.desired_state import SpecProblem
from reconciler.specfiles.loader import ImageSize, LoadedSpecs, load

BASE = """\
apiVersion: reconciler/v1
kind: Host
metadata: {name: h1, labels: {rack: a}}
spec: {uri: "qemu+ssh://h1.example/system"}
---
apiVersion: reconciler/v1
kind: Host
metadata: {name: h2, labels: {rack: b}}
spec: {uri: "qemu+ssh://h2.example/system"}
---
apiVersion: reconciler/v1
kind: StoragePool
metadata: {name: vms}
spec: {type: dir, target: /srv/vms, shared: true}
---
apiVersion: reconciler/v1
kind: Network
metadata: {name: lan}
spec: {mode: nat, subnet: 192.168.150.0/24}
---
apiVersion: reconciler/v1
kind: Image
metadata: {name: debian}
spec: {source: {path: debian.qcow2}, format: qcow2}
"""


def vm(name: str, spec: str = "memory: 1GiB", labels: str = "{}") -> str:
    """One VM; `spec` is the inside of a flow mapping."""
    return dedent(
        f"""\
        apiVersion: reconciler/v1
        kind: VirtualMachine
        metadata: {{name: {name}, labels: {labels}}}
        spec: {{{spec}}}
        """
    )


def document(kind: str, name: str, spec: str, labels: str = "{}") -> str:
    """One object of any kind."""
    return vm(name, spec, labels).replace("VirtualMachine", kind)


def write(directory: Path, **files: str) -> Path:
    """Write `NAME.yaml` for each; return the directory."""
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


def load_fleet(
    directory: Path, previous: LoadedSpecs | None = None, image_size: ImageSize | None = None
) -> LoadedSpecs:
    return load(directory, fleet="test", previous=previous, image_size=image_size)


def summary(problem: SpecProblem) -> tuple[str, int, int, str, str, str]:
    """File name, line, column, code, target and field."""
    where = problem.where
    return (Path(where.file).name, where.line, where.column, problem.code, problem.target, problem.field)


def codes(loaded: LoadedSpecs) -> list[str]:
    return [problem.code for problem in loaded.problems]


def only(loaded: LoadedSpecs) -> SpecProblem:
    """The one problem that there is."""
    (problem,) = loaded.problems
    return problem
