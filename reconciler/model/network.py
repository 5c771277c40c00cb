"""Network: what VMs' NICs are plugged into."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from reconciler.model.resource import HostSelector, Model, Resource


def _ipv4_subnet(value: str) -> str:
    network = IPv4Network(value)
    if network.prefixlen > 29:
        raise ValueError(f"{value} is too small for a gateway and guests; use /29 or larger")
    return value


Subnet = Annotated[str, AfterValidator(_ipv4_subnet)]
BridgeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,15}$")]


class NetworkSpec(Model):
    """How the network reaches the world."""

    mode: Literal["nat", "isolated", "routed", "bridge", "existing"]
    """`bridge` uses a bridge of the host; `existing` uses a libvirt network of that name as it is."""
    bridge: BridgeName | None = None
    """The host's bridge, for mode `bridge`."""
    subnet: Subnet | None = None
    """IPv4 subnet whose first address is the host's; required for `nat` and `routed`."""
    dhcp: bool = False
    """Whether libvirt's dnsmasq gives out addresses of the subnet."""
    hosts: HostSelector = HostSelector()
    """Hosts that have the network; every host when absent."""

    @model_validator(mode="after")
    def _complete(self) -> NetworkSpec:
        if (self.bridge is not None) != (self.mode == "bridge"):
            raise ValueError("bridge: NAME and mode: bridge belong together")
        if self.mode in ("nat", "routed") and self.subnet is None:
            raise ValueError(f"mode {self.mode} needs a subnet, such as subnet: 192.168.150.0/24")
        if self.mode in ("bridge", "existing") and (self.subnet or self.dhcp):
            raise ValueError(f"mode {self.mode} takes no subnet and no dhcp: addresses there are not libvirt's")
        if self.dhcp and self.subnet is None:
            raise ValueError("dhcp needs a subnet")
        return self


class Network(Resource):
    """A libvirt network on some or all hosts."""

    kind: Literal["Network"]
    spec: NetworkSpec
