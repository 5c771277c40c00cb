"""The command line as a whole: which commands there are, and how any of them ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from reconciler import __version__
from reconciler.cli.commands import COMMANDS
from reconciler.cli.endings import ending
from reconciler.cli.lazy import PlainGroup, common_options

_HELP: Final = """Desired state in YAML, converged onto plain KVM/libvirt hosts.

\b
Look:     validate  plan  status  why  simulate  leader
Act:      apply  run  pause  resume  fence  image  tombstone  accept-deletions
Learn:    init  check  config  schema  explain  adopt  notify
"""
_EPILOG: Final = "Begin with: reconciler init fleet, then reconciler check fleet, then reconciler plan fleet."


class App(PlainGroup):
    """The group of all commands; every error becomes one line and an exit code."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run and end the process: click's own ending would show tracebacks and give usage errors exit code 2."""
        extra.pop("standalone_mode", None)
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(arguments, prog_name or "reconciler", standalone_mode=False, **extra)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it ends here as one line and a code
            code = ending(error, verbose=_wants_tracebacks(arguments))
        sys.exit(code if isinstance(code, int) else 0)


def _wants_tracebacks(arguments: Sequence[str]) -> bool:
    return any(argument in ("-v", "-vv", "--verbose") for argument in arguments)


def _version(ctx: click.Context, *, asked: bool) -> None:
    if asked:
        click.echo(f"reconciler {__version__}")
        ctx.exit()


def _without_command() -> None:
    """No command is a question: the answer is the help, and exit 0."""
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


app = App(
    name="reconciler",
    commands={command.name or "": command for command in COMMANDS},
    params=[
        *common_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            help="Show the version.",
            callback=lambda ctx, _, value: _version(ctx, asked=value),
        ),
    ],
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=False,
    invoke_without_command=True,
    callback=_without_command,
    context_settings={"help_option_names": ["-h", "--help"]},
)
