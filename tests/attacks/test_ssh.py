"""Attack 32: a machine that answers in a host's place is not talked to, by a real SSH server and a real ssh."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.lab.guest.packages import unpack
from tests.lab.waiting import wait_for

pytestmark = pytest.mark.lab  # it fetches a package, and needs root for a /etc/passwd of its own

_NOBODY: Final = 65534
_SERVER: Final = ("openssh-server", "libwrap0")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Debian's SSH server lies unpacked; it is not installed, for then it would start with the machine."""
    folder = tmp_path_factory.mktemp("sshd")
    unpack(_SERVER, folder / "download", folder / "packages")
    _let_through(folder)
    return folder / "packages"


def _let_through(folder: Path) -> None:
    """Pytest keeps its folders to their owner, and the server is somebody else."""
    above = [part for part in folder.parents if part.is_relative_to(tempfile.gettempdir())][:-1]
    for part in (folder, *above):
        part.chmod(part.stat().st_mode | 0o011)


def _key(path: Path) -> str:
    """Make a host key; its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    os.chown(path, _NOBODY, _NOBODY)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@contextmanager
def _serving(program: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """Port and host key of an SSH server on loopback, which nobody can log in to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    public = _key(folder / "host_key")
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder / 'host_key'}\nPidFile none\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication no\n"
    )
    _let_through(folder)
    libraries = ":".join(str(found) for found in (*program.glob("lib/*-gnu"), *program.glob("usr/lib/*-gnu")))
    alone = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
    server = subprocess.Popen(
        [*alone, program / "usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"],
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
        stderr=(folder / "sshd.log").open("wb"),
    )
    try:
        wait_for(lambda: _answers(port), 20, (folder / "sshd.log").read_text)
        yield port, public
    finally:
        server.terminate()
        server.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _plan(folder: Path, port: int, known_hosts: str) -> tuple[dict[str, Any], str]:
    """What `plan` says of a host behind that server, and which hosts ssh knows afterwards.

    ssh goes by the home of /etc/passwd, so it is given one of its own, in a mount namespace.
    """
    home, specs = folder / "home", folder / "specs"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    known = home / ".ssh/known_hosts"
    known.write_text(known_hosts)
    (folder / "passwd").write_text(f"root:x:0:0:root:{home}:/bin/sh\n")
    specs.mkdir()
    (specs / "h1.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\n"
        f"spec: {{uri: 'qemu+ssh://root@127.0.0.1:{port}/system'}}\n"
    )
    program = [sys.executable, "-m", "reconciler", "plan", str(specs), "--state-dir", str(folder / "state"), "--json"]
    within = f'mount --bind {folder / "passwd"} /etc/passwd && exec "$@"'
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", within, "sh", *program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=90,
        check=False,
        text=True,
    )
    return json.loads(ran.stdout), known.read_text()


def test_32_an_unknown_host_key_is_refused_and_not_remembered(program: Path, tmp_path: Path) -> None:
    with _serving(program, tmp_path) as (port, _public):
        plan, known = _plan(tmp_path, port, "")

    (unseen,) = plan["unseen"]
    assert "Host key verification failed" in json.dumps(unseen)
    assert "check its key" in json.dumps(unseen)
    assert known == ""


def test_32_another_host_key_than_the_known_one_is_refused(program: Path, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    another = _key(tmp_path / "before/key")
    with _serving(program, tmp_path) as (port, _public):
        before = f"[127.0.0.1]:{port} {another}\n"
        plan, known = _plan(tmp_path, port, before)

    (unseen,) = plan["unseen"]
    assert "host key has changed" in unseen["hint"]
    assert known == before


def test_32_the_known_host_key_is_believed(program: Path, tmp_path: Path) -> None:
    """Without this, the other two could be refused for another reason: here it is the login that fails."""
    with _serving(program, tmp_path) as (port, public):
        plan, _known = _plan(tmp_path, port, f"[127.0.0.1]:{port} {public}\n")

    (unseen,) = plan["unseen"]
    assert "Permission denied" in json.dumps(unseen)
