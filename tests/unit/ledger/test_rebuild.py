"""A lost ledger comes back from the marks on the hosts."""

from __future__ import annotations

from pathlib import Path

from reconciler.ledger.rebuild import adopt_marks
from reconciler.ledger.store import Ledger
from reconciler.model.domain import DomainConfig, DomainState, OwnershipMark
from reconciler.model.identity import vm_uuid
from reconciler.model.inventory import HostFacts, HostInventory, Inventory, ObservedDomain
from reconciler.model.ledger import Placement

FACTS = HostFacts("u", "h", 1 << 34, 8, "x86_64", ("qemu",), 9000000)


def domain(
    vm: str, epoch: int, *, fleet: str = "f", uuid: str | None = None, state: DomainState = "shutoff"
) -> ObservedDomain:
    config = DomainConfig(
        name=vm,
        uuid=uuid or vm_uuid("f", vm),
        domain_type="qemu",
        machine="q35",
        firmware="bios",
        vcpus=1,
        max_vcpus=1,
        cpu_model="host-model",
        memory=1 << 28,
        max_memory=1 << 28,
        disks=(),
        nics=(),
        seed=None,
        graphics="none",
        agent_channel=True,
        serial_console=True,
        console_log=None,
        rng=True,
        balloon=True,
        autostart=False,
        mark=OwnershipMark(fleet, vm, epoch, "s", "g"),
    )
    return ObservedDomain(vm, config.uuid, state, persistent=True, config=config, live=None, fingerprint="x")


def inventory(**hosts: list[ObservedDomain]) -> Inventory:
    return Inventory(
        hosts={
            name: HostInventory(name, 0.0, FACTS, {found.name: found for found in domains}, {}, {})
            for name, domains in hosts.items()
        }
    )


def test_placements_come_back_with_the_highest_epoch(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        adopted = adopt_marks(ledger, inventory(h1=[domain("a", 1)], h2=[domain("a", 2)]), "f", 7.0)

        assert adopted == (Placement("a", "h2", 2, 7.0),)
        assert ledger.view().placements == {"a": Placement("a", "h2", 2, 7.0)}


def test_of_equal_epochs_the_running_copy_is_the_placement(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        found = inventory(h1=[domain("a", 1)], h2=[domain("a", 1, state="running")], h3=[domain("a", 1)])

        assert adopt_marks(ledger, found, "f", 0.0)[0].host == "h2"


def test_of_equal_copies_the_first_host_is_the_placement(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert adopt_marks(ledger, inventory(h2=[domain("a", 1)], h1=[domain("a", 1)]), "f", 0.0)[0].host == "h1"


def test_known_placements_stand(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 2, 0.0)

        assert adopt_marks(ledger, inventory(h1=[], h2=[domain("a", 1)]), "f", 1.0) == ()
        assert ledger.placement("a") == Placement("a", "h1", 2, 0.0)


def test_ledger_out_of_an_old_backup_learns_the_newer_epoch(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 2, 0.0)

        adopt_marks(ledger, inventory(h2=[domain("a", 3)]), "f", 1.0)

        assert ledger.placement("a") == Placement("a", "h2", 3, 1.0)


def test_domains_of_others_and_clones_are_not_adopted(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        found = inventory(
            h1=[domain("a", 1, fleet="other"), domain("b", 1, uuid="00000000-0000-4000-8000-000000000000")]
        )

        assert adopt_marks(ledger, found, "f", 0.0) == ()
