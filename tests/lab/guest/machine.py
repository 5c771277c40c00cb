"""A guest image under a bare QEMU: its serial console, its agent and its monitor, without libvirt."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.lab.guest.commands import GuestImageError, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Machine:
    """A running QEMU; its files are in ``folder``, ``began`` is on the monotonic clock, in seconds."""

    folder: Path
    process: subprocess.Popen[bytes]
    began: float

    def console(self) -> list[str]:
        """Complete lines that the guest has printed so far."""
        text = (self.folder / "console").read_text(errors="replace")
        return [line.rstrip("\r") for line in text.split("\n")[:-1]]

    def wait_for_line(self, start: str, *, times: int = 1, seconds: float = 60) -> str:
        """The ``times``-th console line that starts with ``start``, waiting up to ``seconds`` for it."""
        found: list[str] = []

        def seen() -> bool:
            found[:] = [line for line in self.console() if line.startswith(start)]
            return len(found) >= times

        self._wait(seen, f"line {start!r}", seconds)
        return found[times - 1]

    def wait_for_exit(self, seconds: float = 60) -> int:
        """QEMU's exit code once the guest has powered off."""
        self._wait(lambda: self.process.poll() is not None, "power-off", seconds)
        return self.process.wait()

    def monitor(self, command: str, **arguments: Any) -> Any:
        """Carry out a QMP command and return its result."""
        return _converse(self.folder / "monitor", ["qmp_capabilities", command], arguments, greeting=True)

    def agent(self, command: str, **arguments: Any) -> Any:
        """Carry out a guest agent command and return its result; raises GuestImageError after 10 s of silence."""
        return _converse(self.folder / "agent", [command], arguments, greeting=False)

    def agent_shutdown(self, mode: str = "powerdown") -> None:
        """Ask the guest agent for ``powerdown``, ``reboot`` or ``halt``; it does not answer this."""
        message = {"execute": "guest-shutdown", "arguments": {"mode": mode}}
        with _connected(self.folder / "agent") as channel:
            channel.sendall(json.dumps(message).encode() + b"\n")

    def run_in_guest(self, script: str, *, seconds: float = 30) -> str:
        """Stdout of a shell script that the guest agent runs; raises GuestImageError if it fails."""
        request = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        pid = self.agent("guest-exec", **request)["pid"]
        status: dict[str, Any] = {}

        def ended() -> bool:
            status.update(self.agent("guest-exec-status", pid=pid))
            return bool(status["exited"])

        self._wait(ended, "the script's end", seconds)
        if status["exitcode"] != 0:
            raise GuestImageError(f"guest: {script!r} ended with {status['exitcode']}")
        return base64.b64decode(status.get("out-data", "")).decode(errors="replace")

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                if condition():
                    return
                tail = "\n".join(self.console()[-15:])
                raise GuestImageError(f"guest: no {what} in {seconds:.0f} s, or QEMU ended; console:\n{tail}")
            time.sleep(_POLL_SECONDS)


@contextmanager
def boot(image: Path, folder: Path, *, memory: int = 128, extra: Sequence[str] = ()) -> Iterator[Machine]:
    """Boot an overlay of ``image`` under TCG with ``memory`` MiB; QEMU is gone when the block ends.

    ``extra`` are further QEMU arguments, e.g. a seed disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    overlay = folder / "disk.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image.absolute(), overlay])
    (folder / "console").touch()
    began = time.monotonic()
    process = subprocess.Popen([*_qemu(folder, overlay, memory), *extra])
    try:
        yield Machine(folder, process, began)
    finally:
        process.kill()
        process.wait()


def _qemu(folder: Path, overlay: Path, memory: int) -> list[str]:
    return [
        *("qemu-system-x86_64", "-nodefaults", "-accel", "tcg", "-machine", "q35", "-cpu", "max"),
        *("-m", str(memory), "-smp", "1,maxcpus=2", "-display", "none"),
        *("-chardev", f"file,id=console,path={folder / 'console'}", "-serial", "chardev:console"),
        *("-drive", f"file={overlay},if=none,id=disk", "-device", "virtio-blk-pci,drive=disk,bootindex=1"),
        *("-device", "pcie-root-port,id=spare,chassis=1,slot=1"),
        *("-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={folder / 'agent'},server=on,wait=off"),
        *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        *("-qmp", f"unix:{folder / 'monitor'},server=on,wait=off"),
    ]  # fmt: skip


@contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as channel:
        channel.settimeout(10)
        channel.connect(str(path))
        yield channel


def _converse(path: Path, commands: Sequence[str], arguments: dict[str, Any], *, greeting: bool) -> Any:
    result = None
    with _connected(path) as channel, channel.makefile("rw") as lines:
        try:
            if greeting:
                lines.readline()
            for command in commands:
                last = command == commands[-1]
                message = {"execute": command, **({"arguments": arguments} if last and arguments else {})}
                lines.write(json.dumps(message) + "\n")
                lines.flush()
                result = _answer(lines, command)
        except TimeoutError as error:
            raise GuestImageError(f"guest: no answer to {commands[-1]} within 10 s") from error
    return result


def _answer(lines: Any, command: str) -> Any:
    for line in lines:
        message = json.loads(line)
        if "return" in message:
            return message["return"]
        if "error" in message:
            raise GuestImageError(f"guest: {command} failed: {message['error']['desc']}")
    raise GuestImageError(f"guest: the channel closed before {command} was answered")
