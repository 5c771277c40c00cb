"""Which fence device a level means, and whether the devices are those that were tested."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from reconciler.model.fencing_parameters import canonical_name, canonical_parameters, is_secret
from reconciler.model.host import FencingLevel, Host

GUID_ANNOTATION: Final = "reconciler/bmc-guid"
"""Annotation of a host whose BMC has a GUID of its own: the GUID that was found and is right."""
_USUAL_PORTS: Final = frozenset({"22", "161", "443", "623"})
"""ssh, SNMP, HTTPS and IPMI: where agents look for the device if no port is named."""

OUTLET_AGENTS: Final = frozenset(
    (
        *("fence_apc", "fence_apc_snmp", "fence_eaton_snmp", "fence_eaton_ssh", "fence_emerson", "fence_epsr2"),
        *("fence_ipdu", "fence_netio", "fence_raritan", "fence_raritan_px3", "fence_tripplite_snmp", "fence_wti"),
    )
)
"""Agents that switch an outlet, of which a host may have several."""


def devices_hash(host: Host) -> str:
    """Hash of the host's fencing levels, secrets left out: a test of other levels says nothing about these."""
    levels = [
        {
            "agent": level.agent,
            "parameters": {
                canonical_name(name): "" if is_secret(name) else value for name, value in level.parameters.items()
            },
            "secrets": {canonical_name(name): [ref.file, ref.env] for name, ref in level.secrets.items()},
        }
        for level in host.spec.fencing
    ]
    return hashlib.sha256(json.dumps(levels, sort_keys=True).encode()).hexdigest()[:32]


def device_text(level: FencingLevel) -> str:
    """The device for people: `10.1.0.11`, `10.1.0.250 plug 3`."""
    values = canonical_parameters(level)
    address = values.get("ip", "")
    if address and values.get("ipport", "") not in {"", *_USUAL_PORTS}:
        address = f"{address}:{values['ipport']}"
    plug = values.get("plug") or values.get("systems_uri") or values.get("target") or ""
    return " ".join(part for part in (address, f"plug {plug}" if plug else "") if part) or level.agent


def device_keys(level: FencingLevel) -> frozenset[tuple[str, str]]:
    """Device and plug, once for each plug; two hosts with one in common would be cut off together.

    Empty where the specs alone don't tell: the address is a secret, or goes by another name.
    """
    values = canonical_parameters(level)
    hidden = {canonical_name(name) for name in level.secrets} & {"ip", "plug"}
    if hidden or not {"ip", "plug"} & values.keys():
        return frozenset()
    port = values.get("ipport", "")
    address = values.get("ip", level.agent).lower()
    device = address if port in {"", *_USUAL_PORTS} else f"{address} port {port}"
    system = values.get("systems_uri") or values.get("target") or ""
    return frozenset((device, _outlet(plug.strip(), values) or system) for plug in values.get("plug", "").split(","))


def _outlet(plug: str, values: dict[str, str]) -> str:
    """`2:3` for outlet 3 of switch 2, whichever way it is written; switches of a device begin at 1."""
    if not plug:
        return ""
    switch, _, outlet = plug.rpartition(":")
    return f"{switch or values.get('switch', '1')}:{outlet}"
