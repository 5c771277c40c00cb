"""Pools and networks of a host."""

from __future__ import annotations

from reconciler.errors import ObjectConflict, ObjectNotFound
from reconciler.executor.context import ActionContext
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.inventory import ObservedNetwork, ObservedPool
from reconciler.model.steps import DefineNetwork, DefinePool, StartNetwork, StartPool


def define_pool(step: DefinePool, context: ActionContext, host: Hypervisor) -> None:
    """Killed half-way: the pool has our UUID, and defining it again completes it."""
    known = _find_pool(host, step.config.name)
    if known is not None and known.uuid != step.config.uuid:
        raise _foreign(context, "pool", step.config.name, known.uuid)

    def achieved() -> bool:
        found = _find_pool(host, step.config.name)
        return found is not None and found.uuid == step.config.uuid and found.active and found.autostart

    context.settle(lambda: host.define_pool(step.config), achieved, "the pool was defined and is not active")


def start_pool(step: StartPool, context: ActionContext, host: Hypervisor) -> None:
    """Both parts may be done again."""
    if _find_pool(host, step.name) is None:
        raise context.refuse(f"pool {step.name} is gone")
    if step.start:
        context.settle(
            lambda: host.start_pool(step.name), lambda: host.pool(step.name).active, "the pool does not stay active"
        )
    context.settle(
        lambda: host.set_pool_autostart(step.name, autostart=step.autostart),
        lambda: host.pool(step.name).autostart == step.autostart,
        "the pool's autostart does not stay as it was set",
    )


def define_network(step: DefineNetwork, context: ActionContext, host: Hypervisor) -> None:
    """Killed half-way: the network has our UUID and is seen as stopped or outdated, and is defined again."""
    name, uuid = step.config.name, step.config.uuid
    known = _find_network(host, name)
    if known is not None and known.uuid != uuid:
        raise _foreign(context, "network", name, known.uuid)
    if known is not None and known.active and step.redefine:
        _check_network_unused(context, host, name)
        # libvirt applies a network's new definition only when it starts.
        context.settle(lambda: host.stop_network(name), lambda: not _active(host, name), "the network does not stop")

    def achieved() -> bool:
        found = _find_network(host, name)
        return found is not None and found.uuid == uuid and found.active and found.autostart

    context.settle(lambda: host.define_network(step.config), achieved, "the network was defined and is not active")


def start_network(step: StartNetwork, context: ActionContext, host: Hypervisor) -> None:
    """Both parts may be done again."""
    if _find_network(host, step.name) is None:
        raise context.refuse(f"network {step.name} is gone")
    if step.start:
        context.settle(
            lambda: host.start_network(step.name),
            lambda: _active(host, step.name),
            "the network does not stay active",
        )

    def autostart_is_set() -> bool:
        found = _find_network(host, step.name)
        return found is not None and found.autostart == step.autostart

    context.settle(
        lambda: host.set_network_autostart(step.name, autostart=step.autostart),
        autostart_is_set,
        "the network's autostart does not stay as it was set",
    )


def _find_pool(host: Hypervisor, name: str) -> ObservedPool | None:
    try:
        return host.pool(name)
    except ObjectNotFound:
        return None


def _find_network(host: Hypervisor, name: str) -> ObservedNetwork | None:
    return host.read().networks.get(name)


def _check_network_unused(context: ActionContext, host: Hypervisor, name: str) -> None:
    """Raise PreconditionFailed if a guest was started on the network since the plan was made: it would be cut off."""
    for domain in host.read().domains.values():
        if domain.live is not None and any(nic.network == name for nic in domain.live.nics):
            raise context.refuse(f"running domain {domain.name} uses the network", "it is redefined once nothing does")


def _active(host: Hypervisor, name: str) -> bool:
    found = _find_network(host, name)
    return found is not None and found.active


def _foreign(context: ActionContext, what: str, name: str, uuid: str) -> ObjectConflict:
    return ObjectConflict(
        f"a {what} named {name} that is not ours is there (uuid {uuid})",
        host=context.action.host or "",
        target=str(context.action.target),
        hint=f"declare it with type `existing` to use it as it is, or rename the {what} of the specs",
    )
