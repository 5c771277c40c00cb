"""How URIs are opened by a program that nobody watches."""

import pytest

from reconciler.hypervisor.transport import unattended


@pytest.mark.parametrize(
    ("uri", "opened"),
    [
        ("qemu+ssh://root@h1/system", "qemu+ssh://root@h1/system?no_tty=1"),
        ("qemu+ssh://h1/system?keyfile=/k", "qemu+ssh://h1/system?keyfile=/k&no_tty=1"),
        ("qemu+tls://h1/system", "qemu+tls://h1/system"),
        ("qemu:///system", "qemu:///system"),
    ],
)
def test_ssh_is_told_not_to_ask(uri: str, opened: str) -> None:
    """A password or host key prompt would hang a service; ssh is told to fail instead."""
    assert unattended(uri) == opened
