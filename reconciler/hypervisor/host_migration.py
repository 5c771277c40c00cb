"""Migrations of one host: begun over a connection of their own, told of and aborted over the host's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from reconciler.errors import HostError, HostRefused, HostTimeout, ObjectNotFound, ReconcilerError
from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.connection import HostConnection
from reconciler.hypervisor.domain_move import at_target
from reconciler.hypervisor.heartbeat import KEEPALIVE
from reconciler.hypervisor.libvirt_errors import OPERATION_INVALID, translate
from reconciler.hypervisor.libvirt_values import state_name, state_reason
from reconciler.model.migration import MigrationJob
from reconciler.model.steps import MigrateDomain

_MIB: Final = 1 << 20
_CONNECTING_SECONDS: Final = 10.0


class LibvirtCall:
    """Implements MigrationCall: a thread that waits for libvirt's answer, for as long as the migration lasts.

    On a connection of its own: libvirtd answers a few calls of a client at a time, and this one takes minutes. The
    source's libvirtd talks to the target's, so the end of this connection ends nothing there. `before` is called at the
    last moment; what it raises keeps libvirt from being asked.
    """

    def __init__(
        self,
        host: str,
        uri: str,
        step: MigrateDomain,
        parameters: dict[str, Any],
        flags: int,
        before: Callable[[], None],
    ) -> None:
        self._host: Final = host
        self._uri: Final = uri
        self._step: Final = step
        self._before: Final = before
        self._lock: Final = threading.Lock()
        self._decided: Final = threading.Event()
        """Whether libvirt is asked has been settled, one way or the other."""
        self._is_asked = self._is_given_up = self._is_cut = False
        self._over: Final = threading.Event()
        self._error: HostError | None = None
        self._refusal: ReconcilerError | None = None
        thread = threading.Thread(
            target=self._run, args=(parameters, flags), name=f"{host}-migrate-{step.domain}", daemon=True
        )
        thread.start()

    def wait_until_asked(self, seconds: float) -> None:
        """Return once libvirt is asked; raises what kept it from that, and after `seconds` it never is."""
        self._decided.wait(seconds)
        with self._lock:
            if self._is_asked:
                return
            # A host that hung would be asked whenever it goes on, when the VM may long be elsewhere.
            self._is_given_up = True
        late = HostTimeout(
            f"no connection for it within {seconds:g} s; the migration was never asked for",
            host=self._host,
            target=f"VirtualMachine/{self._step.domain}",
        )
        raise self._refusal or self._error or late

    @property
    def ended(self) -> bool:
        return self._over.is_set()

    @property
    def error(self) -> HostError | None:
        return self._error

    @property
    def is_answered(self) -> bool:
        return self.ended and self._is_asked and not self._is_cut

    def _run(self, parameters: dict[str, Any], flags: int) -> None:
        target = f"VirtualMachine/{self._step.domain}"
        session = None
        try:
            session = lv.Session.open(self._uri, lambda _session, _reason: None)
            # Of a host that is gone it is known by its silence alone.
            lv.keep_alive(session.connection, *KEEPALIVE)
            domain = session.connection.lookupByUUIDString(self._step.uuid)
            if self._may_ask():
                domain.migrateToURI3(self._step.peer_uri, parameters, flags)
        except lv.LibvirtError as error:
            self._is_cut = session is None or not session.is_alive()
            self._error = translate(error, host=self._host, target=target, uri=self._uri)
        except ReconcilerError as error:
            self._refusal = error
        except Exception as error:  # noqa: BLE001  # told to whoever follows; a thread has nobody else to tell
            self._is_cut = True
            self._error = HostTimeout(f"the call ended: {error}", host=self._host, target=target)
        finally:
            self._over.set()
            self._decided.set()
            if session is not None:
                session.release()

    def _may_ask(self) -> bool:
        with self._lock:
            if self._is_given_up:
                return False
            self._before()
            self._is_asked = True
        self._decided.set()
        return True


class HostMigrations:
    """Migration calls of one host."""

    def __init__(self, connection: HostConnection) -> None:
        self._connection: Final = connection

    def begin(self, step: MigrateDomain, before: Callable[[], None]) -> LibvirtCall:
        def work(connection: lv.Connection) -> tuple[str, str]:
            domain = connection.lookupByUUIDString(step.uuid)
            if step.cold and domain.hasManagedSaveImage():
                # libvirt would move it all the same, and forget what its guest was doing.
                raise HostRefused("its guest was saved to a file, which stays on its host", host=self._connection.name)
            flags = lv.DOMAIN_XML_MIGRATABLE | lv.DOMAIN_XML_SECURE
            persistent = domain.XMLDesc(flags | lv.DOMAIN_XML_INACTIVE)
            return persistent if step.cold else domain.XMLDesc(flags), persistent

        live, persistent = self._connection.read(work, f"VirtualMachine/{step.domain}")
        parameters = _parameters(step, at_target(live, step), at_target(persistent, step))
        call = LibvirtCall(self._connection.name, self._connection.uri, step, parameters, _flags(step), before)
        call.wait_until_asked(_CONNECTING_SECONDS)
        return call

    def job(self, uuid: str) -> MigrationJob | None:
        return self._stats(uuid, completed=False)

    def finished(self, uuid: str) -> MigrationJob | None:
        return self._stats(uuid, completed=True)

    def _stats(self, uuid: str, *, completed: bool) -> MigrationJob | None:
        def work(connection: lv.Connection) -> dict[str, Any]:
            domain = connection.lookupByUUIDString(uuid)
            try:
                found = dict(domain.jobStats(lv.JOB_STATS_COMPLETED if completed else 0))
                return found if completed else _as_it_stands(found, domain)
            except lv.LibvirtError as error:
                # It has just gone, and libvirt has yet to tidy up.
                if error.get_error_code() != OPERATION_INVALID:
                    raise
                return {}

        try:
            found = self._connection.read(work, f"VirtualMachine/{uuid}")
        except ObjectNotFound:
            return None
        wanted = lv.JOB_ENDED if completed else lv.JOB_UNDER_WAY
        if found.get("type") not in wanted or found.get("operation") not in lv.JOB_MIGRATIONS:
            return None
        return _job(found)

    def abort(self, uuid: str) -> None:
        def work(connection: lv.Connection) -> None:
            try:
                connection.lookupByUUIDString(uuid).abortJob()
            except lv.LibvirtError as error:
                if error.get_error_code() != OPERATION_INVALID:
                    raise

        with suppress(ObjectNotFound):
            self._connection.call(work, f"VirtualMachine/{uuid}", pace="brief")

    def switch_to_post_copy(self, uuid: str) -> None:
        def work(connection: lv.Connection) -> None:
            connection.lookupByUUIDString(uuid).migrateStartPostCopy()

        self._connection.call(work, f"VirtualMachine/{uuid}", pace="brief")

    def suspend(self, uuid: str) -> None:
        def work(connection: lv.Connection) -> None:
            connection.lookupByUUIDString(uuid).suspend()

        self._connection.call(work, f"VirtualMachine/{uuid}", pace="brief")


def _flags(step: MigrateDomain) -> int:
    if step.cold:
        return lv.MIGRATE_OFFLINE | (lv.MIGRATE_UNSAFE if step.trusts_sharing else 0)
    flags = lv.MIGRATE_LIVE
    if step.disks:
        # Of what stands on a base only what differs from it is sent; of anything else, all of it.
        flags |= lv.MIGRATE_NON_SHARED_INC if any(disk.base for disk in step.disks) else lv.MIGRATE_NON_SHARED_DISK
    if step.trusts_sharing:
        flags |= lv.MIGRATE_UNSAFE
    if step.rules.auto_converge:
        flags |= lv.MIGRATE_AUTO_CONVERGE
    if step.rules.connections > 1:
        flags |= lv.MIGRATE_PARALLEL
    if step.rules.compression != "off":
        flags |= lv.MIGRATE_COMPRESSED
    if step.rules.post_copy:
        flags |= lv.MIGRATE_POSTCOPY
    if step.rules.tls:
        flags |= lv.MIGRATE_TLS
    return flags


def _parameters(step: MigrateDomain, live: str, persistent: str) -> dict[str, Any]:
    found: dict[str, Any] = {lv.PARAM_DEST_XML: live, lv.PARAM_PERSIST_XML: persistent}
    if step.cold:
        return found
    if step.address is not None:
        host = f"[{step.address}]" if ":" in step.address else step.address
        found[lv.PARAM_URI] = f"tcp://{host}"
    if step.disks:
        found[lv.PARAM_DISKS] = [disk.device for disk in step.disks]
    if step.rules.bandwidth:
        found[lv.PARAM_BANDWIDTH] = max(1, step.rules.bandwidth // _MIB)
    if step.rules.bandwidth and step.rules.post_copy:
        found[lv.PARAM_BANDWIDTH_POSTCOPY] = found[lv.PARAM_BANDWIDTH]
    if step.rules.connections > 1:
        found[lv.PARAM_CONNECTIONS] = step.rules.connections
    if step.rules.compression != "off":
        found[lv.PARAM_COMPRESSION] = step.rules.compression
    return found


def _as_it_stands(found: dict[str, Any], domain: Any) -> dict[str, Any]:
    """What the numbers alone don't tell.

    While disks are copied libvirt does not count the memory, which is all still to be sent. Of a post-copy that has
    failed it goes on telling numbers.
    """
    state, number = domain.state()
    reason = state_reason(state_name(state), number)
    if reason == "postcopy-failed":
        return {}
    found = {**found, "is_switched": reason == "postcopy"}
    if found.get("memory_total"):
        return found
    memory = domain.maxMemory() << 10
    return {**found, **{name: found.get(name, 0) + memory for name in ("data_total", "data_remaining")}}


def _job(found: dict[str, Any]) -> MigrationJob:
    downtime = found.get("downtime")
    return MigrationJob(
        total=int(found.get("data_total", 0)),
        done=int(found.get("data_processed", 0)),
        remaining=int(found.get("data_remaining", 0)),
        elapsed=found.get("time_elapsed", 0) / 1000,
        downtime=None if downtime is None else downtime / 1000,
        passes=int(found.get("memory_iteration", 0)),
        is_switched=bool(found.get("is_switched")),
    )
