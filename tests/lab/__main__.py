"""The lab from the command line: `python -m tests.lab up`, look around, break things, `... down`."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from tests.lab.bmc import CIPHER, USER, LabBmc
from tests.lab.hosts import Lab, LabHost
from tests.lab.layout import LABS_FOLDER, LabPaths
from tests.lab.waiting import LabError

M = TypeVar("M")
_root = click.option(
    "--root",
    type=click.Path(path_type=Path),
    envvar="RECONCILER_LAB_ROOT",
    default=LABS_FOLDER / "default",
    show_default=True,
    help="Folder of the lab; also from RECONCILER_LAB_ROOT.",
)


class _Friendly(click.Group):
    """Errors of the lab are one sentence, no traceback."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except (LabError, TimeoutError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Friendly, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Real libvirt hosts on this machine, in namespaces of their own."""


@main.command()
@_root
@click.option("--hosts", default=3, show_default=True, help="How many hosts: h1, h2 ...")
@click.option("--keep", is_flag=True, help="Leave the folder, with its logs, when the lab goes down.")
@click.option("--owner-pid", type=int, help="Go down when this process ends; without it, only `down` ends the lab.")
def up(root: Path, hosts: int, keep: bool, owner_pid: int | None) -> None:
    """Bring up a lab and leave it running."""
    lab = Lab.up(hosts, root=root, name=root.name, owner_pid=owner_pid, unowned=owner_pid is None, keep=keep)
    _show(lab)


@main.command()
@_root
def down(root: Path) -> None:
    """Take the lab down; nothing is left of it."""
    paths = LabPaths(root.resolve())
    Lab(paths, paths.read_state()).down()


@main.command()
@_root
def status(root: Path) -> None:
    """Show the hosts, how to reach them, and what is broken on purpose."""
    _show(Lab.attach(root))


def _show(lab: Lab) -> None:
    for host in lab.hosts:
        click.echo(f"{host.name}  {host.uri}  {', '.join(_conditions(host))}")
    click.echo(f"shared folder: {lab.shared}\nlocal folder:  {lab.local} (one of its own on each host)")


def _conditions(host: LabHost) -> list[str]:
    cable = [] if host.is_reachable else ["network cut"]
    if not host.is_on:
        return ["off", *cable]
    return ["hung" if host.is_hung else "on", *cable, f"{len(host.guests())} guests"]


def _command(name: str, machine: Callable[[Lab, str], M], act: Callable[[M], None], text: str) -> None:
    @main.command(name, help=text)
    @_root
    @click.argument("host")
    def command(root: Path, host: str) -> None:
        act(machine(Lab.attach(root), host))


_command("power-cut", Lab.host, LabHost.power_cut, "Cut a host's power: silence, and all its guests are dead.")
_command("power-on", Lab.host, LabHost.power_on, "Boot a host; returns when its libvirtd answers.")
_command("network-cut", Lab.host, LabHost.network_cut, "Pull a host's network cable.")
_command("network-restore", Lab.host, LabHost.network_restore, "Put a host's network cable back.")
_command("hang", Lab.host, LabHost.hang, "Stop a host's libvirtd in its tracks; its guests run on.")
_command("resume", Lab.host, LabHost.resume, "Let a hung libvirtd go on.")
_command("freeze", Lab.host, LabHost.freeze_all, "Stop every process of a host, guests too.")
_command("thaw", Lab.host, LabHost.thaw_all, "Let every process of a host go on.")
_command("bmc-kill", Lab.bmc, LabBmc.kill, "Kill a host's BMC; `bmcs` starts it again.")
_command("bmc-hang", Lab.bmc, LabBmc.hang, "Stop a host's BMC: it takes requests and never answers.")
_command("bmc-lie", Lab.bmc, LabBmc.lie, "Let a host's BMC report success and switch nothing.")
_command("bmc-heal", Lab.bmc, LabBmc.heal, "Let a host's BMC go on, and do what it says.")


@main.command()
@_root
def bmcs(root: Path) -> None:
    """Start the BMCs that don't run, and show where they listen."""
    lab = Lab.attach(root)
    lab.start_bmcs()
    for bmc in lab.bmcs:
        click.echo(f"{bmc.host.name}  {bmc.address}  user {USER}, password in {bmc.folder}/password, cipher {CIPHER}")


@main.command()
@_root
@click.argument("host")
@click.argument("domain")
def console(root: Path, host: str, domain: str) -> None:
    """Print what a domain has written to its serial console on a host."""
    click.echo(Lab.attach(root).host(host).console(domain), nl=False)


@main.command(context_settings={"ignore_unknown_options": True})
@_root
@click.argument("host")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def virsh(root: Path, host: str, words: tuple[str, ...]) -> None:
    """Run virsh on a host, behind the controller's back: virsh h1 list --all."""
    click.echo(Lab.attach(root).host(host).virsh(*words), nl=False)


if __name__ == "__main__":
    main(prog_name="python -m tests.lab")
