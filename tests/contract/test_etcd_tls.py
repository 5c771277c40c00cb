"""A real etcd behind TLS: who has the right certificates is served, anybody else is told what is wrong with theirs."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from reconciler.errors import StoreUnavailable
from reconciler.leadership.etcd import Access, EtcdStore
from tests.support.certificates import Authority
from tests.support.etcd import EtcdServer, why_no_etcd


class Place(Struct, frozen=True):
    """An etcd that wants certificates, and those who sign."""

    etcd: EtcdServer
    authority: Authority
    other: Authority
    """Nobody trusts it."""
    folder: Path

    def access(self) -> Access:
        """The right one."""
        cert, key = self.authority.sign("controller")
        return Access((self.etcd.url,), ca=str(self.authority.ca), cert=str(cert), key=str(key))

    def file(self, text: str) -> str:
        path = self.folder / "another file"
        path.write_text(text)
        return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    reason = why_no_etcd()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("tls")
    (folder / "other").mkdir()
    authority, other = Authority(folder), Authority(folder / "other", "other")
    etcd = EtcdServer(folder, (*authority.sign("etcd"), authority.ca))
    etcd.start()
    try:
        yield Place(etcd, authority, other, folder)
    finally:
        etcd.stop()


@contextmanager
def resetting() -> Iterator[int]:
    """A port at which whoever connects is reset."""

    def reset_all(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # it is closed
                return
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=reset_all, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def refusal(access: Access) -> str:
    """What who asks so is told, remedy and all."""
    store = EtcdStore(access)
    with pytest.raises(StoreUnavailable) as caught:
        store.read("/")
    store.close()
    return str(caught.value)


def with_(access: Access, **fields: str | None) -> Access:
    known = {name: getattr(access, name) for name in ("endpoints", "ca", "cert", "key")}
    return Access(**{**known, **fields})


def test_a_controller_with_the_right_certificates_is_served(place: Place) -> None:
    store = EtcdStore(place.access())

    assert store.read("/").items == ()
    assert store.keep_alive(store.grant(5)) == 5
    store.close()


def test_an_etcd_that_nobody_trusted_has_signed_is_not_believed(place: Place) -> None:
    told = refusal(with_(place.access(), ca=str(place.other.ca)))

    assert "its certificate is signed by nobody who is trusted here" in told
    assert "ledger.etcd.ca" in told


def test_a_controller_without_a_certificate_is_told_that_it_needs_one(place: Place) -> None:
    told = refusal(with_(place.access(), cert=None, key=None))

    assert "it takes no controller without a certificate that it trusts" in told
    assert "ledger.etcd.cert" in told


def test_so_is_one_whose_certificate_has_expired(place: Place) -> None:
    cert, key = place.authority.sign("late", days=-1)

    assert "and not expired" in refusal(with_(place.access(), cert=str(cert), key=str(key)))


def test_and_one_that_another_authority_has_signed(place: Place) -> None:
    cert, key = place.other.sign("stranger")

    assert "signed by whom etcd trusts" in refusal(with_(place.access(), cert=str(cert), key=str(key)))


def test_files_that_are_missing_or_no_certificates_are_named(place: Place) -> None:
    right, other = place.access(), place.authority.sign("another")

    assert "there is no file /nowhere" in refusal(with_(right, ca="/nowhere"))
    assert "there is no file /nowhere" in refusal(with_(right, cert="/nowhere"))
    assert "no certificate is in the file that ledger.etcd.ca names" in refusal(with_(right, ca=place.file("none")))
    assert "certificate or key can't be read" in refusal(with_(right, cert=place.file("none")))
    assert "certificate and key don't go together" in refusal(with_(right, key=str(other[1])))


@pytest.mark.parametrize(
    ("signed", "told"),
    [
        ({"days": -1}, "its certificate has expired"),
        ({"address": "127.0.0.9"}, "its certificate is not for this name or address"),
    ],
)
def test_an_etcd_with_a_certificate_of_that_kind_is_not_believed(
    place: Place, tmp_path: Path, signed: dict[str, int | str], told: str
) -> None:
    files = place.authority.sign("other-etcd", **signed)  # type: ignore[arg-type]
    etcd = EtcdServer(tmp_path, (*files, place.authority.ca))
    etcd.start()
    try:
        assert told in refusal(Access((etcd.url,), place.access().ca, place.access().cert, place.access().key))
    finally:
        etcd.stop()


def test_the_wrong_scheme_and_the_wrong_port_are_told_as_that(place: Place, tmp_path: Path) -> None:
    plain = EtcdServer(tmp_path)
    plain.start()
    try:
        tls = plain.url.replace("http://", "https://")
        assert "write http://" in refusal(Access((tls,), ca=str(place.authority.ca)))
        assert "the port for clients" in refusal(Access((plain.peer_url,)))
    finally:
        plain.stop()
    assert "write https://" in refusal(Access((place.etcd.url.replace("https://", "http://"),)))


def test_a_reset_before_the_answer_is_told_as_what_it_may_be(place: Place) -> None:
    """The reset of who does not understand a hello may outrun what they say about it."""
    with resetting() as port:
        told = refusal(Access((f"https://127.0.0.1:{port}",), ca=str(place.authority.ca)))

    assert "it reset the connection without an answer" in told
    assert "write http://" in told
    assert "write https://" in told


def test_no_secret_is_in_what_is_told(place: Place) -> None:
    told = refusal(with_(place.access(), ca=str(place.other.ca)))

    assert "PRIVATE KEY" not in told
    assert "Max retries" not in told
