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
