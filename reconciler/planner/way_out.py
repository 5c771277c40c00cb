"""What would let a VM that no host takes be placed: by the reasons of all hosts, the nearest to a mere edit first."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.next_command import NextCommand
from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine


def way_out(vm: VirtualMachine, rejections: Iterable[tuple[str, str]]) -> str:
    """The remedy where the reasons have one; else where every reason is told."""
    reasons = dict(rejections)
    without_kvm = [host for host, why in reasons.items() if why == f"no {vm.spec.domain_type}"]
    if without_kvm and vm.spec.domain_type == "kvm":
        hosts = " and ".join(without_kvm)
        return (
            f"write domainType: qemu (emulated, slow), or have {hosts} offer KVM: its module, or nested virtualisation"
        )
    if any(why.startswith("lacks ") for why in reasons.values()):
        too_much = "maxMemory or memory" if vm.spec.max_memory else "memory"
        free = "free some: by smaller or fewer VMs, or overcommit in the Host's spec"
        what = [
            field
            for field, of in ((too_much, " of memory"), ("cpu.count", " vCPU"))
            if any(why.startswith("lacks ") and of in why for why in reasons.values())
        ]
        if what:
            return f"give it less ({', '.join(what)}), or {free}"
    cordoned = [host for host, why in reasons.items() if why == "cordoned"]
    if cordoned:
        return f"write state: active for Host {' or '.join(cordoned)}, or let it run on other hosts"
    return NextCommand("why", str(ObjectRef("VirtualMachine", vm.name)))
