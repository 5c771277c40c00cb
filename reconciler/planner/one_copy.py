"""A VM with one copy in sight: what those who plan it look at."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.ownership import Copy
from reconciler.planner.world import World


class OneCopy(Struct, frozen=True):
    """The copy of `vm`, the world around it, and the draft that is written to."""

    world: World
    facilities: Facilities
    draft: Draft
    vm: VirtualMachine
    copy: Copy

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)
