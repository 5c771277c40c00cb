"""Domains that get the name that their VM has in the specs now, and VMs that may be the ones that left them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DomainConfig, OwnershipMark
from reconciler.model.identity import effective_uuid, vm_uuid
from reconciler.model.ledger import LedgerView
from reconciler.model.next_command import ACCEPT_SPECS, NextCommand
from reconciler.model.plan import FieldChange, Plan
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import RenameDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.model.volume_names import owner_of
from reconciler.planner.draft import Draft
from reconciler.planner.one_copy import OneCopy
from reconciler.planner.ownership import Copy
from reconciler.planner.shutdowns import shut_down
from reconciler.planner.specs_doubt import SHORT
from reconciler.planner.world import World


class Renaming(OneCopy, frozen=True):
    """Plans that the domain of `vm`, which goes by its old name, gets the new one."""

    def decides(self) -> bool:
        """Whether nothing else is done to it in this plan; says why it is not renamed now."""
        new = self.world.desired.to_rename.get(self.vm.name)
        if new is None:
            return False
        if self.copy.domain.name == new:
            self._rename(new, ())  # it was cut off between the name and the mark
            return True
        if self._has_failed(new) or self._is_held_back(new):
            return False
        if not self.copy.domain.active:
            self._rename(new, ())
            return True
        if self._may_restart():
            self._rename(new, (self._stop(new),))
            return True
        self.draft.wait(
            self.target,
            "rename-pending",
            f"its spec names it {new}; libvirt renames no domain that runs",
            host=self.copy.host,
            hint="shut it down, and it is renamed; updatePolicy: restart lets the controller do that",
            changes=(FieldChange("name", self.vm.name, new, "reboot"),),
        )
        return False

    def _has_failed(self, new: str) -> bool:
        """Whether it could not be renamed: then it goes on under its old name, and is not shut down for that again."""
        action = f"rename-domain:{self.target}@{self.copy.host}"
        failure = self.world.ledger.failures.get(action)
        if failure is None or failure.attempts == 0:
            return False
        self.draft.remembered.add(action)
        self.draft.wait(
            self.target,
            "rename-pending",
            f"its spec names it {new}, and it could not be renamed: {failure.message}",
            severity="blocked",
            host=self.copy.host,
            hint=NextCommand("apply"),
        )
        return True

    def _is_held_back(self, new: str) -> bool:
        found = self._obstacle(new, ObjectRef("VirtualMachine", new))
        if found is None:
            return False
        why, hint = found
        detail = f"its spec names it {new}{why}"
        self.draft.wait(self.target, "rename-pending", detail, severity="blocked", host=self.copy.host, hint=hint)
        return True

    def _obstacle(self, new: str, ref: ObjectRef) -> tuple[str, str] | None:
        """Why it can't be renamed, running or not, and what lifts that."""
        world, host = self.world, self.copy.host
        if world.desired.doubt:
            return f"; {SHORT}", ACCEPT_SPECS
        if world.is_paused(ref):
            return ", which is held", world.how_to_resume(ref)
        if any(each.vm == self.vm.name for each in world.ledger.captures.values()):
            return "; it is being captured, and is renamed after that", ""
        if any(domain.name == new for domain in world.inventory.hosts[host].domains.values()):
            virsh = f"virsh -c {world.desired.hosts[host].spec.uri}"
            return ", and another domain has that name", f"{virsh} domrename {new} {new}-old, or choose another name"
        return None

    def _may_restart(self) -> bool:
        is_drained = self.world.desired.hosts[self.copy.host].is_drained
        return self.copy.domain.state == "running" and self.vm.spec.update_policy == "restart" and not is_drained

    def _stop(self, new: str) -> str:
        return self.draft.act(
            shut_down(self.world, self.vm, self.copy.domain),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why="spec-change",
            detail=f"shut down to be renamed; {new} is started then",
            disruption="reboot",
            changes=(FieldChange("name", self.vm.name, new, "reboot"),),
        )

    def _rename(self, new: str, after: tuple[str, ...]) -> None:
        domain = self.copy.domain
        self.draft.act(
            RenameDomain(renamed(domain.config, self.copy.mark, new), domain.name, domain.fingerprint),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why="spec-change",
            detail=f"rename the domain to {new}; UUID, MACs and volumes stay",
            disruption="reboot" if after else "none",
            changes=() if after else (FieldChange("name", self.vm.name, new, "none"),),
            after=after,
        )


def renamed(config: DomainConfig, mark: OwnershipMark, new: str) -> DomainConfig:
    """`config` with another name, and a mark that says whose it is under that; nothing else of it differs."""
    adopted = "" if config.uuid == vm_uuid(mark.fleet, new) else config.uuid
    origin = "" if mark.made_as == new else mark.made_as
    return replace(config, name=new, mark=replace(mark, vm=new, adopted=adopted, origin=origin))


def lookalikes(world: World) -> Mapping[str, str]:
    """New VMs that may be ones that left the specs in the same go, under another name: new → old.

    Sure where it has the UUID of that one, or says that it was that; likely where it asks for just what that one has.
    """
    left = {name: copies[0] for name, copies in world.copies.items() if name not in world.desired.vms and copies}
    if not left:
        return {}
    known = world.copies.keys() | world.ledger.placements.keys() | world.ledger.removed.keys() | world.ledger.awaited
    new = [vm for name, vm in sorted(world.desired.vms.items()) if name not in known]
    found: dict[str, str] = {}
    for vm in new:
        for old, copy in left.items():
            is_sure = copy.domain.uuid == effective_uuid(world.fleet, vm) or vm.metadata.previous_name == old
            if old not in found.values() and (is_sure or _is_alike(world.fleet, vm, copy)):
                found[vm.name] = old
                break
    return found


def _is_alike(fleet: str, vm: VirtualMachine, copy: Copy) -> bool:
    config, spec = copy.domain.config, vm.spec
    owners = [owner_of(fleet, disk.path.rpartition("/")[2]) for disk in config.disks]
    disks = Counter(owner.disk for owner in owners if owner is not None)
    return (
        bool(disks)
        and disks == Counter(disk.name for disk in spec.disks)
        and (config.vcpus, config.memory, config.firmware) == (spec.cpu.count, spec.memory, spec.firmware)
        and [nic.network for nic in config.nics] == [nic.network_name for nic in spec.networks]
    )


def other_origin(world: World, vm: VirtualMachine) -> str | None:
    """The name that `vm` was made with, where its spec says another one: then its volumes would be others."""
    copies = world.copies.get(vm.name, ())
    known = {copy.mark.made_as for copy in copies}
    if not copies and vm.name in world.ledger.placements.keys() | world.ledger.removed.keys():
        volumes = (volume for (name, _disk), volume in world.ledger.disk_volumes.items() if name == vm.name)
        known = {owner.vm for volume in volumes if (owner := owner_of(world.fleet, volume)) is not None}
    return min(known - {vm.metadata.origin}, default=None)


def awaited(plan: Plan, desired: DesiredState, ledger: LedgerView) -> frozenset[str]:
    """VMs that wait to be made, and are not in question themselves: whatever leaves the specs later is none of them."""
    waiting = {unmet.target.name for unmet in plan.unmet if unmet.target.kind == "VirtualMachine"}
    in_question = {unmet.target.name for unmet in plan.unmet if unmet.reason == "maybe-renamed"}
    return frozenset((waiting & desired.vms.keys()) - ledger.placements.keys() - in_question)


def hold_new(world: World, draft: Draft, vm: VirtualMachine, old: str) -> None:
    """Say that `vm` is not made while it may be `old`."""
    copy = world.copies[old][0]
    made_as = copy.mark.made_as
    draft.wait(
        ObjectRef("VirtualMachine", vm.name),
        "maybe-renamed",
        f"it is new and just like VirtualMachine/{old}, which is not in the specs any more; it is not made, and"
        f" {old} stays as it is on {copy.host}",
        severity="blocked",
        host=copy.host,
        hint=f"if it is {old} under another name, write metadata.previousName: {made_as}; if not, remove {old} in a"
        " commit of its own, before this one",
    )


def hold_old(world: World, draft: Draft, old: str, new: str) -> None:
    """Say that `old` is not removed while it may be `new`."""
    copy = world.copies[old][0]
    draft.wait(
        ObjectRef("VirtualMachine", old),
        "maybe-renamed",
        f"not in the specs any more, where VirtualMachine/{new} is new and just like it; it is not removed",
        severity="blocked",
        host=copy.host,
        hint=f"if {new} is its new name, write metadata.previousName: {copy.mark.made_as} there; if not, take {new} out"
        " until this one is removed",
    )
