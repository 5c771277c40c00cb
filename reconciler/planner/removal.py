"""What left the specs: VMs stopped and undefined, disks kept unless told otherwise, unused bases collected."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import identity
from reconciler.model.inventory import ObservedPool, ObservedVolume
from reconciler.model.plan import FieldChange, UnmetReason
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DeleteVolume, StopDomain, UndefineDomain
from reconciler.planner.draft import Draft
from reconciler.planner.world import Copy, World


def plan_removals(world: World, draft: Draft) -> None:
    """Managed VMs that the specs no longer name."""
    for name in sorted(world.copies.keys() - world.desired.vms.keys()):
        ref = ObjectRef("VirtualMachine", name)
        if ref in world.desired.unusable:
            continue
        for copy in world.copies[name]:
            _Removal(world, draft, ref, copy).plan()


@dataclass(frozen=True, slots=True)
class _Removal:
    world: World
    draft: Draft
    ref: ObjectRef
    copy: Copy

    def plan(self) -> None:
        if self.world.desired.removal_hold:
            self._hold(
                "removal-held", f"not in the specs, but {self.world.desired.removal_hold}", "reconciler validate"
            )
        elif self.copy.mark.prune == "disabled":
            self._hold(
                "prune-disabled",
                "not in the specs, and protected by reconciler/prune: disabled",
                "put its spec back without the annotation, apply, then remove it",
            )
        elif self.world.is_paused(self.ref):
            self._hold("paused", "not in the specs, and held", f"reconciler resume {self.ref}")
        else:
            self._remove()

    def _hold(self, reason: UnmetReason, detail: str, hint: str) -> None:
        self.draft.wait(self.ref, reason, detail, severity="blocked", host=self.copy.host, hint=hint)

    def _remove(self) -> None:
        domain, after = self.copy.domain, []
        losing = self.copy.mark.deletion_policy == "delete"
        if domain.active:
            stop = StopDomain(
                domain=domain.name, uuid=domain.uuid, timeout=self.world.policy.shutdown_timeout, force=True
            )
            after.append(self._act(stop, "shut down", losing=losing))
        volumes = self._volumes(with_disks=losing)
        if domain.persistent:
            undefine = UndefineDomain(domain=domain.name, uuid=domain.uuid, keep_nvram=not losing)
            detail = "undefine" if losing else "undefine; its disks are kept"
            after = [self._act(undefine, detail, losing=losing, after=after)]
        for host, pool, volume in volumes:
            self.draft.act(
                DeleteVolume(pool=pool.name, volume=volume.name),
                target=self.ref,
                host=host,
                sign="destroy",
                why="removed",
                detail=f"delete volume {volume.name}",
                disruption="data-loss" if losing and not volume.name.endswith(".iso") else "destroy",
                after=after,
                part=volume.name,
            )

    def _act(
        self, step: StopDomain | UndefineDomain, detail: str, *, losing: bool, after: list[str] | None = None
    ) -> str:
        return self.draft.act(
            step,
            target=self.ref,
            host=self.copy.host,
            sign="destroy",
            why="removed",
            detail=detail,
            disruption="data-loss" if losing else "destroy",
            changes=(FieldChange("state", self.copy.domain.state, "removed", "destroy"),)
            if isinstance(step, UndefineDomain)
            else (),
            after=after or (),
        )

    def _volumes(self, *, with_disks: bool) -> list[tuple[str, ObservedPool, ObservedVolume]]:
        """The VM's own volumes that go: the seed always (it can be made again), disks where they are to be lost."""
        config = self.copy.domain.config
        paths = {config.seed.path} if config.seed else set()
        if with_disks:
            paths |= {disk.path for disk in config.disks}
        prefix = f"{self.world.fleet}.{self.ref.name}."
        found = []
        for pool_name in sorted(self.world.desired.pools):
            pool = self.world.observed_pool(pool_name, self.copy.host)
            if pool is None or pool.volumes is None:
                continue
            host = self.world.storage_host(pool_name, self.copy.host)
            found += [
                (host, pool, volume)
                for name, volume in sorted(pool.volumes.items())
                if volume.path in paths and name.startswith(prefix)
            ]
        return found


def plan_collection(world: World, draft: Draft) -> None:
    """Bases that nothing is made from any more, bases cut off while uploading, seeds that were replaced."""
    if world.desired.removal_hold or world.desired.unusable or "fleet" in world.ledger.paused:
        return
    for name, pool in sorted(world.desired.pools.items()):
        hosts = world.pool_hosts.get(name, ())
        for host in hosts[:1] if pool.spec.shared else hosts:
            storage = world.storage_host(name, host)
            observed = world.observed_pool(name, storage)
            if observed is not None and observed.volumes is not None and not _blind(world, name):
                _Collection(world, draft, storage, observed, shared=pool.spec.shared).plan()


def _blind(world: World, pool: str) -> bool:
    """With a host of a shared pool out of sight, what its VMs use is not known."""
    spec = world.desired.pools[pool].spec
    if not spec.shared:
        return False
    return any(
        name in world.desired.hosts and spec.hosts.matches(name, world.desired.hosts[name].metadata.labels)
        for name in world.inventory.unread
    )


@dataclass(frozen=True, slots=True)
class _Collection:
    world: World
    draft: Draft
    host: str
    pool: ObservedPool
    shared: bool

    def plan(self) -> None:
        volumes = self.pool.volumes or {}
        wanted = self._wanted_bases() | self._planned()
        backing = {volume.backing_path for volume in volumes.values() if volume.backing_path}
        used = backing | self._domain_paths()
        base_prefix = f"{self.world.fleet}.base-"
        for name, volume in sorted(volumes.items()):
            if name.startswith(base_prefix):
                base = name.removesuffix(".complete")
                path = volume.path.removesuffix(".complete")
                if base not in wanted and path not in used:
                    self._delete(volume, is_marker=name != base)
            elif self._is_stale_seed(name) and volume.path not in used and name not in wanted:
                self._delete(volume, is_marker=False)

    def _wanted_bases(self) -> set[str]:
        found = set()
        for name, image in self.world.desired.images.items():
            facts = self.world.inventory.images.get(name)
            digest = image.spec.checksum or (facts.digest if facts else None)
            if digest is not None:
                found.add(identity.base_volume(self.world.fleet, digest, image.spec.format))
        return found

    def _planned(self) -> set[str]:
        """Volumes that this plan is about to make or use."""
        found = set()
        for action in self.draft.actions.values():
            volume = getattr(action.step, "volume", None)
            if isinstance(volume, str):
                found.add(volume)
            base = getattr(action.step, "base", None)
            if isinstance(base, str):
                found.add(base)
        return found

    def _domain_paths(self) -> set[str]:
        hosts = (
            [host for host in self.world.inventory.hosts.values() if host.name in self.world.desired.hosts]
            if self.shared
            else [self.world.inventory.hosts[self.host]]
        )
        found = set()
        for host in hosts:
            for domain in host.domains.values():
                for config in (domain.config, domain.live):
                    if config is not None:
                        found |= {disk.path for disk in config.disks}
                        found |= {config.seed.path} if config.seed else set()
        return found

    def _is_stale_seed(self, name: str) -> bool:
        """`fleet.VM.seed-….iso` of a VM that is of the specs and exists: its domain refers to another one."""
        parts = name.split(".")
        return (
            len(parts) == 4
            and parts[0] == self.world.fleet
            and parts[2].startswith("seed-")
            and parts[3] == "iso"
            and parts[1] in self.world.copies
        )

    def _delete(self, volume: ObservedVolume, *, is_marker: bool) -> None:
        is_base = volume.name.startswith(f"{self.world.fleet}.base-")
        complete = identity.base_marker(volume.name) in (self.pool.volumes or {})
        step = DeleteVolume(pool=self.pool.name, volume=volume.name)
        what = "mark of a base" if is_marker else "base" if is_base else "seed"
        # The mark goes first: a base without one is never used, a mark without its base would vouch for nothing.
        marker_id = f"delete-volume:StoragePool/{self.pool.name}:{identity.base_marker(volume.name)}@{self.host}"
        self.draft.act(
            step,
            target=ObjectRef("StoragePool", self.pool.name),
            host=self.host,
            sign="destroy",
            why="unused" if complete or is_marker or not is_base else "incomplete",
            detail=f"delete {what} {volume.name}",
            disruption="none",
            after=(marker_id,) if is_base and not is_marker and complete else (),
            part=volume.name,
        )
