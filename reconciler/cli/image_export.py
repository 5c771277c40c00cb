"""`reconciler image export`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from reconciler.cli.command_line import command_line
from reconciler.cli.image_names import Known, chain_of, known_versions
from reconciler.cli.invocation import Invocation
from reconciler.cli.terminal import stderr_terminal
from reconciler.errors import UsageError
from reconciler.hypervisor.interface import Fleet, Sink
from reconciler.images.export import Export, ExportFormat
from reconciler.model.quantities import approximate_size
from reconciler.model.version import ImageVersion, VersionDisk


def run(invocation: Invocation, *, version: str, file: Path, format: ExportFormat, force: bool) -> int:
    """Write one disk of a version into a file on this machine, flattened, with its checksum beside it."""
    settings, doors, commands = invocation.settings(), invocation.doors(), command_line(invocation)
    known = known_versions(doors, settings)
    name, _, disk_name = version.removeprefix("Image/").partition("/")
    found = known.version(name, commands)
    disk = _disk(found, disk_name)
    chain = [_disk(each, disk.name) for each in chain_of(found, known.versions[found.image])]
    export = Export(chain, file, format, replace=force)
    with doors.open_session(settings, None) as session, _bar(f"{found.name}/{disk.name}", export.size) as progress:
        host = session.fleet.host(_host(known, found, session.fleet))

        def download(volume: str, sink: Sink, told: Callable[[int], None], offset: int) -> None:
            host.download_volume(found.pool, volume, sink, told, offset=offset)

        done = export.write(download, progress)
    what = "" if len(chain) == 1 else f", {len(chain)} parts put together"
    click.echo(f"{done.path}: {found.name}, disk {disk.name}, {approximate_size(done.size)} as {format}{what}")
    click.echo(f"  {done.digest}; check it: sha256sum -c {done.checksum_file}", err=True)
    return 0


def _disk(version: ImageVersion, name: str) -> VersionDisk:
    names = ", ".join(disk.name for disk in version.disks)
    if not name and len(version.disks) > 1:
        raise UsageError(
            f"{version.name} has the disks {names}", hint=f"name one of them: {version.name}/{version.disks[0].name}"
        )
    found = version.disk(name) if name else version.disks[0]
    if found is None:
        raise UsageError(f"{version.name} has no disk {name}", hint=f"disks: {names}")
    return found


def _host(known: Known, version: ImageVersion, fleet: Fleet) -> str:
    """The host to read from: whose pool it is, or any that has the shared one."""
    hosts = known.world.desired.hosts
    fleet.update({name: host.spec.uri for name, host in hosts.items()})
    having = (name for name in sorted(hosts) if known.world.pool_serves(version.pool, name))
    name = version.host or next(having, "")
    if name not in hosts:
        raise UsageError(f"no host of the specs has pool {version.pool}, in which {version.name} is")
    return name


@contextmanager
def _bar(what: str, size: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; nothing elsewhere."""
    if not stderr_terminal().interactive:
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415  only where something is animated
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=size)
        yield lambda count: progress.advance(task, count)
