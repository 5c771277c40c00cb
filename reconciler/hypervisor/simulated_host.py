"""The door to one simulated host: the same errors, in the same places, as over libvirt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO, Final

from msgspec.structs import replace

from reconciler.errors import HostTimeout, ObjectConflict, ObjectNotFound
from reconciler.hypervisor import simulated_abilities
from reconciler.hypervisor import simulated_domains as domains
from reconciler.hypervisor import simulated_migration as migration
from reconciler.hypervisor import simulated_storage as storage
from reconciler.hypervisor.domain_xml import render
from reconciler.hypervisor.interface import DomainSummary, MigrationCall, Progress, Pulse, Sink
from reconciler.hypervisor.simulated_backups import SimulatedBackups
from reconciler.hypervisor.simulated_domains import SimulatedConsole
from reconciler.hypervisor.simulated_world import FileState, MutatingCall
from reconciler.model.abilities import CpuQuestion, GuestCpu, HostAbilities
from reconciler.model.domain import DomainConfig, DomainState
from reconciler.model.inventory import (
    DomainText,
    HostInventory,
    ObservedDomain,
    ObservedNetwork,
    ObservedPool,
    ObservedVolume,
)
from reconciler.model.live_edit import LiveEdit
from reconciler.model.migration import MigrationJob
from reconciler.model.steps import MigrateDomain, NetworkConfig, PoolConfig

_CHUNK: Final = 1 << 20


class SimulatedHost(SimulatedBackups):
    """Implements Hypervisor over the state of one host; `deadline` in simulated seconds."""

    @property
    def connected(self) -> bool:
        return True  # what can't be reached fails by its deadline, in simulated time

    # -- life signs ------------------------------------------------------------------------------------------------
    def pulse(self) -> Pulse:
        state, faults = self._state, self._state.faults
        if not (faults.powered and faults.linked):
            return Pulse(state.answered_at, 0.0, "no route to host")
        if faults.hung:
            return Pulse(state.answered_at, 0.0, "no answer")
        state.answered_at = self._world.clock.monotonic()
        return Pulse(state.answered_at, faults.delay, "")

    def ping(self, seconds: float) -> None:
        faults = self._state.faults
        if not (faults.powered and faults.linked):
            raise self._unreachable()
        if faults.hung:
            self._pass_time(seconds)
            raise HostTimeout(f"no answer within {seconds:g} s", host=self.name)
        self._fail_as_told("ping")

    # -- reading ---------------------------------------------------------------------------------------------------
    def read(self, *, pools_with_volumes: Iterable[str] = (), refresh: bool = False) -> HostInventory:
        wanted = frozenset(pools_with_volumes)
        with self._call("read"):
            if self._state.faults.stale is not None:
                return self._state.faults.stale
            return self.inventory(wanted, refresh=refresh)

    def inventory(self, wanted: frozenset[str] | None = None, *, refresh: bool = False) -> HostInventory:
        """What a read would say if the host answered; every pool's volumes for None."""
        state = self._state
        for pool in state.pools.values():
            if refresh and pool.active and (wanted is None or pool.name in wanted):
                storage.refresh(state, pool)
        return HostInventory(
            name=state.name,
            observed_at=self._world.clock.now(),
            facts=state.facts,
            domains={entry.config.name: entry.observed() for entry in state.domains.values()},
            pools={
                pool.name: storage.observed_pool(state, pool, volumes=wanted is None or pool.name in wanted)
                for pool in state.pools.values()
            },
            networks=dict(state.networks),
        )

    def sweep(self) -> tuple[DomainSummary, ...]:
        with self._call("sweep"):
            return tuple(
                DomainSummary(entry.config.name, entry.config.uuid, entry.state, entry.reason, entry.persistent)
                for entry in self._state.domains.values()
            )

    def domain(self, uuid: str) -> ObservedDomain:
        with self._call("domain", uuid):
            return domains.find(self._state, uuid).observed()

    def domain_by_name(self, name: str) -> ObservedDomain | None:
        with self._call("domain_by_name", name):
            entry = self._state.by_name(name)
            return entry.observed() if entry else None

    def describe_domain(self, uuid: str) -> DomainText:
        with self._call("describe_domain", uuid):
            return DomainText(render(domains.find(self._state, uuid).config), ())

    def domain_state(self, uuid: str) -> DomainState:
        with self._call("domain_state", uuid):
            return domains.find(self._state, uuid).state

    def pool(self, name: str, *, refresh: bool = False) -> ObservedPool:
        with self._call("pool", name):
            pool = storage.find(self._state, name)
            if refresh and pool.active:
                storage.refresh(self._state, pool)
            return storage.observed_pool(self._state, pool, volumes=True)

    def volume(self, pool: str, volume: str) -> ObservedVolume | None:
        with self._call("volume", volume):
            return storage.lookup(self._state, storage.find_active(self._state, pool), volume)

    # -- what it can do --------------------------------------------------------------------------------------------
    def abilities(self) -> HostAbilities:
        with self._call("abilities"):
            return simulated_abilities.abilities(self._state)

    def cpu_lacks(self, question: CpuQuestion) -> str:
        with self._call("cpu_lacks"):
            return simulated_abilities.lacks(self._state, question)

    def cpu_baseline(self, cpus: Sequence[GuestCpu], domain_type: str) -> GuestCpu | None:  # noqa: ARG002
        with self._call("cpu_baseline"):
            return simulated_abilities.baseline(self._state, cpus)

    # -- pools and networks ----------------------------------------------------------------------------------------
    def define_pool(self, config: PoolConfig) -> None:
        with self._mutation("define_pool", config.name):
            storage.define_pool(self._world, self._state, config)

    def start_pool(self, name: str) -> None:
        with self._mutation("start_pool", name):
            storage.start_pool(self._world, self._state, storage.find(self._state, name))

    def set_pool_autostart(self, name: str, *, autostart: bool) -> None:
        with self._mutation("set_pool_autostart", name):
            storage.find(self._state, name).autostart = autostart

    def define_network(self, config: NetworkConfig) -> None:
        with self._mutation("define_network", config.name):
            known = self._state.networks.get(config.name)
            if known is not None and known.uuid != config.uuid:
                raise ObjectConflict(
                    f"network '{config.name}' already exists with uuid {known.uuid}",
                    host=self.name,
                    target=f"Network/{config.name}",
                )
            self._state.networks[config.name] = ObservedNetwork(
                name=config.name,
                uuid=config.uuid,
                active=True,
                autostart=True,
                mode=config.mode,
                bridge=config.bridge,
                subnet=config.subnet,
                dhcp=config.dhcp,
            )
            self._world.emit(self.name, "network", config.name, "defined")

    def start_network(self, name: str) -> None:
        with self._mutation("start_network", name):
            self._state.networks[name] = replace(self._network(name), active=True)

    def stop_network(self, name: str) -> None:
        with self._mutation("stop_network", name):
            self._state.networks[name] = replace(self._network(name), active=False)

    def undefine_network(self, name: str) -> None:
        with self._mutation("undefine_network", name):
            self._state.networks.pop(name, None)

    def set_network_autostart(self, name: str, *, autostart: bool) -> None:
        with self._mutation("set_network_autostart", name):
            self._state.networks[name] = replace(self._network(name), autostart=autostart)

    # -- volumes ---------------------------------------------------------------------------------------------------
    def create_volume(
        self,
        pool: str,
        volume: str,
        *,
        format: str,
        capacity: int,
        backing: ObservedVolume | None = None,
        mode: int = 0o600,
    ) -> ObservedVolume:
        with self._mutation("create_volume", volume):
            found = storage.find_active(self._state, pool)
            file = FileState(format, capacity, 0, mode, backing.path if backing else None)
            return storage.create(self._world, self._state, found, volume, file)

    def clone_volume(
        self,
        pool: str,
        volume: str,
        *,
        format: str,
        capacity: int,
        source: str,
        source_format: str,
        source_pool: str = "",
    ) -> ObservedVolume:
        with self._mutation("clone_volume", volume):
            found = storage.find_active(self._state, pool)
            place = storage.find_active(self._state, source_pool or pool)
            original = storage.source_file(self._state, place, source)
            storage.check_format(self._state, place, source, source_format)
            file = FileState(format, max(capacity, original.capacity), original.allocation, 0o600)
            storage.put_data(file, storage.data_of(self._state, original))
            return storage.create(self._world, self._state, found, volume, file)

    def upload_volume(self, pool: str, volume: str, content: BinaryIO, length: int, progress: Progress) -> None:
        call = MutatingCall(self.name, "upload_volume", volume)
        self._hook(call, "before")
        with self._call("upload_volume", volume):
            file = storage.source_file(self._state, storage.find_active(self._state, pool), volume)
            file.header, file.written = b"", 0
        left = length
        while left and (chunk := content.read(min(left, _CHUNK))):
            self._take_time()
            with self._call("upload_volume", volume):  # a host can die between any two chunks
                storage.write(self._state, storage.find_active(self._state, pool), file, chunk)
            left -= len(chunk)
            self._hook(call, "during")
            progress(len(chunk))
        with self._call("upload_volume", volume, may_lose_reply=True):
            storage.refresh(self._state, storage.find_active(self._state, pool))
        self._hook(call, "after")

    def download_volume(
        self, pool: str, volume: str, sink: Sink, progress: Progress, *, offset: int = 0, length: int = 0
    ) -> int:
        with self._call("download_volume", volume):
            file = storage.source_file(self._state, storage.find_active(self._state, pool), volume)
            content = storage.content_of(file, offset, length)
        for at in range(0, len(content), _CHUNK):
            self._take_time()
            with self._call("download_volume", volume):
                chunk = content[at : at + _CHUNK]
            sink.write(chunk)
            progress(len(chunk))
        return len(content)

    def grow_volume(self, pool: str, volume: str, capacity: int, *, format: str) -> None:
        with self._mutation("grow_volume", volume):
            found = storage.find_active(self._state, pool)
            storage.check_format(self._state, found, volume, format)
            storage.grow(self._world, self._state, found, volume, capacity)

    def delete_volume(self, pool: str, volume: str) -> None:
        with self._mutation("delete_volume", volume):
            storage.delete(self._world, self._state, storage.find_active(self._state, pool), volume)

    # -- domains ---------------------------------------------------------------------------------------------------
    def define_domain(self, config: DomainConfig) -> None:
        with self._mutation("define_domain", config.name):
            domains.define(self._world, self._state, config)

    def undefine_domain(self, uuid: str, *, keep_nvram: bool) -> None:  # noqa: ARG002  # NVRAM is not simulated
        with self._mutation("undefine_domain", uuid):
            domains.undefine(self._world, self._state, uuid)

    def rename_domain(self, uuid: str, name: str) -> None:
        with self._mutation("rename_domain", uuid):
            domains.rename(self._world, self._state, uuid, name)

    def set_autostart(self, uuid: str, *, autostart: bool) -> None:
        with self._mutation("set_autostart", uuid):
            entry = domains.find(self._state, uuid)
            entry.config = replace(entry.config, autostart=autostart)

    def start_domain(self, uuid: str) -> None:
        with self._mutation("start_domain", uuid):
            domains.start(self._world, self._state, uuid)

    def resume_domain(self, uuid: str) -> None:
        with self._mutation("resume_domain", uuid):
            domains.resume(self._world, self._state, uuid)

    def request_shutdown(self, uuid: str) -> None:
        with self._mutation("request_shutdown", uuid):
            domains.request_shutdown(self._world, self._state, uuid)

    def guest_answers(self, uuid: str) -> bool:
        with self._call("guest_answers", uuid):
            return domains.guest_answers(self._state, uuid)

    def open_console(self, uuid: str) -> SimulatedConsole:
        with self._call("open_console", uuid):
            return SimulatedConsole(domains.running(self._state, uuid), self._state.deaf_guests)

    def destroy_domain(self, uuid: str) -> None:
        with self._mutation("destroy_domain", uuid):
            domains.stop(self._world, self._state, domains.find(self._state, uuid), "destroyed")

    def grow_disk(self, uuid: str, path: str, capacity: int) -> None:
        with self._mutation("grow_disk", uuid):
            domains.grow_disk(self._state, uuid, path, capacity)

    def edit_live(self, uuid: str, edit: LiveEdit) -> None:
        with self._mutation("edit_live", uuid):
            domains.edit_live(self._world, self._state, uuid, edit)

    # -- migration -------------------------------------------------------------------------------------------------
    def begin_migration(self, step: MigrateDomain, before: Callable[[], None] = lambda: None) -> MigrationCall:
        with self._mutation("begin_migration", step.domain):
            before()
            return migration.begin(self._world, self._state, step)

    def migration_job(self, uuid: str) -> MigrationJob | None:
        with self._call("migration_job", uuid):
            return migration.job(self._world, self._state, uuid)

    def finished_migration(self, uuid: str) -> MigrationJob | None:
        with self._call("finished_migration", uuid):
            return migration.finished(self._world, self._state, uuid)

    def abort_migration(self, uuid: str) -> None:
        with self._mutation("abort_migration", uuid):
            migration.abort(self._world, self._state, uuid)

    def switch_to_post_copy(self, uuid: str) -> None:
        with self._mutation("switch_to_post_copy", uuid):
            migration.switch_to_post_copy(self._world, self._state, uuid)

    def suspend_domain(self, uuid: str) -> None:
        with self._mutation("suspend_domain", uuid):
            migration.suspend(self._world, self._state, uuid)

    # -- life ------------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Nothing is held."""

    def _network(self, name: str) -> ObservedNetwork:
        found = self._state.networks.get(name)
        if found is None:
            raise ObjectNotFound(f"no network with matching name '{name}'", host=self.name, target=f"Network/{name}")
        return found
