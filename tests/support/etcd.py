"""A real etcd with one member, on the loopback of this machine."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from reconciler.errors import StoreUnavailable
from reconciler.leadership.etcd import Access, EtcdStore

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 20.0


def why_no_etcd() -> str | None:
    """Why there is none here; None if there is."""
    return None if shutil.which("etcd") else "needs Debian's etcd-server"


class EtcdServer:
    """Begins with an empty folder; `stop` keeps its data.

    With `tls` (certificate, key, who signs those of clients) it speaks to nobody without a certificate.
    """

    def __init__(self, folder: Path, tls: tuple[Path, Path, Path] | None = None) -> None:
        self._folder = folder
        self._tls = tls
        self._ports = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._ports[0]}"

    @property
    def peer_url(self) -> str:
        """Where members speak to each other."""
        return f"http://127.0.0.1:{self._ports[1]}"

    def store(self) -> EtcdStore:
        """A way to it."""
        cert, key, ca = map(str, self._tls) if self._tls else (None, None, None)
        return EtcdStore(Access((self.url,), ca=ca, cert=cert, key=key))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        peer = self.peer_url
        argv = [
            *("etcd", "--data-dir", str(self._folder / "data"), "--log-level", "error"),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *(
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ),
        ]
        if self._tls:
            cert, key, ca = map(str, self._tls)
            argv += ["--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", ca]
        with (self._folder / "etcd.log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)
        store, deadline = self.store(), time.monotonic() + _PATIENCE
        while True:
            try:
                store.read("/")
            except StoreUnavailable as error:
                if "refuses" in error.message or "its certificate" in error.message:
                    break  # it asks for an account, or shows a certificate of the wrong kind: it answers
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                break
        store.close()

    def stop(self) -> None:
        """Power off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """It takes connections, and never answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """And answers again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def save(self) -> None:
        """Keep its data as they are now, while it is stopped."""
        shutil.copytree(self._folder / "data", self._folder / "saved")

    def put_back(self) -> None:
        """Have the data that were saved be its own, while it is stopped."""
        shutil.rmtree(self._folder / "data")
        shutil.copytree(self._folder / "saved", self._folder / "data")


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port
