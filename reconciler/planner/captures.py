"""Versions of images that are captured from VMs: which are made now, which are followed, and who waits for whom."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import identity
from reconciler.model.capture_steps import CaptureDisk, CaptureImage, ReadVersions
from reconciler.model.image import Image
from reconciler.model.ledger import Capture
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Severity, UnmetReason
from reconciler.model.quantities import approximate_size
from reconciler.model.resource import ObjectRef
from reconciler.model.version import instant_of
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.capture_times import Wanted, wanted
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.increments import resting
from reconciler.planner.ownership import Copy
from reconciler.planner.world import World


class _Place(Struct, frozen=True):
    """Where a version goes, and where its disks are copied to first."""

    pool_host: str
    copy_pool: str
    folder: str


class Turns(Struct):
    """How many more captures may be under way: in the fleet, and of each host's VMs."""

    fleet: int
    per_host: int
    busy: dict[str, int]

    def full(self, host: str) -> str:
        """Why one more can't begin there now; empty if it can."""
        if self.fleet <= 0:
            return "as many as may be captured at once are"
        if self.busy.get(host, 0) >= self.per_host:
            return f"{self.per_host} at once of {host}" if self.per_host > 1 else f"one at a time of {host}"
        return ""

    def take(self, host: str) -> None:
        self.fleet -= 1
        self.busy[host] = self.busy.get(host, 0) + 1


def plan_captures(world: World, facilities: Facilities, draft: Draft) -> None:
    """Follow what is on record; make the first version of what has none, what is due, and what people asked for.

    Comes after all that is planned for VMs: a capture waits for that.
    """
    turns = _turns(world)
    for name, capture in sorted(world.ledger.captures.items()):
        _follow(world, draft, name, capture)
    waiting = [
        image
        for name, image in world.desired.images.items()
        if image.spec.is_captured and name not in world.ledger.captures
    ]
    # Who waits longest goes first: a host that is captured one VM at a time gets to all of them.
    for image, due in sorted(
        ((image, wanted(world, image)) for image in waiting),
        key=lambda pair: (math.inf if pair[1] is None else pair[1].since, pair[0].name),
    ):
        _Capturing(world, facilities, draft, turns, image).plan(due)


def words(capture: Capture) -> str:
    """`web-1-golden@…Z of web-1 on h1: copying, 45 %`."""
    done = f", {100 * min(capture.done, capture.total) // capture.total} %" if capture.total else ""
    what = {"begun": "about to begin", "frozen": "about to begin", "copying": "copying", "sealing": "reading it over"}
    name = f"{capture.image}@{instant_of(capture.stamp)}"
    return f"{name} of {capture.vm} on {capture.host}: {what[capture.phase]}{done}"


def holds_vm(world: World, vm: str) -> Capture | None:
    """The capture that has the VM stay where and as it is: until all of it is copied."""
    if not world.ledger.captures:
        return None
    found = (each for each in world.ledger.captures.values() if each.vm == vm and each.phase != "sealing")
    return next(found, None)


def _turns(world: World) -> Turns:
    rules, busy = world.policy.capture, dict[str, int]()
    for capture in world.ledger.captures.values():
        busy[capture.host] = busy.get(capture.host, 0) + 1
    return Turns(rules.parallel_fleet - len(world.ledger.captures), rules.parallel_per_host, busy)


def _follow(world: World, draft: Draft, name: str, capture: Capture) -> None:
    target, step = ObjectRef("Image", name), capture.step
    if str(target) in world.ledger.in_flight:
        draft.wait(target, "capturing", words(capture), host=capture.host)
        return
    gone = [host for host in (step.host, step.pool_host) if host in world.dead or host not in world.desired.hosts]
    silent = [host for host in (step.host, step.pool_host) if host not in world.inventory.hosts and host not in gone]
    if silent:
        detail = f"{words(capture)}; {silent[0]} can't be read"
        draft.wait(target, "host-unread", detail, host=silent[0], hint=NextCommand("why", f"Host/{silent[0]}"))
        return
    give_up = "people cancelled it" if capture.cancelled else f"{gone[0]} is no more" if gone else ""
    draft.act(
        replace(step, begun=True, give_up=give_up),
        target=target,
        host=step.host,
        sign="create",
        why=capture.why,
        detail=f"{'give up' if give_up else 'follow'} {words(capture)}{f', as {give_up}' if give_up else ''}",
    )


class _Capturing(Struct, frozen=True):
    """One image of which nothing is being made."""

    world: World
    facilities: Facilities
    draft: Draft
    turns: Turns
    image: Image

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("Image", self.image.name)

    @property
    def vm_name(self) -> str:
        return self.image.spec.source.vm or ""

    def plan(self, wanted_now: Wanted | None) -> None:
        unrecorded = dict(self._unrecorded())
        for (pool, host), manifests in sorted(unrecorded.items()):
            self._read(pool, host, manifests)
        if wanted_now is None:
            return
        if self.world.is_paused(self.target):
            hint = self.world.how_to_resume(self.target)
            self.draft.wait(self.target, "paused", "a version is to be made, and held", hint=hint)
        elif unrecorded and not self.world.ledger.versions.get(self.image.name):
            self._wait("capture-waits", "the versions that are there are read first")
        elif wanted_now.why == "first-version" and (unseen := self._unseen()):
            detail = f"whether there is a version in pool {self.image.spec.pool} is not known: {unseen} can't be read"
            self._wait("pool-unavailable", detail, hint=NextCommand("why", f"Host/{unseen}"))
        else:
            self._capture(wanted_now)

    # -- what is there ---------------------------------------------------------------------------------------------
    def _unrecorded(self) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
        """Manifests in sight that the ledger does not know of, by pool and host."""
        known = {version.stamp for version in self.world.ledger.versions.get(self.image.name, ())}
        prefix = f"{self.world.fleet}.{self.image.name}."
        for pool in sorted(self.world.desired.pools):
            for host in self._readers(pool):
                observed = self.world.observed_pool(pool, host)
                found = [
                    volume
                    for volume in (observed.volumes or () if observed is not None else ())
                    if volume.startswith(prefix)
                    and identity.is_version_manifest(volume)
                    and _stamp(volume) not in known
                ]
                if found:
                    yield (pool, host), tuple(sorted(found))

    def _readers(self, pool: str) -> tuple[str, ...]:
        if not self.world.is_shared(pool):
            return self.world.pool_hosts.get(pool, ())
        return (self.world.shared_pools[pool],) if pool in self.world.shared_pools else ()

    def _unseen(self) -> str:
        """A host that can't be read, and whose pool may have versions of it; empty if there is none."""
        pool = self.image.spec.pool or ""
        if pool in self.world.shared_pools:
            return ""
        return next((host for host in self.world.unread if self.world.pool_serves(pool, host)), "")

    def _read(self, pool: str, host: str, manifests: tuple[str, ...]) -> None:
        self.draft.act(
            ReadVersions(self.image.name, pool, manifests),
            target=self.target,
            host=host,
            sign="change",
            why="unrecorded",
            detail=f"read the manifests of {len(manifests)} version{'s' if len(manifests) > 1 else ''} in pool {pool}",
            part=pool,
        )

    # -- a new one -------------------------------------------------------------------------------------------------
    def _capture(self, now: Wanted) -> None:
        vm, copies = self.world.desired.vms.get(self.vm_name), self.world.copies.get(self.vm_name, ())
        if vm is None:
            self._wait("capture-waits", f"there is no VirtualMachine {self.vm_name} in the specs", severity="blocked")
        elif len(copies) != 1:
            self._wait("capture-waits", f"{self.vm_name} is {'in two places' if copies else 'not in sight'}")
        elif (busy := self._why_not_now(copies[0])) is not None:
            self._wait(*busy, host=copies[0].host)
        else:
            self._plan(now, vm, copies[0])

    def _why_not_now(self, copy: Copy) -> tuple[UnmetReason, str] | None:
        name, ledger = self.vm_name, self.world.ledger
        ref = ObjectRef("VirtualMachine", name)
        if name in ledger.migrations or copy.is_on_its_way:
            return "capture-waits", f"{name} is on its way to another host"
        if str(ref) in ledger.in_flight:
            return "capture-waits", f"an earlier pass is still at {name}"
        other = next((each.image for each in ledger.captures.values() if each.vm == name), None)
        if other is not None:
            return "capture-waits", f"{name} is being captured for Image/{other}"
        first = [action.detail for action in self.draft.actions.values() if self._goes_first(action.id, action.target)]
        if first:
            return "capture-waits", f"{name} comes first: {first[0]}"
        if copy.domain.state not in ("running", "shutoff"):
            return "guest-paused", f"{name} is {copy.domain.state}; it is captured as it runs, or once it is off"
        full = self.turns.full(copy.host)
        return ("capture-waits", f"others go first: {full}") if full else None

    def _goes_first(self, action: str, target: ObjectRef) -> bool:
        """What is planned for its VM, and another capture of that; what failed again and again holds up nothing."""
        if target == ObjectRef("VirtualMachine", self.vm_name):
            return action not in self.world.ledger.failures
        step = self.draft.actions[action].step
        return isinstance(step, CaptureImage) and step.domain == self.vm_name

    def _plan(self, now: Wanted, vm: VirtualMachine, copy: Copy) -> None:
        spec = self.image.spec
        stamp = now.stamp
        place = self._place(copy.host)
        disks = self._disks(vm, copy, stamp, place)
        if isinstance(place, str) or isinstance(disks, str):
            self._wait(
                "pool-unavailable" if isinstance(place, str) else "capture-waits",
                f"{place if isinstance(place, str) else disks}",
                severity="blocked",
            )
            return
        is_off = copy.domain.state == "shutoff"
        if not self._waits_after_a_failure(copy.host):
            self.turns.take(copy.host)
        size = approximate_size(sum(disk.capacity for disk in disks))
        named = ", ".join(disk.name for disk in disks)
        step, kind = resting(
            self.world,
            self.image,
            copy,
            CaptureImage(
                image=self.image.name,
                stamp=stamp,
                domain=vm.name,
                uuid=copy.domain.uuid,
                host=copy.host,
                pool=spec.pool or "",
                pool_host=place.pool_host,
                shared=self.world.is_shared(spec.pool or ""),
                copy_pool=place.copy_pool,
                folder=place.folder,
                manifest=identity.version_manifest(self.world.fleet, self.image.name, stamp),
                disks=disks,
                quiesce=spec.quiesce,
                is_off=is_off,
                bandwidth=spec.bandwidth or 0,
                compression=spec.compression,
                generation=self.world.desired.generation,
                spec_hash=copy.mark.spec_hash,
                due=now.due,
            ),
        )
        self.draft.act(
            step,
            target=self.target,
            host=copy.host,
            sign="create",
            why=now.why,
            detail=f"capture {vm.name} {'while it is off' if is_off else 'as it runs'}, {named} ({size}), into pool"
            f" {spec.pool}{kind}",
            after=self._pools_first(spec.pool or "", place),
        )

    def _waits_after_a_failure(self, host: str) -> bool:
        """Then others have its turn meanwhile."""
        failure = self.world.ledger.failures.get(f"capture-image:{self.target}@{host}")
        return failure is not None and failure.waits(self.world.now) > 0

    def _pools_first(self, pool: str, place: _Place) -> tuple[str, ...]:
        actions = self.facilities.pool_actions
        found = (actions.get((pool, place.pool_host)), actions.get((place.copy_pool, place.pool_host)))
        return tuple(dict.fromkeys(action for action in found if action is not None))

    def _place(self, host: str) -> _Place | str:
        """Where it goes; a text says why nowhere."""
        pool, pools = self.image.spec.pool or "", self.facilities.pools_on(host)
        mine = pools.get(pool)
        if mine is not None:
            return f"pool {pool} has no files, but block devices" if mine.block else _Place(host, pool, mine.target)
        others = [name for name in self.world.pool_hosts.get(pool, ()) if self.facilities.has_pool(pool, name)]
        if not others:
            return f"pool {pool} is on no host that can be read"
        last = self.world.ledger.versions.get(self.image.name, ())
        at = last[-1].host if last and last[-1].host in others else self.world.storage_host(pool, others[0])
        if at is None or self.facilities.pools_on(at)[pool].block:
            return f"pool {pool} has no files, but block devices"
        for disk in self.world.desired.vms[self.vm_name].spec.disks:
            beside = pools.get(disk.pool)
            if beside is not None and not beside.block:
                return _Place(at, disk.pool, beside.target)
        return f"{host} has neither pool {pool} nor a pool of files to copy into first"

    def _disks(self, vm: VirtualMachine, copy: Copy, stamp: str, place: _Place | str) -> tuple[CaptureDisk, ...] | str:
        """Its disks as the domain has them now; a text says what is missing."""
        named = self.image.spec.source.disks or tuple(disk.name for disk in vm.spec.disks)
        specs = {disk.name: disk for disk in vm.spec.disks}
        devices = {disk.path.rpartition("/")[2]: disk for disk in copy.domain.running_config.disks}
        fleet, image, found = self.world.fleet, self.image.name, []
        staged = not isinstance(place, str) and self._is_staged(copy.host, place)
        for name in named:
            spec = specs.get(name)
            volume = self.world.disk_volume(vm.name, spec) if spec is not None else ""
            device = devices.get(volume)
            if spec is None or device is None:
                return f"{vm.name} has no disk {name}"
            target = identity.version_disk_volume(fleet, image, stamp, name)
            observed = self.world.observed_pool(spec.pool, copy.host)
            volumes: Mapping[str, object] = (observed.volumes or {}) if observed is not None else {}
            size = getattr(volumes.get(volume), "capacity", 0) or spec.size or 0
            found.append(
                CaptureDisk(
                    name=name,
                    device=device.target,
                    pool=spec.pool,
                    volume=volume,
                    format=spec.format,
                    capacity=size,
                    target=target,
                    copy=identity.version_copy_volume(fleet, image, stamp, name) if staged else target,
                )
            )
        return tuple(found)

    def _is_staged(self, host: str, place: _Place) -> bool:
        return (
            place.pool_host != host or place.copy_pool != self.image.spec.pool or self.image.spec.compression != "none"
        )

    def _wait(
        self,
        reason: UnmetReason,
        detail: str,
        *,
        severity: Severity = "waiting",
        host: str | None = None,
        hint: str = "",
    ) -> None:
        self.draft.wait(
            self.target, reason, f"a version is to be made: {detail}", severity=severity, host=host, hint=hint
        )


def _stamp(manifest: str) -> str:
    return manifest.split(".")[2]
