"""One host behind the `Hypervisor` protocol, by libvirt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO, Final

from reconciler.clock import Clock
from reconciler.hypervisor.connection import HostConnection, Limits
from reconciler.hypervisor.host_abilities import HostCpus
from reconciler.hypervisor.host_backup import HostBackups
from reconciler.hypervisor.host_console import HostConsole
from reconciler.hypervisor.host_domains import HostDomains
from reconciler.hypervisor.host_migration import HostMigrations
from reconciler.hypervisor.host_networks import HostNetworks
from reconciler.hypervisor.host_reader import HostReader
from reconciler.hypervisor.host_storage import HostStorage
from reconciler.hypervisor.interface import DomainSummary, HostEvent, MigrationCall, Progress, Pulse, Sink
from reconciler.hypervisor.turnstile import Turnstile
from reconciler.model.abilities import CpuQuestion, GuestCpu, HostAbilities
from reconciler.model.backup import BackupDisk, BackupEnd, BackupJob
from reconciler.model.domain import DomainConfig, DomainState
from reconciler.model.inventory import DomainText, HostInventory, ObservedDomain, ObservedPool, ObservedVolume
from reconciler.model.live_edit import LiveEdit
from reconciler.model.migration import MigrationJob
from reconciler.model.steps import MigrateDomain, NetworkConfig, PoolConfig


class LibvirtHost:
    """Implements `Hypervisor`; each call is one line here and does its work where it belongs."""

    def __init__(self, name: str, uri: str, limits: Limits, clock: Clock, turnstile: Turnstile) -> None:
        self._connection: Final = HostConnection(name, uri, limits, clock)
        self._reader: Final = HostReader(self._connection, clock, turnstile)
        self._domains: Final = HostDomains(self._connection, self._reader)
        self._storage: Final = HostStorage(self._connection, self._reader)
        self._networks: Final = HostNetworks(self._connection)
        self._cpus: Final = HostCpus(self._connection)
        self._migrations: Final = HostMigrations(self._connection)
        self._backups: Final = HostBackups(self._connection)

    @property
    def name(self) -> str:
        return self._connection.name

    @property
    def connected(self) -> bool:
        return self._connection.is_open

    @property
    def uri(self) -> str:
        """The libvirt URI that the host is reached by."""
        return self._connection.uri

    # -- life signs ------------------------------------------------------------------------------------------------
    def pulse(self) -> Pulse:
        return self._connection.pulse()

    def ping(self, seconds: float) -> None:
        self._connection.ping(seconds)

    def connect(self) -> None:
        """Have the host connected; returns once it is. Raises HostUnreachable."""
        self._connection.handle()

    # -- reading ---------------------------------------------------------------------------------------------------
    def read(self, *, pools_with_volumes: Iterable[str] = (), refresh: bool = False) -> HostInventory:
        return self._reader.read(frozenset(pools_with_volumes), refresh=refresh)

    def sweep(self) -> tuple[DomainSummary, ...]:
        return self._reader.sweep()

    def domain(self, uuid: str) -> ObservedDomain:
        return self._domains.get(uuid)

    def domain_by_name(self, name: str) -> ObservedDomain | None:
        return self._domains.get_by_name(name)

    def describe_domain(self, uuid: str) -> DomainText:
        return self._domains.describe(uuid)

    def domain_state(self, uuid: str) -> DomainState:
        return self._domains.state(uuid)

    def pool(self, name: str, *, refresh: bool = False) -> ObservedPool:
        return self._storage.pool(name, refresh=refresh)

    def volume(self, pool: str, volume: str) -> ObservedVolume | None:
        return self._storage.volume(pool, volume)

    # -- what it can do --------------------------------------------------------------------------------------------
    def abilities(self) -> HostAbilities:
        return self._cpus.abilities()

    def cpu_lacks(self, question: CpuQuestion) -> str:
        return self._cpus.lacks(question)

    def cpu_baseline(self, cpus: Sequence[GuestCpu], domain_type: str) -> GuestCpu | None:
        return self._cpus.baseline(cpus, domain_type)

    # -- pools and networks ----------------------------------------------------------------------------------------
    def define_pool(self, config: PoolConfig) -> None:
        self._storage.define(config)

    def start_pool(self, name: str) -> None:
        self._storage.start(name)

    def set_pool_autostart(self, name: str, *, autostart: bool) -> None:
        self._storage.set_autostart(name, autostart=autostart)

    def define_network(self, config: NetworkConfig) -> None:
        self._networks.define(config)

    def start_network(self, name: str) -> None:
        self._networks.start(name)

    def stop_network(self, name: str) -> None:
        self._networks.stop(name)

    def undefine_network(self, name: str) -> None:
        self._networks.undefine(name)

    def set_network_autostart(self, name: str, *, autostart: bool) -> None:
        self._networks.set_autostart(name, autostart=autostart)

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
        return self._storage.create(pool, volume, format=format, capacity=capacity, backing=backing, mode=mode)

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
        return self._storage.clone(
            pool,
            volume,
            format=format,
            capacity=capacity,
            source=source,
            source_format=source_format,
            source_pool=source_pool or pool,
        )

    def upload_volume(self, pool: str, volume: str, content: BinaryIO, length: int, progress: Progress) -> None:
        self._storage.upload(pool, volume, content, length, progress)

    def download_volume(
        self, pool: str, volume: str, sink: Sink, progress: Progress, *, offset: int = 0, length: int = 0
    ) -> int:
        return self._storage.download(pool, volume, sink, progress, offset=offset, length=length)

    def grow_volume(self, pool: str, volume: str, capacity: int, *, format: str) -> None:
        self._storage.grow(pool, volume, capacity, format=format)

    def delete_volume(self, pool: str, volume: str) -> None:
        self._storage.delete(pool, volume)

    # -- domains ---------------------------------------------------------------------------------------------------
    def define_domain(self, config: DomainConfig) -> None:
        self._domains.define(config)

    def undefine_domain(self, uuid: str, *, keep_nvram: bool) -> None:
        self._domains.undefine(uuid, keep_nvram=keep_nvram)

    def rename_domain(self, uuid: str, name: str) -> None:
        self._domains.rename(uuid, name)

    def set_autostart(self, uuid: str, *, autostart: bool) -> None:
        self._domains.set_autostart(uuid, autostart=autostart)

    def start_domain(self, uuid: str) -> None:
        self._domains.start(uuid)

    def resume_domain(self, uuid: str) -> None:
        self._domains.resume(uuid)

    def request_shutdown(self, uuid: str) -> None:
        self._domains.request_shutdown(uuid)

    def guest_answers(self, uuid: str) -> bool:
        return self._domains.guest_answers(uuid)

    def open_console(self, uuid: str) -> HostConsole:
        return HostConsole(self._connection, uuid)

    def destroy_domain(self, uuid: str) -> None:
        self._domains.destroy(uuid)

    def grow_disk(self, uuid: str, path: str, capacity: int) -> None:
        self._domains.grow_disk(uuid, path, capacity)

    def edit_live(self, uuid: str, edit: LiveEdit) -> None:
        self._domains.edit_live(uuid, edit)

    # -- migration -------------------------------------------------------------------------------------------------
    def begin_migration(self, step: MigrateDomain, before: Callable[[], None] = lambda: None) -> MigrationCall:
        return self._migrations.begin(step, before)

    def migration_job(self, uuid: str) -> MigrationJob | None:
        return self._migrations.job(uuid)

    def finished_migration(self, uuid: str) -> MigrationJob | None:
        return self._migrations.finished(uuid)

    def abort_migration(self, uuid: str) -> None:
        self._migrations.abort(uuid)

    def switch_to_post_copy(self, uuid: str) -> None:
        self._migrations.switch_to_post_copy(uuid)

    def suspend_domain(self, uuid: str) -> None:
        self._migrations.suspend(uuid)

    # -- copies of running domains ---------------------------------------------------------------------------------
    def freeze_filesystems(self, uuid: str) -> int:
        return self._backups.freeze(uuid)

    def thaw_filesystems(self, uuid: str) -> int:
        return self._backups.thaw(uuid)

    def begin_backup(
        self, uuid: str, disks: Sequence[BackupDisk], *, checkpoint: str = "", incremental: str = ""
    ) -> None:
        self._backups.begin(uuid, disks, checkpoint, incremental)

    def limit_backup(self, uuid: str, bandwidth: int) -> None:
        self._backups.limit(uuid, bandwidth)

    def backup_job(self, uuid: str) -> BackupJob | None:
        return self._backups.job(uuid)

    def finished_backup(self, uuid: str) -> BackupEnd | None:
        return self._backups.finished(uuid)

    def abort_backup(self, uuid: str) -> None:
        self._backups.abort(uuid)

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        return self._backups.checkpoints(uuid)

    def delete_checkpoint(self, uuid: str, name: str) -> None:
        self._backups.delete_checkpoint(uuid, name)

    # -- life ------------------------------------------------------------------------------------------------------
    def subscribe(self, notify: Callable[[HostEvent], None]) -> None:
        """Have the host connected and watched from now on."""
        self._connection.subscribe(notify)

    def tick(self) -> None:
        """See to an idle connection; never waits."""
        self._connection.tick()

    def close(self) -> None:
        self._connection.close()
