"""How hosts reach one another for a migration."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from reconciler.model.host import Host

_REMOTE: Final = ("qemu", "qemu+ssh", "qemu+tls", "qemu+tcp")


def peer_uri(host: Host) -> str | None:
    """URI by which the libvirtd of another host reaches `host`; None where its own is good on the controller alone."""
    if host.spec.peer_uri is not None:
        return host.spec.peer_uri
    parts = urlsplit(host.spec.uri)
    # Its parameters name keys and sockets of the controller.
    return parts._replace(query="").geturl() if parts.scheme in _REMOTE and parts.hostname else None


def migration_address(host: Host) -> str | None:
    """Where `host` takes the memory of guests that come to it; None leaves that to libvirt."""
    return host.spec.migration_address or urlsplit(host.spec.uri).hostname
