"""What a plan may do about lost hosts: fence one, under no brake; place nothing beyond what there is room for.

Written apart from the planner's own rules, out of the raw inputs, so that a mistake there is caught here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reconciler.model.domain import DomainConfig
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.inventory import HostInventory
from reconciler.model.plan import Action
from reconciler.model.steps import DefineDomain, FenceHost, MigrateDomain, StopDomain, UndefineDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.plan_check_moves import gives_up_half
from reconciler.planner.plan_subject import Subject

_SILENT = ("suspect", "unreachable", "fencing", "fenced", "quarantined")


def one_host_is_fenced_and_under_no_brake(subject: Subject) -> Iterator[str]:
    """At most one host is fenced; it is lost, unproven and armed, and few others are bad."""
    fences = [(action, action.step) for action in subject.plan.actions if isinstance(action.step, FenceHost)]
    if len(fences) > 1:
        yield f"{len(fences)} hosts would be fenced at once: {', '.join(step.host for _, step in fences)}"
    for action, step in fences:
        yield from (f"{action.id} would fence {step.host}, but {why}" for why in _why_not_fence(subject, step))


def _why_not_fence(subject: Subject, step: FenceHost) -> Iterator[str]:
    ledger, host = subject.ledger, subject.desired.hosts.get(step.host)
    incident, health = ledger.incidents.get(step.host), ledger.health.get(step.host)
    if step.host in subject.inventory.hosts:
        yield "it answers"
    if incident is None or incident.id != step.incident:
        yield f"incident {step.incident} is not open"
    if health is None or health.state not in ("unreachable", "fencing"):
        yield f"it is {health.state if health else 'not watched'}"
    if health is not None and health.rule == "other-machine-silent":
        yield "another machine was the last to answer under its name"
    if subject.is_proven_dead(step.host):
        yield "it is proven dead already"
    if ledger.quiet:
        yield "this is the quiet period"
    test = ledger.fence_tests.get(step.host)
    if host is None or not host.spec.fencing:
        yield "it has no fence device"
    elif test is None or not test.passed or test.devices != devices_hash(host):
        yield "its devices have not passed a test"
    if not step.is_off and not any(_would_run_elsewhere(subject, vm, step.host) for vm in subject.desired.vms.values()):
        yield "none of its VMs would run elsewhere for that"
    yield from _brakes(subject)


def _would_run_elsewhere(subject: Subject, vm: VirtualMachine, lost: str) -> bool:
    """Whether the VM ran on `lost`, is to be recovered from there, and at least one host in sight might take it."""
    placement, spec = subject.ledger.placements.get(vm.name), vm.spec
    if placement is None or lost not in (placement.host, placement.came_from):
        return False
    if placement.epoch == 1 and not placement.ran and placement.outran_at is None:
        return False
    if not spec.ha.enabled or spec.run_strategy not in ("Always", "RerunOnFailure"):
        return False
    if vm.name in subject.known_at:
        return True
    pools = [subject.desired.pools.get(disk.pool) for disk in spec.disks]
    if spec.ha.on_host_loss == "wait" and not all(pool is not None and pool.spec.shared for pool in pools):
        return False
    return any(_might_take(subject, observed, vm) for observed in subject.inventory.hosts.values())


def _might_take(subject: Subject, observed: HostInventory, vm: VirtualMachine) -> bool:
    host, wanted = subject.desired.hosts.get(observed.name), vm.spec.placement
    if host is None or host.spec.state != "active" or (wanted.hosts and host.name not in wanted.hosts):
        return False
    if not wanted.node_selector.items() <= host.metadata.labels.items():
        return False
    memory, _cpus = _taken(subject, observed)
    free = observed.facts.memory * host.spec.overcommit.memory - host.spec.reserved.memory - memory
    return (vm.spec.max_memory or vm.spec.memory) <= free


def _brakes(subject: Subject) -> Iterator[str]:
    hosts = [name for name, host in subject.desired.hosts.items() if host.spec.state != "maintenance"]
    health = subject.ledger.health
    bad = [name for name in hosts if name in health and health[name].state in _SILENT]
    few = len(hosts) <= 3
    if (few and len(bad) > 1) or (not few and len(bad) >= subject.policy.ha.max_bad_share * len(hosts)):
        yield f"{len(bad)} of {len(hosts)} hosts are bad at once"
    if not any(name in subject.inventory.hosts for name in subject.desired.hosts):
        yield "no host is reached"


def only_old_copies_are_cleared(subject: Subject) -> Iterator[str]:
    """A guest gets less time than it was promised only where a newer copy is the true one, or half of it is lost."""
    for action in subject.plan.actions:
        step = action.step
        if not isinstance(step, StopDomain) or not step.force or step.timeout >= _promised(subject, action):
            continue
        if not subject.is_old_copy(action.host, step.uuid) and not gives_up_half(subject, action):
            yield f"{action.id} would force {step.domain} off after {step.timeout:g} s, and it is not an old copy"
        elif subject.is_old_copy(action.host, step.uuid) and subject.runs_on_its_own_disks(action.host, step.uuid):
            yield f"{action.id} would force {step.domain} off, which has run on with disks of its own"


def _promised(subject: Subject, action: Action) -> float:
    """Seconds that the guest has to shut down."""
    vm = subject.desired.vms.get(action.target.name)
    return (vm and vm.spec.shutdown.timeout) or subject.policy.shutdown_timeout


def removes_an_old_copy(subject: Subject, action: Action) -> bool:
    """Whether what is undefined is not the VM, but a copy of a lower epoch than that of its placement elsewhere."""
    return isinstance(action.step, UndefineDomain) and subject.is_old_copy(action.host, action.step.uuid)


def capacity_is_kept(subject: Subject) -> Iterator[str]:
    """What is newly defined on a host, or moves there, fits beside what is there and what is on its way to it."""
    planned: dict[str, list[DomainConfig]] = defaultdict(list)
    for action in subject.plan.actions:
        if isinstance(action.step, DefineDomain):
            planned[action.host or ""].append(action.step.config)
        elif isinstance(action.step, MigrateDomain) and not action.step.begun:
            moved = subject.domain(action.step.source, action.step.uuid)
            planned[action.host or ""] += [moved.config] if moved is not None else []
    for name in planned:
        planned[name] += _not_there_yet(subject, name)
    for name, configs in sorted(planned.items()):
        host, observed = subject.desired.hosts.get(name), subject.inventory.hosts.get(name)
        if host is None or observed is None:
            continue
        memory, cpus = _taken(subject, observed)
        spec, facts = host.spec, observed.facts
        memory += sum(config.max_memory for config in configs)
        cpus += sum(config.vcpus for config in configs)
        if memory > facts.memory * spec.overcommit.memory - spec.reserved.memory:
            yield f"the plan promises more memory on {name} than it has"
        if cpus > max(0, facts.cpus - spec.reserved.cpus) * spec.overcommit.cpu:
            yield f"the plan promises more CPUs on {name} than it has"


def _not_there_yet(subject: Subject, host: str) -> list[DomainConfig]:
    """Of VMs that are on their way to `host`, and of which nothing is to be seen there."""
    moves = [move.step for move in subject.ledger.migrations.values() if move.target == host]
    absent = [step for step in moves if subject.domain(host, step.uuid) is None]
    found = [subject.domain(step.source, step.uuid) for step in absent]
    return [domain.config for domain in found if domain is not None]


def _taken(subject: Subject, observed: HostInventory) -> tuple[float, float]:
    """Memory in bytes and CPUs of what runs on the host, or will run there by the specs."""
    memory = cpus = 0.0
    for domain in observed.domains.values():
        mark = domain.config.mark
        vm = subject.desired.vms.get(mark.vm) if mark is not None and mark.fleet == subject.fleet else None
        if domain.active or (vm is not None and vm.spec.run_strategy != "Halted"):
            configs = [config for config in (domain.config, domain.live) if config is not None]
            memory += max(config.max_memory for config in configs)
            cpus += max(config.vcpus for config in configs)
    return memory, cpus
