"""Why etcd did not do what it was asked, in words, with what helps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from reconciler.errors import StoreUnavailable


class Refused(StoreUnavailable):
    """It answers, and says no: a permission, an account, a full disk."""


class Fault(Struct, frozen=True):
    """What one member said, or the way to it."""

    endpoint: str
    text: str
    remedy: str
    is_refusal: bool = False
    """Whether another member would say the same."""


_START: Final = "start it, or look at the network between"
_REFUSED: Final = (
    "look at ledger.etcd in the configuration, and at etcd's roles, quota and log; nothing is changed meanwhile"
)
_REFUSALS: Final = (
    *("permission denied", "authentication failed", "user name is empty", "authentication is not enabled"),
    *("lease not found", "database space exceeded"),
)
_OWN_FILES: Final = "see that ledger.etcd.cert and ledger.etcd.key are a certificate and its key, in PEM"
_KNOWN: Final[tuple[tuple[str, str, str], ...]] = (
    (
        r"unable to get local issuer|self-signed certificate|self signed certificate",
        "its certificate is signed by nobody who is trusted here",
        "name the certificate of who signed it as ledger.etcd.ca",
    ),
    (r"certificate has expired", "its certificate has expired", "have a new one signed for it"),
    (r"certificate is not yet valid", "its certificate is not valid yet", "look at the clocks of both machines"),
    (
        r"certificate is not valid for|doesn't match",
        "its certificate is not for this name or address",
        "write the endpoint as the certificate has it, or have one signed for this name",
    ),
    (
        r"TLS CA certificate bundle, invalid path: (\S+?)'?\)?$",
        "there is no file {0}",
        "put the certificate of who signed etcd's there, or correct ledger.etcd.ca",
    ),
    (
        r"TLS (?:certificate|key) file, invalid path: (\S+?)'?\)?$",
        "there is no file {0}",
        "put it there, or correct ledger.etcd.cert and ledger.etcd.key",
    ),
    (
        r"NO_CERTIFICATE_OR_CRL_FOUND",
        "no certificate is in the file that ledger.etcd.ca names",
        "put the certificate of who signed etcd's there, in PEM",
    ),
    (r"KEY_VALUES_MISMATCH", "this controller's certificate and key don't go together", _OWN_FILES),
    (r"\bPEM lib\b", "this controller's certificate or key can't be read", _OWN_FILES),
    (
        r"SSLZeroReturnError|WRONG_VERSION_NUMBER|record layer failure",
        "it does not speak TLS there",
        "write http:// in ledger.etcd.endpoints, or switch TLS on in etcd",
    ),
    (
        r"SSLEOFError|alert (?:bad certificate|certificate required|certificate expired|unknown ca)",
        "it ended the connection as TLS began: it takes no controller without a certificate that it trusts",
        "name one as ledger.etcd.cert, with its key, signed by whom etcd trusts (--trusted-ca-file) and not expired",
    ),
    (
        r"RemoteDisconnected|HTTP request to an HTTPS server",
        "it ended the connection without an answer",
        "write https:// in ledger.etcd.endpoints where etcd speaks TLS; else start it, or look at its log",
    ),
    (
        # A hello in the wrong tongue ends so too, where the reset outruns the answer.
        r"ConnectionResetError|Connection reset by peer",
        "it reset the connection without an answer",
        "write http:// in ledger.etcd.endpoints where etcd speaks no TLS, write https:// where it does; see its log",
    ),
    (
        r"^404 page not found|\b404\b.*not found",
        "no etcd answers there, but something else",
        "name the port for clients (2379 by default, not 2380), and have etcd's gateway on (--enable-grpc-gateway)",
    ),
)


def fault_of(endpoint: str, said: str, *, is_answer: bool) -> Fault:
    """Of what `endpoint` answered, or what the way to it said."""
    text = _core(said)
    if is_answer and any(word in text for word in _REFUSALS):
        return Fault(endpoint, text, _REFUSED, is_refusal=True)
    for pattern, words, remedy in _KNOWN:
        found = re.search(pattern, said.strip())
        if found:
            return Fault(endpoint, words.format(*found.groups()), remedy)
    return Fault(endpoint, text, _START)


def unavailable(faults: Iterable[Fault]) -> StoreUnavailable:
    """The error that names all of them; nobody did what was asked, as far as is known."""
    found = [*faults]
    refusal = next((fault for fault in found if fault.is_refusal), None)
    if refusal is not None:
        return Refused(f"etcd refuses: {refusal.endpoint}: {refusal.text}", hint=refusal.remedy)
    told = "; ".join(f"{fault.endpoint}: {fault.text}" for fault in found)
    remedies = "; ".join(dict.fromkeys(fault.remedy for fault in found))
    return StoreUnavailable(
        f"etcd does not answer: {told}", hint=f"{remedies}; VMs run on meanwhile, and nothing is changed"
    )


_CORE: Final = re.compile(r"\[(?:Errno -?\d+|SSL[^]]*)\] ([^'\")]+)")
"""What the machine said, within all that was put around it on the way."""
_SAID: Final = re.compile(r'"error":"(?:etcdserver: )?([^"]+)"')
"""What etcd said."""


def _core(text: str) -> str:
    core = _CORE.search(text) or _SAID.search(text)
    if core is None and "timed out" in text:
        return "no answer in time"
    return " ".join((core[1] if core else text).split())[:300]
