"""Host: a machine with libvirtd."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field

from reconciler.model.quantities import Size
from reconciler.model.resource import Items, Line, Model, Resource
from reconciler.model.secret_ref import SecretRef

_SCHEMES: Final = ("qemu", "qemu+ssh", "qemu+tls", "qemu+tcp", "qemu+unix")
_PARAMETERS: Final = ("pkipath", "keyfile", "socket", "mode")
_OF_LIBSSH: Final = ("known_hosts", "known_hosts_verify", "sshauth")
_TEST_SCHEMES: Final = ("test", "test+unix", "test+tcp")


def checked_uri(value: str) -> str:
    """A libvirt URI without the parameters that run programs or switch checks off (`command`, `no_verify` ...)."""
    parts = urlsplit(value)
    if parts.scheme not in _SCHEMES + _TEST_SCHEMES:
        raise ValueError(
            f"{value!r} is not a host URI; use qemu+ssh://HOST/system, qemu+tls://HOST/system or qemu:///system"
        )
    if parts.password:
        raise ValueError("a password in the URI would be shown in logs; use a key or a certificate")
    if parts.scheme in _SCHEMES and parts.path not in ("/system", "/session"):
        raise ValueError(f"{value!r} must end in /system or /session")
    if parts.scheme in ("qemu+ssh", "qemu+tls", "qemu+tcp") and not parts.hostname:
        raise ValueError(f"{value!r} names no host, such as {parts.scheme}://h1.example/system")
    for key, _ in parse_qsl(parts.query, keep_blank_values=True):
        if key in _OF_LIBSSH:
            # libvirt ignores them with its ssh transport: who writes them would believe in a check that is not made.
            raise ValueError(f"{key!r} has no effect with qemu+ssh: ssh takes it from ~/.ssh of the controller's user")
        if key not in _PARAMETERS:
            raise ValueError(f"parameter {key!r} is not allowed in a host URI; allowed are {', '.join(_PARAMETERS)}")
    return value


HostUri = Annotated[Line, AfterValidator(checked_uri)]


class Reserved(Model):
    """What a host keeps for itself."""

    memory: Size = 1 << 30
    """Memory never given to VMs."""
    cpus: Annotated[int, Field(ge=0, le=4096)] = 0
    """CPUs never given to VMs."""


class Overcommit(Model):
    """How much may be promised beyond what is there."""

    cpu: Annotated[float, Field(ge=0.1, le=64, strict=False)] = 4.0
    """Virtual CPUs per CPU."""
    memory: Annotated[float, Field(ge=0.1, le=4, strict=False)] = 1.0
    """Promised memory over memory there is."""


class FencingLevel(Model):
    """One fence device."""

    agent: Annotated[str, Field(pattern=r"^fence_[a-z0-9_]+$", max_length=64)]
    """A ClusterLabs fence agent installed on the controller."""
    parameters: dict[Line, Line] = Field(default_factory=dict)
    """What the agent is told, on its standard input."""
    secrets: dict[Line, SecretRef] = Field(default_factory=dict)
    """Parameters whose values are secrets, by reference."""


class HostSpec(Model):
    """How the host is reached and what it may carry."""

    uri: HostUri
    """libvirt URI: `qemu+ssh://…/system`, `qemu+tls://…/system`, `qemu:///system` or `qemu:///session`."""
    migration_address: Line | None = None
    """Address for migration traffic; the host of `uri` when absent."""
    peer_uri: HostUri | None = None
    """libvirt URI by which the other hosts reach this one, to migrate VMs to it; `uri` without its parameters when
    absent."""
    state: Literal["active", "cordoned", "maintenance"] = "active"
    """`cordoned` takes no new VMs; `maintenance` is emptied."""
    reserved: Reserved = Reserved()
    """What the host keeps for itself."""
    overcommit: Overcommit = Overcommit()
    """How much may be promised beyond what is there."""
    fencing: Items[FencingLevel] = ()
    """Fence devices, tried in this order."""


class Host(Resource):
    """A machine with libvirtd that runs VMs."""

    kind: Literal["Host"]
    spec: HostSpec

    @property
    def is_drained(self) -> bool:
        """Whether it is to be emptied, and kept so."""
        return self.spec.state == "maintenance"
