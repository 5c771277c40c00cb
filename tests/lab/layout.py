"""What lies where in a lab's folder, and what a lab host's daemons are configured with."""

import fcntl
import ipaddress
import json
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab import certificates
from tests.lab.waiting import LabError

LABS_FOLDER = Path("/var/tmp/reconciler-lab")  # noqa: S108 - root only, 0700, and each lab is created exclusively
_NWFILTERS = Path("/etc/libvirt/nwfilter")
_HIDDEN_IN_HOSTS = ("/dev", "/proc", "/run", "/sys")
_UUID_NAMESPACE = uuid.UUID("5f0a7f0e-7d0a-4f5c-9a53-0f6c1d2b7a10")
_FIRST_HOST_NUMBER = 11


@dataclass(frozen=True, slots=True)
class LabState:
    """What a process that works with a running lab has to know; kept as `lab.json` in its folder."""

    name: str
    network: int  # N of 10.213.N.0/24 and of the link rlabN
    host_names: tuple[str, ...]
    supervisor_pid: int
    init_pid: int  # first process of the lab's own PID namespace, as seen from outside
    owner_pid: int | None
    keep: bool

    @property
    def subnet(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(f"10.213.{self.network}.0/24")

    @property
    def uplink(self) -> str:
        return f"rlab{self.network}"

    @property
    def controller_address(self) -> str:
        return str(self.subnet[1])

    def address(self, host: str) -> str:
        return str(self.subnet[self._number(host)])

    def bmc_address(self, host: str) -> str:
        """Loopback, beside the hosts' network, and every host has the usual port on an address of its own."""
        return f"127.213.{self.network}.{self._number(host)}"

    def host_uuid(self, host: str) -> uuid.UUID:
        """What libvirt and the BMC both say the machine is."""
        return uuid.uuid5(_UUID_NAMESPACE, f"{self.name}/{host}")

    def _number(self, host: str) -> int:
        return _FIRST_HOST_NUMBER + self.host_names.index(host)


@dataclass(frozen=True, slots=True)
class LabPaths:
    """The folders of one lab, as seen from the controller."""

    root: Path

    @property
    def state_file(self) -> Path:
        return self.root / "lab.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def shared(self) -> Path:
        return self.root / "shared"

    @property
    def local(self) -> Path:
        return self.root / "local"

    @property
    def certificates(self) -> Path:
        return self.root / "pki"

    def host(self, name: str) -> Path:
        return self.root / "hosts" / name

    def write_state(self, state: LabState) -> None:
        draft = self.state_file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(state)))
        draft.replace(self.state_file)

    def read_state(self) -> LabState:
        try:
            fields = json.loads(self.state_file.read_text())
        except FileNotFoundError:
            raise LabError(f"no lab in {self.root}; bring one up: python -m tests.lab up") from None
        return LabState(**{**fields, "host_names": tuple(fields["host_names"])})


def check_root(root: Path) -> None:
    """Refuse a folder that hosts could not see, or that holds something else."""
    if any(root.is_relative_to(hidden) for hidden in _HIDDEN_IN_HOSTS):
        raise LabError(f"lab folder {root}: hosts have their own {root.parts[1]}; take a folder elsewhere")
    if root.exists() and any(root.iterdir()):
        raise LabError(
            f"lab folder {root} is not empty: a lab runs there, or was kept; next: python -m tests.lab down,"
            " remove the folder, or name another one"
        )


def is_running(root: Path) -> bool:
    """Whether a supervisor holds this lab's folder; a pid in a file proves nothing, a lock does."""
    try:
        with (root / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def make_host_folder(paths: LabPaths, state: LabState, name: str) -> None:
    """Create what one host has on its disk before its first boot."""
    folder = paths.host(name)
    for part in ("etc/qemu/networks", "lib/images", "log/qemu", "cache/qemu", "local"):
        (folder / part).mkdir(parents=True)
    address = state.address(name)
    for file, text in {
        "libvirtd.conf": _libvirtd_conf(address, state.host_uuid(name)),
        "qemu.conf": _qemu_conf(address),
        "qemu-lockd.conf": "",
        "virtlockd.conf": "",
    }.items():
        (folder / "etc" / file).write_text(text)
    if _NWFILTERS.is_dir():
        shutil.copytree(_NWFILTERS, folder / "etc" / "nwfilter")
    if not paths.certificates.is_dir():
        certificates.make_certificates(paths.certificates, map(state.address, state.host_names))
    shutil.copytree(paths.certificates, folder / "etc" / "pki")
    names = "".join(f"{state.address(each)} {each}\n" for each in state.host_names)
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{names}")


def _libvirtd_conf(address: str, host_uuid: uuid.UUID) -> str:
    return f"""\
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
auth_unix_rw = "none"
listen_addr = "{address}"
host_uuid = "{host_uuid}"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""


def _qemu_conf(address: str) -> str:
    return f"""\
user = "root"
group = "root"
dynamic_ownership = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
lock_manager = "lockd"
migration_host = "{address}"
migrate_tls_x509_cert_dir = "{certificates.IN_HOST}"
migrate_tls_x509_verify = 1
"""
