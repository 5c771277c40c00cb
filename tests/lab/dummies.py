"""Domains, networks and pools for tests of the lab itself: nothing to boot, so they start at once."""

from pathlib import Path


def dummy_domain(name: str, *, network: str | None = None, bios_on_serial: bool = False) -> str:
    """A diskless domain of 16 MiB; with `bios_on_serial` its firmware greets on the serial console."""
    interface = f"<interface type='network'><source network='{network}'/><model type='virtio'/></interface>"
    return f"""\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>{"<bios useserial='yes'/>" if bios_on_serial else ""}</os>
  <devices>
    <controller type='usb' model='none'/>
    {interface if network else ""}
    <serial type='pty'><log file='/var/log/libvirt/qemu/{name}.console.log' append='on'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def nat_network(name: str, subnet_number: int) -> str:
    """A NAT network 192.168.N.0/24 with DHCP."""
    prefix = f"192.168.{subnet_number}"
    return f"""\
<network>
  <name>{name}</name>
  <forward mode='nat'/>
  <ip address='{prefix}.1' netmask='255.255.255.0'>
    <dhcp><range start='{prefix}.10' end='{prefix}.99'/></dhcp>
  </ip>
</network>
"""


def dir_pool(name: str, folder: Path) -> str:
    return f"<pool type='dir'><name>{name}</name><target><path>{folder}</path></target></pool>"
