"""What a host's hypervisor can do for guests that come from elsewhere, and what their CPUs ask of it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class GuestCpu(Struct, frozen=True):
    """The CPU of a guest, in libvirt's words: what `host-model` came to, where it runs."""

    mode: str
    """`custom`, `host-model`, `host-passthrough` or `maximum`."""
    model: str = ""
    vendor: str = ""
    features: tuple[tuple[str, str], ...] = ()
    """Policy and name of each feature, by name."""
    check: str = ""
    """How libvirt checks it before a guest starts; `none` takes what the host has of it."""

    @property
    def is_bound(self) -> bool:
        """Whether it is one certain CPU, which a host has or has not."""
        return self.mode == "custom" and self.check != "none"


class CpuQuestion(Struct, frozen=True):
    """A CPU that a guest of some kind would need."""

    cpu: GuestCpu
    domain_type: str


class CpuAnswer(Struct, frozen=True):
    """What a host said to a question."""

    question: CpuQuestion
    lacks: str
    """What it lacks for such a guest; empty if nothing."""


class HostAbilities(Struct, frozen=True):
    """What a host can run, by domain type; empty where libvirt's driver does not tell."""

    machines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Machine types, short names too."""
    cpus: Mapping[str, GuestCpu] = field(default_factory=dict)
    """What `host-model` comes to."""
    answers: tuple[CpuAnswer, ...] = ()
    """To what it was asked so far."""

    def lacks(self, question: CpuQuestion) -> str | None:
        """What it lacks for a guest with that CPU, empty if nothing; None if it was not asked."""
        return next((answer.lacks for answer in self.answers if answer.question == question), None)
