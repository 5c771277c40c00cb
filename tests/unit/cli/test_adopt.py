"""`adopt`: specs of what is there on stdout, what they don't say on stderr, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from reconciler.hypervisor.interface import Fleet
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.domain import DomainConfig, OwnershipMark
from reconciler.model.inventory import Inventory
from tests.contract.objects import domain_config
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.worlds import FakeSession

pytestmark = pytest.mark.usefixtures("_own_environment")

HOST = "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec: {uri: 'qemu+ssh://h1.example/system'}\n"


class OneHost(FakeSession):
    """A session with a simulated host behind it."""

    def __init__(self, *configs: DomainConfig) -> None:
        self.hosts = SimulatedFleet(FakeClock())
        self.hosts.add_host("h1")
        for config in configs:
            self.hosts.people("h1").define(config)
        seen = Inventory(hosts={"h1": self.hosts.host("h1").read()})
        super().__init__([replace(EMPTY, inventory=seen)])

    @property
    def fleet(self) -> Fleet:
        return self.hosts


def found(name: str = "web-1") -> DomainConfig:
    """A domain without disks and cards that nobody manages."""
    return replace(domain_config(name), mark=None, disks=(), nics=(), seed=None)


def ours(name: str) -> DomainConfig:
    return replace(found(name), mark=OwnershipMark("default", name, 1, "", ""))


@pytest.fixture
def fleet(specs: Path) -> Path:
    (specs / "hosts.yaml").write_text(HOST)
    return specs


def test_a_spec_is_printed_that_names_the_domain_by_its_uuid(fleet: Path) -> None:
    result = invoke("adopt", "h1", "web-1", "--specs", fleet, onto=OneHost(found()))

    assert result.exit_code == 0, result.stderr
    assert yaml.safe_load(result.stdout)["metadata"] == {"name": "web-1", "adopt": found().uuid}
    assert "1 of 1 can be taken over as they are" in result.stderr


def test_all_leaves_out_what_is_managed(fleet: Path) -> None:
    result = invoke("adopt", "h1", "--all", "--specs", fleet, onto=OneHost(found(), ours("web-2")))

    assert [each["metadata"]["name"] for each in yaml.safe_load_all(result.stdout)] == ["web-1"]


def test_a_spec_that_would_be_refused_is_commented_out_and_fails(fleet: Path) -> None:
    odd = replace(found(), name="Web.1", uuid="11111111-2222-4333-8444-555555555555")

    result = invoke("adopt", "h1", "--all", "--specs", fleet, onto=OneHost(odd))

    assert result.exit_code == 1
    assert list(yaml.safe_load_all(result.stdout)) in ([], [None])
    assert "domrename Web.1 web-1" in result.stderr


def test_a_name_that_a_shell_would_take_apart_is_quoted_in_the_command(fleet: Path) -> None:
    result = invoke("adopt", "h1", "--all", "--specs", fleet, onto=OneHost(found("Web_Server 1")))

    assert "domrename 'Web_Server 1' web-server-1" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("h1",), "name a domain, or all of them with --all"),
        (("h1", "web-1", "--all"), "name a domain, or all of them with --all"),
        (("h9", "web-1"), "there is no Host/h9 in the specs"),
        (("h1", "wbe-1"), "h1 has no domain wbe-1"),
        (("h1", "web-2"), "is VirtualMachine/web-2 of fleet default already"),
    ],
)
def test_what_is_not_meant_is_refused_in_a_line(fleet: Path, words: tuple[str, ...], told: str) -> None:
    result = invoke("adopt", *words, "--specs", fleet, onto=OneHost(found(), ours("web-2")))

    assert result.exit_code == 1
    assert told in result.stderr
    assert result.stdout == ""
