"""Which addresses images may be fetched from; names are resolved here, once per connection."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from msgspec import Struct

from reconciler.errors import DownloadFailed
from reconciler.images.refusals import AddressRefused

Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], tuple[str, ...]]
"""Addresses of a host name and port, as text; raises OSError."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
_BROADCAST: Final = IPv4Address("255.255.255.255")


def system_lookup(host: str, port: int) -> tuple[str, ...]:
    """What the system's resolver says, decimal and hexadecimal spellings of addresses included."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class AddressPolicy(Struct, frozen=True):
    """`allow_private` admits loopback, link-local and private addresses."""

    allow_private: bool
    lookup: Lookup = system_lookup

    def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Addresses to connect to, every one of them checked.

        Raises AddressRefused when any of them is refused, DownloadFailed when the name has none.
        """
        try:
            found = self.lookup(host, port)
        except (OSError, UnicodeError) as error:
            raise DownloadFailed(f"{host} has no address", hint="check the name and the controller's DNS") from error
        for text in found:
            self.check(ip_address(text), host)
        return found

    def check(self, address: Address, host: str) -> None:
        """Raise AddressRefused unless images may be fetched from `address`, to which `host` resolved."""
        for candidate in _reached(address):
            if candidate.is_multicast or candidate.is_unspecified or candidate == _BROADCAST:
                raise AddressRefused(f"{host} leads to {address}, which is no server's address", hint="correct the url")
            if not _is_public(candidate) and not self.allow_private:
                raise AddressRefused(
                    f"{host} leads to {address}, a loopback, link-local or private address",
                    hint="set allowPrivateAddresses: true in the controller's configuration if images are served there",
                )


def _is_public(address: Address) -> bool:
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not address.is_reserved and not site_local


def _reached(address: Address) -> tuple[Address, ...]:
    """Addresses that a packet to `address` may end at: IPv6 has several ways to write an IPv4 one."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    tunnelled = (address.sixtofour, *(address.teredo or ()))
    return (address, *(item for item in tunnelled if item is not None))
