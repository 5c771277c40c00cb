"""The small fleet that `init` writes: this machine, a pool, a network where it may have one, one VM."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from reconciler.errors import UsageError

_MODELINE: Final = "# yaml-language-server: $schema=./schema.json\n"
_SYSTEM_SOCKETS: Final = (Path("/run/libvirt/libvirt-sock"), Path("/run/libvirt/virtqemud-sock"))
_QCOW2_MAGIC: Final = b"QFI\xfb"


class Machine(Struct, frozen=True):
    """What this machine offers a first fleet."""

    uri: Literal["qemu:///system", "qemu:///session"]
    kvm: bool
    pool: Path


def look_at_machine() -> Machine:
    """The system's libvirtd where this user may use it, the user's own elsewhere."""
    kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
    if os.geteuid() == 0 or any(os.access(socket, os.W_OK) for socket in _SYSTEM_SOCKETS):
        return Machine("qemu:///system", kvm, Path("/var/lib/libvirt/images/reconciler"))
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Machine("qemu:///session", kvm, data / "reconciler" / "vms")


def starter_files(machine: Machine, image: Path | None) -> dict[str, str]:
    """Text by file name; raises UsageError if `image` can't be read."""
    files = {"hosts.yaml": _host(machine), "storage.yaml": _storage(machine, image), "vms.yaml": _vm(machine, image)}
    if machine.uri == "qemu:///system":
        files["networks.yaml"] = _NETWORK
    return {name: _MODELINE + text for name, text in files.items()}


def _host(machine: Machine) -> str:
    return f"""\
# This machine. Others: uri: qemu+ssh://root@h2.example/system
apiVersion: reconciler/v1
kind: Host
metadata: {{name: local}}
spec:
  uri: {machine.uri}
  reserved: {{memory: 1GiB}}
  # What can switch this host off, so that its VMs may run elsewhere once it is dead; then reconciler fence test --all
  # fencing:
  #   - agent: fence_ipmilan
  #     parameters: {{ip: 10.1.0.11, username: admin, lanplus: "1", cipher: "3"}}
  #     secrets: {{password: {{file: local-bmc}}}}   # /etc/reconciler/credentials/local-bmc, 0600
"""


def _storage(machine: Machine, image: Path | None) -> str:
    pool = f"""\
apiVersion: reconciler/v1
kind: StoragePool
metadata: {{name: vms}}
spec: {{type: dir, target: {machine.pool}}}
"""
    if image is None:
        return f"""\
{pool}
# An image that disks start from; then, in vms.yaml, disks: [{{name: root, image: debian-12, size: 20GiB, pool: vms}}]
# ---
# apiVersion: reconciler/v1
# kind: Image
# metadata: {{name: debian-12}}
# spec:
#   source: {{path: ./debian-12-genericcloud-amd64.qcow2}}
#   format: qcow2
"""
    return f"""\
{pool}---
apiVersion: reconciler/v1
kind: Image
metadata: {{name: first}}
spec:
  source: {{path: "{image.resolve()}"}}
  format: {_format(image)}
"""


def _format(image: Path) -> str:
    """The format to declare; it is inspected again before it is used."""
    try:
        with image.open("rb") as file:
            return "qcow2" if file.read(4) == _QCOW2_MAGIC else "raw"
    except OSError as error:
        raise UsageError(f"image {image} can't be read: {error.strerror}", hint="name another --image") from error


_NETWORK: Final = """\
apiVersion: reconciler/v1
kind: Network
metadata: {name: lan}
spec: {mode: nat, subnet: 192.168.150.0/24, dhcp: true}
"""


def _vm(machine: Machine, image: Path | None) -> str:
    disk = "{name: root, image: first, pool: vms}" if image else "{name: root, size: 1GiB, pool: vms}"
    network = "  networks:\n    - {network: lan}\n" if machine.uri == "qemu:///system" else ""
    return f"""\
apiVersion: reconciler/v1
kind: VirtualMachine
metadata: {{name: hello, labels: {{app: hello}}}}
spec:
  domainType: {"kvm" if machine.kvm else "qemu"}
  cpu: {{count: 1{"" if machine.kvm else ", model: qemu64"}}}
  memory: 256MiB
  disks:
    - {disk}
{network}  # How it is changed while it runs: live does at once what it can, the rest with the next boot;
  # stage waits for that with all; restart shuts it down where a change needs it.
  # updatePolicy: live
  # What it may use of a disk and a network, which can be changed at any time:
  # of a disk   ioTune: {{totalBytes: 50MiB/s, totalIops: 500}}
  # of a card   bandwidth: {{inbound: {{average: 10MiB/s}}, outbound: {{average: 10MiB/s}}}}
  # What becomes of its disks once it leaves these files: retain, or delete.
  # deletionPolicy: retain
"""
