"""Data stay, and so does what people have beside ours."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from reconciler.hypervisor import simulated_invariants
from reconciler.hypervisor.simulated_world import DirectoryState, MutatingCall
from reconciler.model.domain import DomainConfig, DomainState
from reconciler.model.identity import drilled_image, parse_disk_volume
from reconciler.simulator.invariants.promise import Promise, Scene


class AcceptedDeletion(Promise):
    """A disk that a VM ever had goes only where its spec said `deletionPolicy: delete` and was taken away.

    Or where it was in no spec for as long as it was to be kept, by a clock that nobody can set, or people gave it up.
    Or where the VM was moved, and has the disk on another host now: then that one is it.
    """

    name = "accepted-deletion"
    sentence = "no disk of a VM is deleted without a deletion that the specs accepted"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._used: set[str] = set()

    def tick(self) -> Iterator[str]:
        self._used.update(name for _directory, name in self._in_use())
        yield from ()

    def _in_use(self) -> Iterator[tuple[DirectoryState | None, str]]:
        """Disks of domains of ours, and where each is; what only waits for a guest to arrive has none yet."""
        for host in self.scene.world.hosts.values():
            for entry in host.domains.values():
                if self.scene.is_ours(entry) and not entry.is_incoming:
                    for disk in entry.config.disks:
                        folder, _, name = disk.path.rpartition("/")
                        yield host.directories.get(folder), name

    def after(self, call: MutatingCall) -> Iterator[str]:
        disk = parse_disk_volume(self.scene.fleet, call.target)
        if call.method != "delete_volume" or disk is None or call.target not in self._used:
            return
        vm = disk.vm
        wishes = self.scene.wishes
        if self._is_elsewhere(call) or self._has_expired(vm, disk.disk):
            return
        if vm not in wishes.disposable or wishes.policies.get(vm, "retain") != "delete":
            yield f"{call.target} on {call.host} was deleted, and nobody asked for that"
        elif not self._is_left(call.target):
            self._used.discard(call.target)  # the next one of that name is another disk

    def _has_expired(self, vm: str, disk: str) -> bool:
        wishes = self.scene.wishes
        since = wishes.gone_since.get((vm, disk))
        if since is None:
            return False
        return vm in wishes.purged or self.scene.monotonic() - since >= self.scene.policy.tombstone_retention

    def _is_elsewhere(self, call: MutatingCall) -> bool:
        """Whether its VM has the disk in a folder that the host of the call does not see."""
        seen = [id(directory) for directory in self.scene.world.hosts[call.host].directories.values()]
        return any(
            name == call.target and directory is not None and id(directory) not in seen
            for directory, name in self._in_use()
        )

    def _is_left(self, name: str) -> bool:
        directories = (each for host in self.scene.world.hosts.values() for each in host.directories.values())
        return any(name in directory.files for directory in directories)


class SoundDisks(Promise):
    """What a guest has open is whole, there, and its own."""

    name = "sound-disks"
    sentence = "no guest runs on a disk that is shared, gone, deleted under it or never complete"

    def tick(self) -> Iterator[str]:
        yield from simulated_invariants.violations(self.scene.world)


class _Theirs(Struct, frozen=True):
    """What is not ours on a host."""

    domains: list[tuple[DomainConfig, DomainState, bool, str]]
    """What each is, its state, whether it is persistent, and what of it is not ours to say."""
    others: object


class UnmanagedUntouched(Promise):
    """What does not carry our mark or our name belongs to somebody else.

    A domain that a spec adopts gets our mark, and nothing else of it changes by that.
    """

    name = "unmanaged-untouched"
    sentence = "nothing is done to what is not managed"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._known: dict[str, _Theirs] = {}

    def happened(self) -> None:
        """What people and accidents did is how things are from now on."""
        self._known.clear()

    def before(self, call: MutatingCall) -> Iterator[str]:
        self._known.setdefault(call.host, self._theirs(call.host))
        yield from ()

    def after(self, call: MutatingCall) -> Iterator[str]:
        now = self._theirs(call.host)
        before = self._known.get(call.host, now)
        self._known[call.host] = now
        left = [each for each in before.domains if not self._is_adopted(call.host, *each)]
        if replace(before, domains=left) != now:
            yield f"{call.method} {call.target} on {call.host} changed something that is not managed"

    def fenced(self, host: str) -> Iterator[str]:
        self._known.pop(host, None)
        yield from ()

    def _is_adopted(self, host: str, was: DomainConfig, *and_was: object) -> bool:
        """Whether a spec asked for it, and it carries our mark and is as it was otherwise."""
        wanted = self.scene.wishes.now.vms.values() if self.scene.wishes.now else ()
        return any(str(vm.metadata.adopt) == was.uuid for vm in wanted) and any(
            self.scene.is_ours(entry)
            and replace(entry.config, mark=None) == was
            and [entry.state, entry.persistent, entry.unowned] == [*and_was]
            for entry in self.scene.world.hosts[host].domains.values()
        )

    def _theirs(self, host_name: str) -> _Theirs:
        host, wishes = self.scene.world.hosts[host_name], self.scene.wishes.now
        named = (wishes.pools.keys() | wishes.networks.keys()) if wishes else frozenset()
        return _Theirs(
            [
                (entry.config, entry.state, entry.persistent, entry.unowned)
                for entry in host.domains.values()
                if not self.scene.is_ours(entry) and not self._is_of_a_drill(entry.config.name)
            ],
            (
                [(pool.name, pool.uuid, pool.active) for pool in host.pools.values() if pool.name not in named],
                [
                    (network.name, network.active)
                    for network in host.networks.values()
                    if network.name not in named and not self._is_of_a_drill(network.name)
                ],
                [
                    (path, name, file.format, file.capacity)
                    for path, directory in host.directories.items()
                    for name, file in directory.files.items()
                    if not name.startswith(f"{self.scene.fleet}.")
                ],
            ),
        )

    def _is_of_a_drill(self, name: str) -> bool:
        """What is thrown away after a drill has our name, and no mark."""
        return drilled_image(self.scene.fleet, name) is not None
