"""A fleet whose power is in a rack of devices, for the fence commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import Result
from msgspec.structs import replace

from reconciler.cli.outside import Outside, Session
from reconciler.config import Settings
from reconciler.hypervisor.interface import Fleet
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.ledger.store import Ledger
from reconciler.model.health import Incident
from reconciler.model.host import Host
from reconciler.specfiles.loader import load
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.plans import NOW
from tests.unit.cli.worlds import FakeSession, doors
from tests.unit.fencing.rack import AGENT, Rack

INCIDENT = Incident("i7", "h1", opened=NOW, last_seen=NOW - 6)


@dataclass(slots=True)
class _Hosts(FakeSession):
    simulated: SimulatedFleet = field(default_factory=SimulatedFleet)

    @property
    def fleet(self) -> Fleet:
        return self.simulated


@dataclass
class World:
    """A fleet of h1 and h2 whose power is in the rack; h1 has the device, h2 has none."""

    folder: Path
    rack: Rack
    outlet: Path
    hosts: SimulatedFleet = field(default_factory=SimulatedFleet)

    def call(self, *arguments: object) -> Result:
        places = ("--specs", self.folder / "fleet", "--config", self.folder / "config.yaml")
        return invoke("fence", *arguments, *places, onto=self._doors())

    def ledger(self) -> Ledger:
        return Ledger(self.folder / "state")

    def write(self, mode: str = "obey", level: str = "") -> None:
        level = level or f"{{agent: {AGENT}, parameters: {{plug: '{self.outlet}', mode: {mode}}}}}"
        specs = "".join(
            f"---\napiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: {name}}}\n"
            f"spec: {{uri: 'qemu+ssh://{name}/system', fencing: [{levels}]}}\n"
            for name, levels in (("h1", level), ("h2", ""))
        )
        (self.folder / "fleet" / "hosts.yaml").write_text(specs)

    def host(self) -> Host:
        """h1 as it is in the specs."""
        return load(self.folder / "fleet", fleet="default").hosts["h1"]

    def _doors(self) -> Outside:
        session = _Hosts([EMPTY], simulated=self.hosts)

        @contextmanager
        def open_session(settings: Settings, writer: str | None) -> Iterator[Session]:
            del settings, writer
            yield session

        return replace(doors(session), open_session=open_session)
