"""A domain configuration as libvirt's XML, for a domain that does not exist yet.

    DomainConfig ──render──▶ XML ──libvirt──▶ XML with its defaults ──parse──▶ the same DomainConfig

What a spec does not express gets a value here once and is left alone afterwards; `domain_amend` keeps it.
"""

from __future__ import annotations

from reconciler.hypervisor.domain_mark import render_mark
from reconciler.hypervisor.domain_parse import ParsedDomain, parse
from reconciler.hypervisor.domain_parts import (
    all_disks,
    is_q35,
    render_agent_channel,
    render_balloon,
    render_clock,
    render_cpu,
    render_description,
    render_disk,
    render_firmware,
    render_memory,
    render_nic,
    render_pcie_ports,
    render_rng,
    render_scsi_controller,
    render_serial,
    render_tpm,
    render_vcpu,
    render_vnc,
    render_watchdog,
)
from reconciler.hypervisor.xml_nodes import Node, node, to_text
from reconciler.model.domain import DomainConfig

__all__ = ["ParsedDomain", "parse", "render"]


def render(config: DomainConfig) -> str:
    """XML that defines the domain; values can't become markup. Memory is rounded up to whole KiB."""
    return to_text(
        node(
            "domain",
            node("name", text=config.name),
            node("uuid", text=config.uuid),
            *render_description(config),
            *([] if config.mark is None else [node("metadata", render_mark(config.mark))]),
            *render_memory(config),
            render_vcpu(config),
            _os(config),
            _features(config),
            *([render_cpu(config.cpu_model, config.domain_type)] if config.cpu_model else []),
            render_clock(config.clock),
            node("on_poweroff", text="destroy"),
            node("on_reboot", text="restart"),
            # The controller decides what a crash leads to; libvirt's own restart would hide it.
            node("on_crash", text="destroy"),
            node("devices", *_devices(config)),
            type=config.domain_type,
        )
    )


def _os(config: DomainConfig) -> Node:
    machine = {"machine": config.machine} if config.machine else {}
    parts = [node("type", text="hvm", **machine)]
    if config.firmware == "bios":
        return node("os", *parts, node("boot", dev="hd"))
    return node("os", *parts, render_firmware(config), node("boot", dev="hd"), firmware="efi")


def _features(config: DomainConfig) -> Node:
    management_mode = [node("smm", state="on")] if config.firmware == "uefi-secure" else []
    return node("features", node("acpi"), node("apic"), *management_mode)


def _devices(config: DomainConfig) -> list[Node]:
    disks = [render_disk(disk) for disk in config.disks]
    if config.seed is not None:
        disks.append(render_disk(config.seed, seed=True))
    scsi = any(disk.bus == "scsi" for disk in all_disks(config))
    return [
        *disks,
        *(render_pcie_ports(config) if is_q35(config.machine) else ()),
        *([render_scsi_controller()] if scsi else []),
        *(render_nic(nic) for nic in config.nics),
        *([render_serial(config.console_log)] if config.serial_console else []),
        *([render_agent_channel()] if config.agent_channel else []),
        *(render_vnc() if config.graphics == "vnc" else ()),
        *([render_rng()] if config.rng else []),
        *([render_watchdog(config.watchdog)] if config.watchdog is not None else []),
        *([render_tpm(config.tpm)] if config.tpm != "none" else []),
        render_balloon(config.balloon),
    ]
