"""libvirt's errors as our own: one function, one table; libvirt's text is kept."""

from __future__ import annotations

import re
import shlex
from typing import Final, Protocol

from reconciler.errors import (
    CheckpointLost,
    HostBusy,
    HostError,
    HostFault,
    HostRefused,
    HostUnreachable,
    NoSpace,
    ObjectConflict,
    ObjectNotFound,
)


class RawError(Protocol):
    """What is used of a `libvirtError`."""

    def get_error_code(self) -> int | None: ...
    def get_error_domain(self) -> int | None: ...
    def get_error_message(self) -> str | None: ...


_RPC_DOMAIN: Final = 7
_SYSTEM_ERROR: Final = 38
_RULES_BY_TEXT: Final[tuple[tuple[re.Pattern[str], type[HostError]], ...]] = (
    (re.compile("No space left on device|not enough free space|Disk quota exceeded"), NoSpace),
    (re.compile("asynchronous jobs running|is still in use|is still being allocated"), HostBusy),
    (re.compile("cannot acquire state change lock|another migration|block job"), HostBusy),
    (re.compile("unexpectedly closed the monitor|exited while connecting to monitor|End of file from"), HostFault),
    (re.compile("already exists with uuid|already defined with uuid|already exists$"), ObjectConflict),
    (re.compile("client socket is closed|connection closed due to keepalive"), HostUnreachable),
)
_RULES_BY_CODE: Final[dict[int, type[HostError]]] = {
    5: HostUnreachable,  # VIR_ERR_NO_CONNECT
    6: HostUnreachable,  # VIR_ERR_INVALID_CONN
    28: ObjectConflict,  # VIR_ERR_DOM_EXIST
    37: ObjectConflict,  # VIR_ERR_NETWORK_EXIST
    39: HostUnreachable,  # VIR_ERR_RPC
    68: HostBusy,  # VIR_ERR_OPERATION_TIMEOUT
    86: HostBusy,  # VIR_ERR_AGENT_UNRESPONSIVE
    87: HostBusy,  # VIR_ERR_RESOURCE_BUSY
    90: ObjectConflict,  # VIR_ERR_STORAGE_VOL_EXIST
    97: HostBusy,  # VIR_ERR_AGENT_UNSYNCED
    103: CheckpointLost,  # VIR_ERR_NO_DOMAIN_CHECKPOINT
    109: CheckpointLost,  # VIR_ERR_CHECKPOINT_INCONSISTENT
}
NO_SUPPORT: Final = 3
NO_DOMAIN: Final = 42
NO_NETWORK: Final = 43
NO_STORAGE_POOL: Final = 49
NO_STORAGE_VOL: Final = 50
OPERATION_INVALID: Final = 55
INVALID_ARG: Final = 8
ARGUMENT_UNSUPPORTED: Final = 74
AGENT_UNRESPONSIVE: Final = 86
CPU_INCOMPATIBLE: Final = 91
AGENT_UNSYNCED: Final = 97
NO_CHECKPOINT: Final = 103
NO_BACKUP: Final = 104
# A missing network while a VM starts is a refusal; only the object that was asked for can be *not found*.
_MISSING: Final = {
    "VirtualMachine": {NO_DOMAIN},
    "Network": {NO_NETWORK},
    "StoragePool": {NO_STORAGE_POOL},
    "Volume": {NO_STORAGE_VOL, NO_STORAGE_POOL},
}
_UNKNOWN_NAME: Final = "the name is not known on this machine: correct it in {uri}, or look at DNS and /etc/hosts"
_NOBODY_THERE: Final = "no machine answers: see that it is up and has its network, and that this is its address: {uri}"
_HINTS_BY_TEXT: Final = (
    ("virt type 'kvm'", "load the kvm module on the host, or write domainType: qemu"),
    ("Unable to find any firmware", "install the UEFI firmware on the host (Debian: ovmf), or write firmware: bios"),
    ("-sock': Permission denied", "put this user into the group that may use libvirt: usermod -aG libvirt USER"),
    ("polkit", "put this user into the group that may use libvirt: usermod -aG libvirt USER"),
    *((part, _UNKNOWN_NAME) for part in ("not known", "in name resolution", "Could not resolve", "No address assoc")),
    ("Connection refused", "the machine answers, and nothing listens there: start libvirtd on it, or sshd for {uri}"),
    *((part, _NOBODY_THERE) for part in ("No route to host", "Network is unreachable", "onnection timed out")),
    (
        " CA certificate",
        "put the CA's certificate there, on this machine; virt-pki-validate tells what else is missing",
    ),
    ("Identity file", "the key that keyfile= of the host's URI names is not on this machine: {uri}"),
    (
        "Permission denied (",
        "put this user's public ssh key into ~/.ssh/authorized_keys there, or name the key: keyfile=…",
    ),
    ('Failed to get "write" lock', "another QEMU has the disk open; find out which, and switch that off"),
    ("Permission denied", "check the rights of the path on the host"),
    ("Network not found", "define the network on that host, or check the selector in the Network spec"),
    ("Cannot get interface MTU", "create the bridge on the host"),
    ("Storage source conflict", "another pool of the host uses that target; use it with type: existing"),
    ("already in use by interface", "another network of the host uses that subnet; choose another one"),
    ("uthentication", "check the credentials for the host's URI"),
    (
        "IDENTIFICATION HAS CHANGED",
        "ask whoever runs the host whether its key is new; if so, as this user: ssh-keygen -R HOST, then ssh HOST once",
    ),
    (
        # libvirt's buffer for what ssh says is smaller than the page that ssh fills about a changed host key.
        "Cannot recv data: Value too large for defined data type",
        "mostly that the host key has changed, of which ssh tells at length: see it with ssh by hand, as this user",
    ),
    ("Host key verification failed", "log in to the host by ssh once, as this user, and check its key"),
    ("nc: not found", "install libvirt's daemon on the host (Debian: libvirt-daemon-system)"),
)
_SSH_BANNER: Final = re.compile(r"@{9,}.*?(REMOTE HOST IDENTIFICATION HAS CHANGED)!.*?(Host key verification failed)")
"""The page that ssh fills about a changed host key; its first and last words say it."""
_HINTS: Final[dict[type[HostError], str]] = {
    HostUnreachable: "check that libvirtd runs there and that `virsh -c {uri} list` works from here",
    HostBusy: "nothing to do: it is tried again",
    HostFault: "look at {log} on the host; it is tried again",
    ObjectConflict: "rename the spec, or remove or adopt what has that name on the host",
    NoSpace: "free space in the pool or enlarge it",
    ObjectNotFound: "look again with `reconciler plan`",
    HostRefused: "{refused}",
    CheckpointLost: "nothing to do: the next copy is a full one",
}


def classify(error: RawError, target: str) -> type[HostError]:
    """Which of our errors it is; `target` is `Kind/name`."""
    code, text = error.get_error_code() or 0, error.get_error_message() or ""
    for pattern, kind in _RULES_BY_TEXT:
        if pattern.search(text):
            return kind
    if code == _SYSTEM_ERROR and error.get_error_domain() == _RPC_DOMAIN:
        return HostUnreachable
    if code in _MISSING.get(target.partition("/")[0], ()):
        return ObjectNotFound
    return _RULES_BY_CODE.get(code, HostRefused)


def translate(error: RawError, *, host: str, target: str = "", lost: bool = False, uri: str = "URI") -> HostError:
    """Our error for one of libvirt's; `lost` says that the connection to `uri` has ended with it."""
    text = " ".join((error.get_error_message() or "libvirt gave no reason").split())
    text = _SSH_BANNER.sub(r"\1: \2", text)
    kind = HostUnreachable if lost else classify(error, target)
    hint = next((hint for part, hint in _HINTS_BY_TEXT if part in text), _HINTS[kind])
    hint = hint.replace("{refused}", _what_shows_it(target))
    hint = hint.replace("{uri}", shlex.quote(uri)).replace("{log}", _log_of(target))
    return kind(text, host=host, target=target, hint=hint)


def _what_shows_it(target: str) -> str:
    """What to do about something that libvirt refused: of a pool or network, what it stands on is mostly missing."""
    what, _, name = target.partition("/")
    start = {"StoragePool": "pool-start", "Network": "net-start"}.get(what)
    if not start or not name:
        return "see libvirt's log on the host"
    return f"mend what it stands on, then `virsh -c {{uri}} {start} {name}`, or `reconciler resume {target}`"


def _log_of(target: str) -> str:
    """Where the host has written down more: QEMU's own words, of a VM."""
    what, _, name = target.partition("/")
    return f"/var/log/libvirt/qemu/{name}.log" if what == "VirtualMachine" and name else "libvirt's log"
