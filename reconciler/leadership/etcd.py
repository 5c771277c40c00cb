"""etcd through its HTTP gateway; the only module that speaks to it."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from etcd3gw.client import Etcd3Client
from etcd3gw.exceptions import Etcd3Exception
from msgspec import Struct

from reconciler.leadership.etcd_faults import Fault, Refused, fault_of, unavailable
from reconciler.leadership.store import Change, Guard, Item, Position, Reading, Written

_PAGE: Final = 1000
_DEFAULT_PORT: Final = 2379

T = TypeVar("T")


class Access(Struct, frozen=True):
    """How etcd is reached."""

    endpoints: tuple[str, ...]
    """URLs."""
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    """Files."""
    username: str = ""
    password: Callable[[], str] = lambda: ""
    """Read anew whenever it is needed."""
    seconds: float = 2.0
    """What one member is given to answer; then the next one is asked."""


class EtcdStore:
    """Implements Store; members are asked one after the other, the one that answered last first.

    Safe to use from several threads.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._clients = [_client(access, endpoint) for endpoint in access.endpoints]
        self._logged_in: set[int] = set()

    @property
    def name(self) -> str:
        return ", ".join(self._access.endpoints)

    def read(self, prefix: str) -> Reading:
        first = self._post("/kv/range", _range(prefix))
        position = _position(first)
        items = [*map(_item, first.get("kvs", ()))]
        answer = first
        while answer.get("more"):
            # The rest as of the same instant.
            question = {**_range(prefix), "key": _encoded(f"{items[-1].key}\0"), "revision": position.revision}
            answer = self._post("/kv/range", question)
            items += map(_item, answer.get("kvs", ()))
        return Reading(position, tuple(items))

    def change(self, guard: Guard, changes: Sequence[Change]) -> Written:
        compare = {
            "key": _encoded(guard.key),
            "target": "MOD",
            "result": "EQUAL",
            "mod_revision": guard.changed,
        }
        answer = self._post("/kv/txn", {"compare": [compare], "success": [_operation(change) for change in changes]})
        return Written(bool(answer.get("succeeded", False)), _position(answer))

    def grant(self, seconds: int) -> int:
        return int(self._post("/lease/grant", {"TTL": seconds, "ID": 0})["ID"])

    def keep_alive(self, lease: int) -> float:
        return max(0.0, float(self._post("/lease/keepalive", {"ID": lease})["result"].get("TTL", 0)))

    def revoke(self, lease: int) -> None:
        try:
            self._post("/lease/revoke", {"ID": lease})
        except Refused as error:
            if "lease not found" not in error.message:
                raise

    def close(self) -> None:
        for client in self._clients:
            client.session.close()

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What the first member that answers says; another may have taken it before, and that later still."""
        faults: list[Fault] = []
        for client in self._in_turn():
            try:
                answer = self._ask(client, path, body)
            except (Etcd3Exception, OSError, ValueError) as error:  # what requests raises is one of these
                faults.append(_fault(client, error))
                if faults[-1].is_refusal:
                    raise unavailable(faults) from error
                continue
            self._prefer(client)
            return answer
        raise unavailable(faults)

    def _ask(self, client: Etcd3Client, path: str, body: Mapping[str, Any]) -> Any:
        if self._access.username and id(client) not in self._logged_in:
            self._log_in(client)
        try:
            return client.post(client.get_url(path), json=body)
        except Etcd3Exception as error:
            if "invalid auth token" not in (error.detail_text or ""):
                raise
            self._log_in(client)  # tokens end after some minutes, and with their member
            return client.post(client.get_url(path), json=body)

    def _log_in(self, client: Etcd3Client) -> None:
        client.session.headers.pop("Authorization", None)
        said = {"name": self._access.username, "password": self._access.password()}
        token = client.post(client.get_url("/auth/authenticate"), json=said)["token"]
        client.session.headers["Authorization"] = token
        self._logged_in.add(id(client))

    def _in_turn(self) -> list[Etcd3Client]:
        with self._lock:
            return list(self._clients)

    def _prefer(self, client: Etcd3Client) -> None:
        with self._lock:
            if self._clients[0] is not client:
                self._clients.sort(key=lambda other: other is not client)


def _fault(client: Etcd3Client, error: Exception) -> Fault:
    answer = error.detail_text if isinstance(error, Etcd3Exception) else None
    said = answer or str(error) or type(error).__name__
    return fault_of(client.base_url, said, is_answer=isinstance(error, Etcd3Exception))


def _client(access: Access, endpoint: str) -> Etcd3Client:
    parts = urlsplit(endpoint)
    client = Etcd3Client(
        host=parts.hostname or "",
        port=parts.port or _DEFAULT_PORT,
        protocol=parts.scheme,
        timeout=access.seconds,
        ca_cert=access.ca,
        cert_cert=access.cert,
        cert_key=access.key,
        api_path="/v3/",
    )
    client.session.trust_env = False  # a proxy for the outside world is not the way to a machine next door
    return client


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _range(prefix: str) -> dict[str, Any]:
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": _encoded(prefix), "range_end": _encoded(after), "limit": _PAGE}


def _operation(change: Change) -> dict[str, Any]:
    if change.value is None:
        return {"request_delete_range": {"key": _encoded(change.key)}}
    put: dict[str, Any] = {"key": _encoded(change.key), "value": _encoded(change.value)}
    return {"request_put": {**put, "lease": change.lease} if change.lease else put}


def _item(said: Mapping[str, Any]) -> Item:
    created, changed = int(said["create_revision"]), int(said["mod_revision"])
    return Item(_decoded(said["key"]), _decoded(said.get("value", "")), created, changed)


def _position(answer: Mapping[str, Any]) -> Position:
    header = answer["header"]
    return Position(str(header["cluster_id"]), int(header["revision"]))
