"""sd_notify: readiness, a sentence of status and the watchdog, as sd_notify(3) describes the protocol."""

from __future__ import annotations

import os
import socket
import time


class ServiceManager:
    """Talks to systemd where it listens; silent where it doesn't."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")

    def ready(self, status: str) -> None:
        """The service is up."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One sentence for `systemctl status`."""
        self._send(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` says that it was."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=finishing what is in flight")

    def alive(self) -> None:
        """The watchdog's ping; called only by the loop itself, so that a stuck loop is noticed."""
        self._send("WATCHDOG=1")

    @staticmethod
    def watchdog_interval() -> float | None:
        """Seconds between pings, half of what systemd allows; None where no watchdog is asked for."""
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        return int(microseconds) / 2e6 if microseconds.isdigit() and int(microseconds) else None

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(message.encode(), address)
            except OSError:
                # systemd went away or restarts: what it is told is news only, never part of a decision.
                return


def _line(text: str) -> str:
    return " ".join(text.split())
