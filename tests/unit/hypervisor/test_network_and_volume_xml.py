"""Networks and volumes there and back."""

import pytest

from reconciler.hypervisor.network_xml import parse_network, render_network
from reconciler.hypervisor.volume_xml import parse_volume, render_volume
from reconciler.model.inventory import ObservedVolume
from reconciler.model.steps import NetworkConfig
from tests.contract.objects import MIB, uuid_of


@pytest.mark.parametrize(
    ("mode", "bridge", "subnet", "dhcp"),
    [
        ("nat", None, "192.168.150.0/24", True),
        ("routed", None, "10.0.0.0/29", False),
        ("isolated", None, None, False),
        ("isolated", None, "10.9.0.0/16", True),
        ("bridge", "br0", None, False),
    ],
)
def test_a_rendered_network_says_what_was_asked_for(
    mode: str, bridge: str | None, subnet: str | None, *, dhcp: bool
) -> None:
    config = NetworkConfig("lan", uuid_of("lan"), mode, bridge, subnet, dhcp)  # type: ignore[arg-type]

    seen = parse_network(render_network(config), active=True, autostart=False)

    assert (seen.name, seen.uuid, seen.mode, seen.bridge) == ("lan", config.uuid, mode, bridge)
    assert (seen.subnet, seen.dhcp, seen.active, seen.autostart) == (subnet, dhcp, True, False)


def test_the_host_has_the_first_address_and_guests_the_others() -> None:
    xml = render_network(NetworkConfig("lan", uuid_of("lan"), "nat", None, "192.168.150.0/29", dhcp=True))

    assert 'address="192.168.150.1"' in xml
    assert 'start="192.168.150.2" end="192.168.150.6"' in xml


def test_an_overlay_names_its_base_and_the_format_that_was_declared() -> None:
    base = ObservedVolume("b", "/p/b.qcow2", "qcow2", MIB, 0)

    xml = render_volume("a", format="qcow2", capacity=2 * MIB, backing=base)

    assert parse_volume(xml).backing_path == "/p/b.qcow2"
    assert "<compat>1.1</compat>" in xml
    assert "<mode>0600</mode>" in xml
