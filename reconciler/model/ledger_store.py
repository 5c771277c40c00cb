"""Where the ledger is kept: in the state directory, or in etcd for several controllers, of which one leads."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from reconciler.model.quantities import Duration
from reconciler.model.resource import Line, Model
from reconciler.model.secret_ref import SecretRef, fault_of

_SHORTEST_LEASE: Final = 3.0
POSITION_FILE: Final = "etcd-seen.json"
"""In the state directory of a controller whose ledger is in etcd: how far that was."""


def _split(value: object) -> object:
    """A list, or one text with commas: URLs have colons of their own."""
    if isinstance(value, str):
        return tuple(part for part in value.replace(",", " ").split() if part)
    return tuple(value) if isinstance(value, list) else value


def _url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if scheme in {"http", "https"} and separator and rest and "@" not in rest and not rest.strip("/").count("/"):
        return value.rstrip("/")
    raise ValueError(f"{value!r} is no endpoint; write http://HOST:2379 or https://HOST:2379")


def _lasting(seconds: float) -> float:
    if seconds < _SHORTEST_LEASE or seconds != int(seconds):
        raise ValueError(f"leases are whole seconds, {_SHORTEST_LEASE:g} s at the least")
    return seconds


def _rooted(value: str) -> str:
    if value.startswith("/"):
        return value.rstrip("/")
    raise ValueError(f"{value!r} does not begin with a slash")


def _reference(value: object) -> object:
    """`file:NAME` or `env:NAME` is how a variable writes it."""
    kind, separator, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    return {kind: name} if separator else value


Secret = Annotated[SecretRef, BeforeValidator(_reference)]
Endpoints = Annotated[tuple[Annotated[str, AfterValidator(_url)], ...], BeforeValidator(_split)]


class EtcdLedger(Model):
    """An etcd that several controllers share."""

    endpoints: Endpoints = ()
    """URLs of etcd's members, such as `https://e1:2379`; with any, the ledger is kept there, and of all controllers of
    the fleet one leads. In a variable they are separated by commas."""
    prefix: Annotated[Line, AfterValidator(_rooted)] = "/reconciler"
    """What keys begin with; the fleet's name follows. Who may write there may command the fleet."""
    ca: Line | None = None
    """File with the certificate of who signed etcd's; the system's where none is named."""
    cert: Line | None = None
    """File with the certificate that this controller shows."""
    key: Line | None = None
    """File with its key, which only the controller's user should be able to read."""
    username: Line | None = None
    """Account of etcd, where it asks for one; etcd does not tell accounts by certificates here."""
    password: Secret | None = None
    """Its password: `{file: NAME}` in the credentials directory, or `{env: NAME}`."""
    lease_ttl: Annotated[Duration, AfterValidator(_lasting)] = 10.0
    """How long others wait for a leader that etcd does not hear of; it changes nothing after nine tenths of it."""
    name: Line | None = None
    """What this controller is called; the name of its machine where none is given."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        if self.password is not None and (fault_of(self.password) or self.password.age or self.password.sops):
            raise ValueError("password names either a file or an env")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.username and any(endpoint.startswith("http://") for endpoint in self.endpoints):
            raise ValueError("a password would go over the wire in the open; write https:// endpoints")
        return self


class LedgerSettings(Model):
    """Where the ledger is kept."""

    etcd: EtcdLedger = EtcdLedger()
    """Several controllers; a file in `stateDir` where no endpoint is named."""
