"""Writes fleets of realistic specs, for measuring: `python -m tests.bench_fleet DIRECTORY --vms 10000`."""

from __future__ import annotations

import argparse
from pathlib import Path

_FLEET = """\
# What all machines share.
apiVersion: reconciler/v1
kind: StoragePool
metadata: {name: vms}
spec: {type: dir, target: /srv/vms, shared: true, hosts: {matchLabels: {}}}
---
apiVersion: reconciler/v1
kind: Network
metadata: {name: lan}
spec: {mode: nat, subnet: 192.168.150.0/24, dhcp: true}
---
apiVersion: reconciler/v1
kind: Image
metadata: {name: debian-12}
spec:
  source: {path: images/debian-12.qcow2}
  format: qcow2
"""

_HOST = """\
apiVersion: reconciler/v1
kind: Host
metadata: {{name: {name}, labels: {{rack: {rack}}}}}
spec:
  uri: qemu+ssh://root@{name}.example/system
  migrationAddress: 10.{high}.{low}.11
  state: active
  reserved: {{memory: 2GiB, cpus: 1}}
  overcommit: {{cpu: 4.0, memory: 1.0}}
"""

_VIRTUAL_MACHINE = """\
apiVersion: reconciler/v1
kind: VirtualMachine
metadata: {{name: {name}, labels: {{app: {app}, tier: "{tier}"}}}}
spec:
  runStrategy: Always
  cpu: {{count: 2, max: 4, model: host-model}}
  memory: {memory}MiB
  disks:
    - {{name: root, image: debian-12, size: 20GiB, pool: vms}}
    - name: data   # grows, never shrinks
      size: 100GiB
      pool: vms
  networks:
    - network: lan
      mac: {mac}
  cloudInit:
    userData: |-
      #cloud-config
      hostname: {name}
      runcmd:
        - systemctl enable --now {app}
  placement:
    nodeSelector: {{rack: {rack}}}
    preferSpread: {{app: {app}}}
  ha: {{enabled: true, priority: 100}}
  deletionPolicy: retain
"""

_RACKS = "abcdefgh"
_APPS = ("web", "api", "queue", "database", "cache")


def write_fleet(directory: Path, vms: int, hosts: int, per_file: int = 1) -> None:
    """Write specs of `hosts` Hosts and `vms` VirtualMachines (24 lines each) into `directory`, `per_file` to a file.

    The pool, network and image that the machines use come in a file of their own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "fleet.yaml").write_text(_FLEET, encoding="utf-8")
    _write_files(directory, "hosts", [host(number) for number in range(hosts)], per_file)
    _write_files(directory, "vms", [virtual_machine(number) for number in range(vms)], per_file)


def host(number: int) -> str:
    """Return the spec of the host with that number."""
    return _HOST.format(
        name=f"h{number + 1}",
        rack=_RACKS[number % len(_RACKS)],
        high=number // 250,
        low=number % 250,
    )


def virtual_machine(number: int) -> str:
    """Return the spec of the VM with that number; names and MACs are unique up to 16 million."""
    app = _APPS[number % len(_APPS)]
    return _VIRTUAL_MACHINE.format(
        name=f"{app}-{number:05d}",
        app=app,
        tier="front" if app == "web" else "back",
        memory=512 * (1 + number % 8),
        mac="52:54:00:" + ":".join(f"{byte:02x}" for byte in number.to_bytes(3, "big")),
        rack=_RACKS[number % len(_RACKS)],
    )


def _write_files(directory: Path, prefix: str, specs: list[str], per_file: int) -> None:
    for start in range(0, len(specs), per_file):
        text = "---\n".join(specs[start : start + per_file])
        (directory / f"{prefix}-{start:06d}.yaml").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--per-file", type=int, default=1, help="documents in a file")
    arguments = parser.parse_args()
    write_fleet(arguments.directory, arguments.vms, arguments.hosts, arguments.per_file)


if __name__ == "__main__":
    main()
