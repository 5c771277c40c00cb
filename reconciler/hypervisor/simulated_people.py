"""An administrator at a simulated host, behind the controller's back; needs no network and raises no faults."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reconciler.errors import HostError
from reconciler.hypervisor import simulated_domains as domains
from reconciler.hypervisor import simulated_migration as migration
from reconciler.hypervisor import simulated_storage as storage
from reconciler.hypervisor.simulated_world import DomainEntry, FileState, HostState, World
from reconciler.model.domain import DomainConfig, IoTuneConfig
from reconciler.model.inventory import ObservedNetwork
from reconciler.model.migration import MigrationRules
from reconciler.model.steps import MigrateDomain


class People:
    """virsh, files and guests of one host; raises KeyError for what is not there."""

    def __init__(self, world: World, state: HostState) -> None:
        self._world = world
        self._state = state

    # -- domains ---------------------------------------------------------------------------------------------------
    def entry(self, name: str) -> DomainEntry:
        """The domain's state, to look at."""
        found = self._state.by_name(name)
        if found is None:
            raise KeyError(name)
        return found

    def define(self, config: DomainConfig) -> None:
        """As `virsh define`: the XML as given, marked or not."""
        with self._world.lock:
            domains.define(self._world, self._state, config)

    def edit(self, name: str, **changes: Any) -> None:
        """As `virsh edit` or a `--config` command, which raise no event: change persistent fields."""
        with self._world.lock:
            entry = self.entry(name)
            entry.config = replace(entry.config, **changes)

    def limit(self, name: str, io_tune: IoTuneConfig) -> None:
        """As `virsh blkdeviotune --live --config` of the first disk, which raises no event."""
        with self._world.lock:
            entry = self.entry(name)
            entry.config = _limited(entry.config, io_tune)
            entry.live = entry.live and _limited(entry.live, io_tune)

    def add_unowned(self, name: str, text: str) -> None:
        """As `virsh edit` of something that a spec doesn't express."""
        with self._world.lock:
            self.entry(name).unowned += text

    def write(self, name: str, device: str, data: bytes) -> None:
        """Have the guest of a running domain fill a disk of its; raises KeyError where it has none."""
        with self._world.lock:
            storage.put_data(self._disk(name, device), data)

    def data(self, name: str, device: str) -> bytes:
        """What the guest finds on that disk."""
        with self._world.lock:
            return storage.data_of(self._state, self._disk(name, device))

    def _disk(self, name: str, device: str) -> FileState:
        path = next((disk.path for disk in self.entry(name).config.disks if disk.target == device), "")
        file = self._state.file(path)
        if file is None:
            raise KeyError(device)
        return file

    def start(self, name: str) -> None:
        with self._world.lock:
            domains.start(self._world, self._state, self.entry(name).config.uuid)

    def try_start(self, name: str) -> bool:
        """Start as libvirt's autostart does: a failure is only logged."""
        try:
            self.start(name)
        except HostError:
            return False
        return True

    def destroy(self, name: str) -> None:
        """As `virsh destroy`."""
        with self._world.lock:
            domains.stop(self._world, self._state, self.entry(name), "destroyed")

    def save(self, name: str) -> None:
        """As `virsh managedsave`."""
        with self._world.lock:
            domains.stop(self._world, self._state, self.entry(name), "saved")

    def crash(self, name: str) -> None:
        """QEMU is killed."""
        with self._world.lock:
            domains.stop(self._world, self._state, self.entry(name), "crashed")

    def restart_libvirtd(self) -> None:
        """Guests run on; why those that are off went off is forgotten."""
        with self._world.lock:
            for entry in self._state.domains.values():
                if not entry.active:
                    entry.reason = "unknown"

    def undefine(self, name: str) -> None:
        with self._world.lock:
            domains.undefine(self._world, self._state, self.entry(name).config.uuid)

    def suspend(self, name: str) -> None:
        with self._world.lock:
            entry = self.entry(name)
            if not entry.active:
                return
            entry.state, entry.reason = "paused", "user"
            self._world.emit(self._state.name, "domain", name, "suspended")

    def resume(self, name: str) -> None:
        with self._world.lock:
            domains.resume(self._world, self._state, self.entry(name).config.uuid)

    def fail_io(self, name: str) -> None:
        """QEMU pauses the guest because its disk can't be written."""
        with self._world.lock:
            entry = self.entry(name)
            if not entry.active:
                return
            entry.state, entry.reason = "paused", "ioerror"
            self._world.emit(self._state.name, "domain", name, "suspended")

    def migrate(self, name: str, target: str) -> None:
        """As `virsh migrate --live --persistent --undefinesource`: the mark goes along as it is."""
        with self._world.lock:
            entry = self.entry(name)
            mark = entry.config.mark
            step = MigrateDomain(
                domain=name,
                uuid=entry.config.uuid,
                source=self._state.name,
                target=target,
                epoch=mark.epoch if mark else 0,
                peer_uri="",
                rules=MigrationRules(deadline=0.0, stall_after=0.0),
            )
            call = migration.begin(self._world, self._state, step)
            if call.error is not None:
                raise call.error

    def shut_down(self, name: str) -> None:
        """From inside the guest."""
        with self._world.lock:
            domains.stop(self._world, self._state, self.entry(name), "shutdown")

    def deafen(self, name: str) -> None:
        """Have the guest ignore every request to shut down."""
        self._state.deaf_guests.add(name)

    # -- pools, networks, files ------------------------------------------------------------------------------------
    def set_pool_active(self, name: str, *, active: bool) -> None:
        with self._world.lock:
            pool = storage.find(self._state, name)
            if active:
                storage.start_pool(self._world, self._state, pool)
            else:
                pool.active, pool.seen = False, {}

    def undefine_pool(self, name: str) -> None:
        del self._state.pools[name]

    def add_network(self, network: ObservedNetwork) -> None:
        self._state.networks[network.name] = network

    def set_network_active(self, name: str, *, active: bool) -> None:
        self._state.networks[name] = replace(self._state.networks[name], active=active)

    def undefine_network(self, name: str) -> None:
        del self._state.networks[name]

    def write_file(self, path: str, *, format: str = "raw", size: int = 1 << 20) -> None:
        """Put a file where a pool may be; libvirt knows of it after its next refresh."""
        folder, _, name = path.rpartition("/")
        self._state.directory(folder).files[name] = FileState(format, size, size, 0o644)

    def remove_file(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        del self._state.directory(folder).files[name]

    def files(self, folder: str) -> tuple[str, ...]:
        """Names in a directory, sorted."""
        return tuple(sorted(self._state.directory(folder).files))

    def file(self, path: str) -> FileState:
        """The file's state, to look at."""
        found = self._state.file(path)
        if found is None:
            raise KeyError(path)
        return found


def _limited(config: DomainConfig, io_tune: IoTuneConfig) -> DomainConfig:
    first, *others = config.disks
    return replace(config, disks=(replace(first, io_tune=io_tune), *others))
