"""libvirt's errors in our words. Codes and texts are what libvirt 9.0 really says."""

from dataclasses import dataclass

import pytest

from reconciler.errors import HostBusy, HostError, HostRefused, HostUnreachable, NoSpace, ObjectConflict, ObjectNotFound
from reconciler.hypervisor.libvirt_errors import translate


@dataclass(frozen=True, slots=True)
class _Raw:
    code: int
    domain: int
    text: str

    def get_error_code(self) -> int:
        return self.code

    def get_error_domain(self) -> int:
        return self.domain

    def get_error_message(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("raw", "target", "expected"),
    [
        (_Raw(42, 10, "Domain not found: no domain with matching name 'x'"), "VirtualMachine/x", ObjectNotFound),
        (_Raw(43, 19, "Network not found: no network with matching name 'lan'"), "VirtualMachine/x", HostRefused),
        (_Raw(49, 18, "Storage pool not found"), "StoragePool/p", ObjectNotFound),
        (_Raw(50, 18, "Storage volume not found"), "Volume/p/v", ObjectNotFound),
        (_Raw(9, 20, "operation failed: domain 'x' already exists with uuid 1"), "VirtualMachine/x", ObjectConflict),
        (_Raw(90, 18, "storage volume 'v' exists already"), "Volume/p/v", ObjectConflict),
        (_Raw(55, 18, "volume target path '/p/v' already exists"), "Volume/p/v", ObjectConflict),
        (_Raw(1, 18, "internal error: pool 'p' has asynchronous jobs running."), "StoragePool/p", HostBusy),
        (_Raw(68, 10, "cannot acquire state change lock"), "VirtualMachine/x", HostBusy),
        (_Raw(38, 18, "cannot extend file '/p/v': No space left on device"), "Volume/p/v", NoSpace),
        (_Raw(38, 7, "Cannot write data: Broken pipe"), "", HostUnreachable),
        (_Raw(1, 7, "internal error: client socket is closed"), "", HostUnreachable),
        (_Raw(67, 10, "unsupported configuration: does not support virt type 'kvm'"), "VirtualMachine/x", HostRefused),
    ],
)
def test_each_error_of_libvirt_becomes_one_of_ours(raw: _Raw, target: str, expected: type[HostError]) -> None:
    error = translate(raw, host="h1", target=target)

    assert type(error) is expected
    assert raw.text in str(error)
    assert "h1" in str(error)
    assert error.hint


_NO_ANSWER = "Cannot recv data: {} Connection reset by peer"
_CHANGED_KEY = (
    f"{'@' * 59}\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n{'@' * 59}\nIT IS POSSIBLE THAT SOMEONE"
    " IS DOING SOMETHING NASTY!\nOffending ED25519 key in /root/.ssh/known_hosts:1\nHost key verification failed.:"
)


@pytest.mark.parametrize(
    ("said_by_ssh", "next_step"),
    [
        ("Host key verification failed.:", "log in to the host by ssh once"),
        (_CHANGED_KEY, "ssh-keygen -R HOST"),
        ("root@h1: Permission denied (publickey,password).:", "authorized_keys"),
        ("sh: 1: nc: not found:", "install libvirt's daemon"),
    ],
)
def test_what_ssh_refuses_has_a_next_step_of_its_own(said_by_ssh: str, next_step: str) -> None:
    error = translate(_Raw(38, 7, _NO_ANSWER.format(said_by_ssh)), host="h1", lost=True)

    assert next_step in error.hint


@pytest.mark.parametrize(
    ("said", "next_step"),
    [
        ("unable to resolve address 'h9.example' service '16514': Name or service not known", "the name is not known"),
        (_NO_ANSWER.format("ssh: Could not resolve hostname h9: Temporary failure in name resolution:"), "/etc/hosts"),
        ("unable to connect to server at 'h9:16514': Connection refused", "nothing listens there"),
        (_NO_ANSWER.format("ssh: connect to host h9 port 22: Connection refused:"), "nothing listens there"),
        ("unable to connect to server at 'h9:16514': No route to host", "no machine answers"),
        (_NO_ANSWER.format("ssh: connect to host h9 port 22: Connection timed out:"), "no machine answers"),
        ("Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory", "virt-pki-validate"),
        (
            _NO_ANSWER.format(
                "Warning: Identity file /k not accessible: No such file. h9: Permission denied (publickey)."
            ),
            "keyfile= of the host's URI",
        ),
    ],
)
def test_a_host_that_is_not_reached_is_told_by_what_is_in_the_way(said: str, next_step: str) -> None:
    error = translate(_Raw(38, 7, said), host="h9", lost=True, uri="qemu+ssh://h9/system")

    assert next_step in error.hint
    assert "libvirtd runs there" not in error.hint


def test_the_page_that_ssh_fills_about_a_changed_key_becomes_a_line() -> None:
    error = translate(_Raw(38, 7, _NO_ANSWER.format(_CHANGED_KEY)), host="h1", lost=True)

    assert "REMOTE HOST IDENTIFICATION HAS CHANGED: Host key verification failed" in error.message
    assert "NASTY" not in error.message


def test_a_socket_that_may_not_be_opened_names_the_group() -> None:
    text = "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied"

    assert "usermod -aG libvirt" in translate(_Raw(38, 7, text), host="h1", lost=True).hint


def test_where_to_look_when_qemu_broke_off_has_the_vms_own_name() -> None:
    text = "internal error: process exited while connecting to monitor: out of memory"

    assert (
        "/var/log/libvirt/qemu/web-1.log" in translate(_Raw(1, 10, text), host="h1", target="VirtualMachine/web-1").hint
    )
    assert "NAME" not in translate(_Raw(1, 10, text), host="h1").hint


def test_a_disk_that_another_qemu_has_open_is_not_a_matter_of_rights_or_logs() -> None:
    text = 'internal error: process exited while connecting to monitor: Failed to get "write" lock'

    assert "another QEMU has the disk open" in translate(_Raw(1, 10, text), host="h1").hint


def test_the_uri_to_try_by_hand_is_quoted_for_a_shell() -> None:
    error = translate(_Raw(5, 7, "no route"), host="h1", lost=True, uri="qemu+ssh://h1/system?keyfile=/k&mode=auto")

    assert "`virsh -c 'qemu+ssh://h1/system?keyfile=/k&mode=auto' list`" in error.hint


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("StoragePool/vms", "`virsh -c qemu+ssh://h1/system pool-start vms`, or `reconciler resume StoragePool/vms`"),
        ("Network/lan", "`virsh -c qemu+ssh://h1/system net-start lan`, or `reconciler resume Network/lan`"),
        ("VirtualMachine/web", "see libvirt's log on the host"),
    ],
)
def test_a_pool_or_network_that_libvirt_refuses_to_start_names_how_to_try_it_again(target: str, command: str) -> None:
    error = translate(
        _Raw(38, 18, "cannot open directory '/srv/vms'"), host="h1", target=target, uri="qemu+ssh://h1/system"
    )

    assert command in error.hint
