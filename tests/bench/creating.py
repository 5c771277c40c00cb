"""Twenty VMs made and started, from a base that is in the pool already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from reconciler.hypervisor.domain_xml import render
from reconciler.hypervisor.volume_xml import render_volume
from reconciler.model.inventory import ObservedVolume
from tests.bench.bench import Bench
from tests.bench.fleets import applied, loaded, volume_of
from tests.bench.measuring import Row, Target, by_turns, process_seconds, reconciler
from tests.lab.controller import POOL, facility_specs, vm_spec
from tests.lab.guest import tiny_image
from tests.lab.host import LabHost

_COUNT: Final = 20
_SIZE: Final = 96 << 20
# What somebody with a shell would write: four VMs at a time, each in its own order.
_SCRIPT: Final = """\
seq {count} | xargs -P 4 -I N sh -ec '
  virsh -q -c {uri} "vol-create {pool} {folder}/vN.xml; define {folder}/dN.xml; start new-N"'
"""


def measure(bench: Bench) -> Iterator[Row]:
    """`reconciler apply`, a whole process with both its looks at the host, beside virsh in a shell."""
    host = bench.fresh_lab().hosts[0]
    folder = bench.place("creating")
    specs, state = folder / "specs", folder / "state"
    (specs / "vms").mkdir(parents=True)
    uri = f"apiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: {host.name}}}\n"
    (specs / "hosts.yaml").write_text(
        f"{uri}spec: {{uri: '{host.uri}', reserved: {{memory: 1MiB}}, overcommit: {{cpu: 64}}}}\n"
    )
    (specs / "facilities.yaml").write_text(facility_specs(bench.lab, tiny_image()))
    names = [f"new-{number}" for number in range(1, _COUNT + 1)]
    # One that stays and is off: it holds the base in the pool, which would be collected otherwise.
    (specs / "vms" / "keeper.yaml").write_text(vm_spec("keeper", extra="runStrategy: Halted"))
    process_seconds(reconciler("apply", specs, state, "--yes"))
    for name in names:
        (specs / "vms" / f"{name}.yaml").write_text(vm_spec(name, memory="96MiB"))
    _write_for_virsh(host, specs, folder, bench.lab.shared / POOL, names)
    script = _SCRIPT.format(count=_COUNT, uri=host.uri, pool=POOL, folder=folder)
    ours, theirs = by_turns(
        bench.few,
        lambda: process_seconds(reconciler("apply", specs, state, "--yes")),
        lambda: process_seconds(["sh", "-ec", script]),
        between=lambda: _remove(host, names),
    )
    yield Row(
        f"create and start {_COUNT} VMs, base in the pool",
        ours,
        Target(1.2, "ratio"),
        "virsh, four at a time",
        theirs,
    )


def _write_for_virsh(host: LabHost, specs: Path, folder: Path, pool: Path, names: list[str]) -> None:
    """The XML of the same volumes and domains as the product makes."""
    desired = loaded(specs)
    base = next(path for path in pool.iterdir() if path.name.startswith("default.base-") and path.suffix == ".qcow2")
    backing = ObservedVolume(base.name, str(base), "qcow2", _SIZE, 0)
    for number, name in enumerate(names, start=1):
        volume = render_volume(volume_of(name), format="qcow2", capacity=_SIZE, backing=backing)
        (folder / f"v{number}.xml").write_text(volume)
        config = applied(desired, desired.vms[name], host.name, str(pool), "q35")
        # Without the mark the product does not take what virsh made for its own.
        (folder / f"d{number}.xml").write_text(render(replace(config, mark=None)))


def _remove(host: LabHost, names: list[str]) -> None:
    host.virsh(
        "; ".join(f"destroy {name}; undefine {name}; vol-delete {volume_of(name)} {POOL}" for name in names),
        timeout=120,
    )
