"""Where etcd asks for an account, a controller has one that reaches its own fleet alone."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from etcd3gw.client import Etcd3Client

from reconciler.errors import StoreUnavailable
from reconciler.leadership.etcd import Access, EtcdStore
from reconciler.leadership.store import Change, Guard
from tests.support.etcd import EtcdServer, why_no_etcd


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """One that knows `root` and `controller`, who may do anything below `/reconciler/lab/`."""
    reason = why_no_etcd()
    if reason is not None:
        pytest.skip(reason)
    server = EtcdServer(tmp_path)
    server.start()
    try:
        _ask_for_accounts(server.url)
        yield server
    finally:
        server.stop()


def _ask_for_accounts(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    client = Etcd3Client(host, int(port), api_path="/v3/")

    def text(value: str) -> str:
        return base64.b64encode(value.encode()).decode()

    fleet = {"permType": "READWRITE", "key": text("/reconciler/lab/"), "range_end": text("/reconciler/lab0")}
    for path, said in (
        ("/auth/user/add", {"name": "root", "password": "r"}),
        ("/auth/user/grant", {"user": "root", "role": "root"}),
        ("/auth/role/add", {"name": "fleet-lab"}),
        ("/auth/role/grant", {"name": "fleet-lab", "perm": fleet}),
        ("/auth/user/add", {"name": "controller", "password": "secret"}),
        ("/auth/user/grant", {"user": "controller", "role": "fleet-lab"}),
        ("/auth/enable", {}),
    ):
        client.post(client.get_url(path), json=said)


def store(etcd: EtcdServer, username: str = "", password: str = "") -> EtcdStore:
    return EtcdStore(Access((etcd.url,), username=username, password=lambda: password))


def test_an_account_reaches_its_own_fleet_and_no_other(etcd: EtcdServer) -> None:
    ours = store(etcd, "controller", "secret")
    lease = ours.grant(5)

    assert ours.change(Guard("/reconciler/lab/leader", 0), [Change("/reconciler/lab/leader", "me", lease)]).held
    assert [item.value for item in ours.read("/reconciler/lab/").items] == ["me"]
    assert ours.keep_alive(lease) == 5
    with pytest.raises(StoreUnavailable, match="permission denied"):
        ours.change(Guard("/reconciler/other/leader", 0), [Change("/reconciler/other/leader", "me")])
    with pytest.raises(StoreUnavailable, match="permission denied"):
        ours.read("/reconciler/other/")


@pytest.mark.parametrize(("username", "password"), [("", ""), ("controller", "guessed")])
def test_who_has_no_account_is_told_and_no_password_is_shown(etcd: EtcdServer, username: str, password: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        store(etcd, username, password).read("/reconciler/lab/")

    assert etcd.url in caught.value.message
    assert "guessed" not in str(caught.value)


def test_a_token_that_ended_with_its_member_is_fetched_anew(etcd: EtcdServer) -> None:
    ours = store(etcd, "controller", "secret")
    ours.read("/reconciler/lab/")
    etcd.stop()
    etcd.start()

    assert ours.read("/reconciler/lab/").items == ()
