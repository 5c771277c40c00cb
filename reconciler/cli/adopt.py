"""`reconciler adopt`: the spec of what is there, for people to review; nothing is changed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import click

from reconciler.cli.command_line import command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.tables import yaml_text
from reconciler.errors import HostUnreachable, UsageError
from reconciler.hypervisor.interface import Hypervisor
from reconciler.hypervisor.unexpressed import Unexpressed, unexpressed
from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import HostInventory, ObservedDomain
from reconciler.planner.adoption_spec import AdoptionSpec, adoption_spec, document_of


def run(invocation: Invocation, *, host: str, domain: str | None, everything: bool) -> int:
    """YAML to stdout, and to stderr what it does not say; 1 where a domain can't be taken over as it is."""
    if everything == (domain is not None):
        raise UsageError("name a domain, or all of them with --all", hint="reconciler adopt HOST DOMAIN")
    settings, doors = invocation.settings(), invocation.doors()
    desired = doors.load_specs(settings.specs_directory(), settings.fleet)
    if host not in desired.hosts:
        known = ", ".join(sorted(desired.hosts)) or "none"
        raise UsageError(f"there is no Host/{host} in the specs", hint=f"hosts: {known}")
    with doors.open_session(settings, None) as session:
        view = session.look()
        if host not in view.inventory.hosts:
            unread = view.inventory.unread.get(host)
            raise HostUnreachable(unread.error if unread else "it could not be read", host=host)
        door = session.fleet.host(host)
        seen = door.read(pools_with_volumes=view.inventory.hosts[host].pools)
        chosen = _chosen(seen, domain)
        specs = [(found, adoption_spec(settings.fleet, found, desired.hosts[host], seen)) for found in chosen]
        click.echo(_text(specs, door, desired, host), nl=False)
    refused = sum(1 for _, spec in specs if spec.obstacles)
    click.echo(f"{len(specs) - refused} of {len(specs)} can be taken over as they are", err=True)
    if specs:
        click.echo(f"next: review it, add it to the specs, then {command_line(invocation).call('plan')}", err=True)
    return 1 if refused else 0


def _chosen(seen: HostInventory, name: str | None) -> list[ObservedDomain]:
    """Domains that are nobody's; the one of that name or UUID, whoever has it."""
    domains = [seen.domains[key] for key in sorted(seen.domains)]
    if name is None:
        return [found for found in domains if found.config.mark is None]
    found = next((each for each in domains if name in (each.name, each.uuid)), None)
    if found is None:
        known = ", ".join(each.name for each in domains) or "none"
        raise UsageError(f"{seen.name} has no domain {name}", hint=f"it has: {known}")
    if found.config.mark is not None:
        raise UsageError(
            f"domain {name} on {seen.name} is VirtualMachine/{found.config.mark.vm} of fleet"
            f" {found.config.mark.fleet} already",
            hint="what is managed is not adopted",
        )
    return [found]


def _text(
    specs: Iterable[tuple[ObservedDomain, AdoptionSpec]], door: Hypervisor, desired: DesiredState, host: str
) -> str:
    specs = list(specs)
    parts = [yaml_text(document) for document in _facilities([spec for _, spec in specs], desired, host)]
    for domain, spec in specs:
        text = door.describe_domain(domain.uuid)
        notes = [*_notes(domain, host, spec, unexpressed(text.xml), text.snapshots)]
        for note in () if sys.stdout.isatty() else notes:  # where both are seen, once is enough
            click.echo(note, err=True)
        comment = "".join(f"# {line}\n" for line in notes)
        body = yaml_text(spec.document)
        parts.append(comment + ("".join(f"#   {line}\n" for line in body.splitlines()) if spec.obstacles else body))
    return "---\n".join(parts)


def _facilities(specs: list[AdoptionSpec], desired: DesiredState, host: str) -> Iterator[dict[str, object]]:
    """Pools and networks that the specs lack, used as they are."""
    here = {"hosts": {"names": [host]}}
    for name in sorted({pool for spec in specs if not spec.obstacles for pool in spec.pools}):
        if name not in desired.pools:
            yield document_of("StoragePool", name, {"type": "existing", **here})
    for name in sorted({network for spec in specs if not spec.obstacles for network in spec.networks}):
        if name not in desired.networks:
            yield document_of("Network", name, {"mode": "existing", **here})


def _notes(
    domain: ObservedDomain,
    host: str,
    spec: AdoptionSpec,
    left: tuple[Unexpressed, ...],
    snapshots: tuple[str, ...],
) -> Iterator[str]:
    yield f"{domain.name} on {host}, {domain.state}"
    for obstacle in spec.obstacles:
        yield f"  can't be taken over: {_line(obstacle)}"
    if domain.config.autostart and not domain.active:
        yield "  its autostart goes: it is off, and runStrategy: Manual leaves it to people"
    if snapshots:
        yield f"  snapshots stay: {_line(', '.join(snapshots))}; a VM that has some is not moved while it runs"
    if left:
        yield "  stays as it is while the definition stands, and is not made where the VM is made anew:"
    for each in left:
        yield (
            f"    {each.path}: {_line(each.value)} ({each.meaning})"
            if each.value
            else f"    {each.path} ({each.meaning})"
        )


def _line(text: str) -> str:
    """On one line: what people wrote must not end the comment."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
