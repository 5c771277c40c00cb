"""Networks as libvirt's XML."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Final, Literal, cast

from reconciler.hypervisor.xml_nodes import Node, attribute, from_text, node, text_of, to_text
from reconciler.model.inventory import ObservedNetwork
from reconciler.model.steps import NetworkConfig

_FORWARD: Final = {"nat": "nat", "routed": "route", "bridge": "bridge"}
_MODES: Final = {forward: mode for mode, forward in _FORWARD.items()}


def render_network(config: NetworkConfig) -> str:
    """XML that defines the network; the host takes the first address of the subnet, DHCP gives out all others."""
    forward = _FORWARD.get(config.mode)
    return to_text(
        node(
            "network",
            node("name", text=config.name),
            node("uuid", text=config.uuid),
            *([] if forward is None else [node("forward", mode=forward)]),
            *([] if config.bridge is None else [node("bridge", name=config.bridge)]),
            *([] if config.subnet is None else [_address(IPv4Network(config.subnet), dhcp=config.dhcp)]),
        )
    )


def _address(subnet: IPv4Network, *, dhcp: bool) -> Node:
    given_out = node("dhcp", node("range", start=str(subnet[2]), end=str(subnet[-2])))
    return node("ip", *([given_out] if dhcp else []), address=str(subnet[1]), netmask=str(subnet.netmask))


def parse_network(xml: str, *, active: bool, autostart: bool) -> ObservedNetwork:
    """The network as its inactive XML tells it."""
    root = from_text(xml)
    address = next((each for each in root.iterfind("ip") if each.get("family", "ipv4") == "ipv4"), None)
    forward = root.find("forward")
    mode = "isolated" if forward is None else _MODES.get(forward.get("mode", "nat"), "other")
    return ObservedNetwork(
        name=text_of(root, "name"),
        uuid=text_of(root, "uuid"),
        active=active,
        autostart=autostart,
        mode=cast("Literal['nat', 'isolated', 'routed', 'bridge', 'other']", mode),
        bridge=attribute(root, "bridge", "name") or None,
        subnet=None if address is None else _subnet(address),
        dhcp=address is not None and address.find("dhcp") is not None,
    )


def _subnet(address: Node) -> str | None:
    prefix = address.get("prefix") or address.get("netmask")
    own = address.get("address")
    return str(IPv4Network(f"{own}/{prefix}", strict=False)) if own and prefix else None
