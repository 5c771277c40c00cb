"""The git program, run so that nothing of a repository is executed, nobody is asked, and it ends in time.

Whose credentials: those of the user, by Git's own configuration (credential helpers, core.sshCommand, SSH's agent).
What a repository brings along (hooks, filters, submodules, attributes) has no say: nothing is ever checked out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from msgspec import Struct

from reconciler.errors import ReconcilerError
from reconciler.model.git_source import without_credentials

_SAFE: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.alternateRefsCommand=true",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "fetch.writeCommitGraph=false",
    "fetch.fsckObjects=true",
    "fetch.unpackLimit=1",
    "transfer.bundleURI=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
    "safe.bareRepository=all",
)
_PROTOCOLS: Final = "file:git:http:https:ssh"
_KEPT: Final = frozenset(
    {
        *("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_PROXY_COMMAND"),
        *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_EXEC_PATH"),
    }
)
_KEPT_PREFIXES: Final = ("GIT_SSL_", "GIT_HTTP_", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_LARGEST_PACK: Final = 1 << 30
"""Bytes of any file that a fetch writes."""
_LARGEST_ANSWER: Final = 64 << 20
_NOT_FOUND: Final = 127
"""What the shell ends with then."""
_LIMITED: Final = f'ulimit -f {_LARGEST_PACK // 512} && exec "$@"'


class GitError(ReconcilerError):
    """git did not do what it was asked to; the message holds what it said, without credentials."""


class Git(Struct, frozen=True):
    """One repository, and how it is asked."""

    repository: Path
    stop: threading.Event
    """Ends what runs."""
    home: Mapping[str, str] = {}
    """Further variables of the environment."""

    def answer(self, *arguments: str, timeout: float, settings: Sequence[str] = ()) -> bytes:
        """What `git ARGUMENTS` writes; raises GitError if it fails, takes longer or writes without end."""
        with self.running(*arguments, timeout=timeout, settings=settings) as process:
            assert process.stdout is not None  # noqa: S101  # for the type checker: it is a pipe
            _close(process.stdin)
            answer = process.stdout.read(_LARGEST_ANSWER + 1)
            if len(answer) > _LARGEST_ANSWER:
                raise GitError(f"git {arguments[0]} writes more than {_LARGEST_ANSWER >> 20} MiB")
        return answer

    @contextmanager
    def running(
        self, *arguments: str, timeout: float, settings: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """`git ARGUMENTS` with pipes, which must have ended well by the end of the block; raises GitError."""
        command = [
            "git",
            "--no-replace-objects",
            "--literal-pathspecs",
            f"--git-dir={self.repository}",
            *(word for setting in (*_SAFE, *settings) for word in ("-c", setting)),
            *arguments,
        ]
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _LIMITED, "sh", *command],
                env=self._environment(),
                cwd=self.repository.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no terminal to ask at, and one group to end
            )
        except OSError as error:
            raise GitError(f"git can't be run: {error.strerror}", hint="install git on this machine") from error
        with process:
            watch = _Watch(process, timeout, self.stop)
            is_broken = False
            try:
                yield process
            except BrokenPipeError:
                is_broken = True  # it ended before it was told all: its own words say why
            except BaseException:
                watch.end()
                raise
            finally:
                with suppress(BrokenPipeError):
                    _close(process.stdin)
                watch.over()
        if watch.why:
            raise GitError(f"git {arguments[0]} was ended: {watch.why}")
        if process.returncode == _NOT_FOUND:
            raise GitError("there is no git on this machine", hint="install git")
        if process.returncode != 0 or is_broken:
            raise GitError(watch.told() or f"git {arguments[0]} ended with code {process.returncode}")

    def _environment(self) -> dict[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("GIT_") or key in _KEPT or key.startswith(_KEPT_PREFIXES)
        }
        return {
            **kept,
            **self.home,
            "GIT_TERMINAL_PROMPT": "0",
            "SSH_ASKPASS_REQUIRE": "never",
            "GCM_INTERACTIVE": "never",
            "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "LC_ALL": "C.UTF-8",
            "LANGUAGE": "en",
        }


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()


class _Watch:
    """Ends a process at its deadline or when told to; reads what it complains of."""

    def __init__(self, process: subprocess.Popen[bytes], timeout: float, stop: threading.Event) -> None:
        self._process = process
        self._timeout = timeout
        self._stop = stop
        self._over = threading.Event()
        self._said = b""
        self.why = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._guard = threading.Thread(target=self._wait, daemon=True)
        self._guard.start()

    def _read(self) -> None:
        assert self._process.stderr is not None  # noqa: S101  # for the type checker: it is a pipe
        for line in iter(lambda: self._process.stderr.readline(4096), b""):  # type: ignore[union-attr]
            self._said = (self._said + line)[-8192:]

    def _wait(self) -> None:
        left = self._timeout
        while left > 0 and not self._over.wait(0.1):
            left -= 0.1
            if self._stop.is_set():
                self.why = "this program ends"
                self.end()
                return
        if not self._over.is_set():
            self.why = f"it took longer than {self._timeout:g} s"
            self.end()

    def end(self) -> None:
        """All that it started with it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def over(self) -> None:
        """Wait for its end; at the deadline it comes by force."""
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._over.set()
        self._guard.join()
        self.end()  # what it left running holds its pipes open; not reaped yet, so the group is surely its own
        self._reader.join(timeout=5.0)
        self._process.wait()

    def told(self) -> str:
        """Its complaint in one line."""
        lines = [line.strip() for line in self._said.decode(errors="replace").splitlines()]
        telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        if any("Host key verification failed" in line for line in lines):
            telling = ["Host key verification failed", *telling]
        if any("Permission denied" in line for line in lines):
            telling = [next(line for line in lines if "Permission denied" in line), *telling]
        text = "; ".join(dict.fromkeys(line.removeprefix("fatal: ") for line in telling if line))
        printable = "".join(letter if letter.isprintable() else " " for letter in text)
        return without_credentials(printable)[:500]
