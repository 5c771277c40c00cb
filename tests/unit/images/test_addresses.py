"""Addresses are told apart however they are written."""

from __future__ import annotations

import pytest

from reconciler.errors import DownloadFailed
from reconciler.images import refusals
from reconciler.images.addresses import AddressPolicy, system_lookup

PUBLIC = ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.0.8",
    "240.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fec0::1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    policy = AddressPolicy(allow_private=False, lookup=lambda _host, _port: (address,))

    assert policy.resolve("x.test", 443) == (address,)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_pass_only_where_policy_allows(address: str) -> None:
    def lookup(_host: str, _port: int) -> tuple[str, ...]:
        return (address,)

    assert AddressPolicy(allow_private=True, lookup=lookup).resolve("x.test", 443) == (address,)
    with pytest.raises(refusals.AddressRefused):
        AddressPolicy(allow_private=False, lookup=lookup).resolve("x.test", 443)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"])  # noqa: S104
def test_no_server_s_address_never_passes(address: str) -> None:
    with pytest.raises(refusals.AddressRefused):
        AddressPolicy(allow_private=True, lookup=lambda _host, _port: (address,)).resolve("x.test", 443)


def test_a_name_that_does_not_resolve_may_be_tried_again() -> None:
    with pytest.raises(DownloadFailed, match="has no address"):
        AddressPolicy(allow_private=True, lookup=system_lookup).resolve("nowhere.invalid", 443)
