"""All specs of one consistent snapshot of the directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from reconciler.model.approval import Approval
from reconciler.model.host import Host
from reconciler.model.image import Image
from reconciler.model.network import Network
from reconciler.model.resource import ObjectRef
from reconciler.model.revision import Revision
from reconciler.model.storage_pool import StoragePool
from reconciler.model.virtual_machine import VirtualMachine


class SourceRef(Struct, frozen=True, order=True):
    """Where an object or a mistake stands; line and column from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class SpecProblem(Struct, frozen=True, order=True):
    """One mistake in the specs, ready to be shown."""

    where: SourceRef
    code: str
    """`S0xx`, constant."""
    target: str
    """`Kind/name`, as far as it could be read."""
    field: str
    """Path such as `spec.disks[0].size`; empty for the whole object or file."""
    message: str
    """What is wrong and what would be right."""
    severity: Literal["error", "warning"] = "error"
    snippet: str = ""
    """The line of the file, empty where it must not be shown."""
    width: int = 1
    """Characters to mark from `where.column`."""
    suggestion: str = ""
    """A name that was probably meant."""

    @property
    def needs_images(self) -> bool:
        """Whether it is found only where images are opened, which `validate` does not."""
        return self.code in ("S033", "S038", "S039")


class DesiredState(Struct, frozen=True):
    """One generation of specs; objects are by name."""

    generation: str
    """Commit, or a hash of the content."""
    hosts: Mapping[str, Host] = field(default_factory=dict)
    pools: Mapping[str, StoragePool] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    vms: Mapping[str, VirtualMachine] = field(default_factory=dict)
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    sources: Mapping[ObjectRef, SourceRef] = field(default_factory=dict)
    problems: tuple[SpecProblem, ...] = ()
    unusable: Mapping[ObjectRef, SpecProblem] = field(default_factory=dict)
    """Objects that exist in the specs, but have no usable content: nothing of theirs is changed or removed."""
    removal_hold: str = ""
    """Why nothing may be removed for being absent (unreadable file, empty directory); empty if it may."""

    doubt: str = ""
    """Why these may be older than the specs that the fleet was led by: then they only keep it running. Else empty."""
    restrained: Mapping[ObjectRef, str] = field(default_factory=dict)
    """In doubt: what the specs that the fleet was led by hold back of an object, which these here would not."""
    former: Mapping[str, str] = field(default_factory=dict)
    """VMs that have another name than they were made with: that one → the one they have."""
    to_rename: Mapping[str, str] = field(default_factory=dict)
    """VMs whose domain has not the name of their spec yet: that of the domain, under which `vms` has them → the new."""
    revision: Revision | None = None
    """The commit that they are, or were made from; None where they are in no repository."""

    @property
    def every_host(self) -> frozenset[str]:
        """Names of all hosts; those whose spec can't be used are hosts all the same."""
        return frozenset(self.hosts) | {ref.name for ref in self.unusable if ref.kind == "Host"}

    def vm_made_as(self, origin: str) -> VirtualMachine | None:
        """The VM that was made with the name `origin`, by which its volumes are told."""
        vm = self.vms.get(self.former.get(origin, origin))
        return vm if vm is not None and vm.metadata.origin == origin else None

    @property
    def errors(self) -> tuple[SpecProblem, ...]:
        """The mistakes that leave something of the specs out of use."""
        return tuple(problem for problem in self.problems if problem.severity == "error")
