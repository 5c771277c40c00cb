"""Commands that are declared in one place and imported only when they run, so that help and completion are instant."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from reconciler.cli.invocation import Invocation

_META: Final = "reconciler.flags"
_PLAIN_HELP_WIDTH: Final = 100


class PlainCommand(click.Command):
    """A command whose help is plain text unless a person looks at a terminal."""

    def get_help(self, ctx: click.Context) -> str:
        return _rich_help(self, ctx) if sys.stdout.isatty() else _plain_help(self, ctx)


class PlainGroup(click.Group):
    """A group whose help is plain text unless a person looks at a terminal."""

    def get_help(self, ctx: click.Context) -> str:
        return _rich_help(self, ctx) if sys.stdout.isatty() else _plain_help(self, ctx)


def _rich_help(command: click.Command, ctx: click.Context) -> str:
    """Laid out by rich-click, which is imported for that only."""
    text: str = import_module("reconciler.cli.rich_help").rich_help(command, ctx)
    return text


def _plain_help(command: click.Command, ctx: click.Context) -> str:
    """Click's own layout: rich-click's draws boxes wherever it writes."""
    formatter = click.HelpFormatter(width=_PLAIN_HELP_WIDTH)
    command.format_usage(ctx, formatter)
    click.Command.format_help_text(command, ctx, formatter)
    click.Command.format_options(command, ctx, formatter)
    if isinstance(command, click.Group):
        click.Group.format_commands(command, ctx, formatter)
    click.Command.format_epilog(command, ctx, formatter)
    return formatter.getvalue().rstrip()


def command(
    name: str, implementation: str, help_text: str, params: Sequence[click.Parameter] = (), **extra: Any
) -> PlainCommand:
    """A command done by the function `implementation` (`module:function`) of `reconciler.cli`.

    It is called with the Invocation and the values of `params`, and returns the exit code.
    """

    def call(**values: Any) -> int:
        module, _, function = implementation.partition(":")
        run = getattr(import_module(f"reconciler.cli.{module}"), function)
        code: int = run(_invocation(click.get_current_context()), **values)
        return code

    return PlainCommand(
        name,
        callback=call,
        params=[*params, *common_options()],
        help=help_text,
        context_settings={"help_option_names": ["-h", "--help"]},
        **extra,
    )


def _invocation(ctx: click.Context) -> Invocation:
    flags: Mapping[str, Any] = ctx.meta.get(_META, {})
    settings = {key: str(flags[key]) for key in ("specs", "stateDir", "logFormat", "fleet") if key in flags}
    return Invocation(
        flags=settings,
        config_file=flags.get("config"),
        no_input=bool(flags.get("no_input")),
        verbosity=int(flags.get("verbose", 0)) - int(flags.get("quiet", 0)),
        outside=ctx.obj,
    )


def common_options() -> list[click.Parameter]:
    """Options that every command takes, before or after its name."""
    path = {"type": click.Path(path_type=Path)}
    return [
        _remembered(
            ["--specs"],
            "specs",
            "Directory of specs, where DIR is left out.  [env: RECONCILER_SPECS]",
            metavar="DIR",
            **path,
        ),
        _remembered(
            ["--state-dir"],
            "stateDir",
            "Ledger and image cache.  [env: RECONCILER_STATE_DIR; default: /var/lib/reconciler]",
            metavar="DIR",
            **path,
        ),
        _remembered(
            ["--config"],
            "config",
            "Configuration.  [env: RECONCILER_CONFIG; default: /etc/reconciler/config.yaml]",
            metavar="FILE",
            **path,
        ),
        _remembered(
            ["--log-format"],
            "logFormat",
            "How logs are written to standard error.",
            type=click.Choice(["console", "json"]),
        ),
        _remembered(["--no-input"], "no_input", "Never ask; fail where an answer is needed.", is_flag=True),
        _remembered(["-v", "verbosity"], "verbose", "Say more; twice for debugging.", count=True),
        _remembered(["-q", "--quiet"], "quiet", "Say less.", is_flag=True),
    ]


def _remembered(names: list[str], key: str, help_text: str, **extra: Any) -> click.Option:
    """An option that is kept for the Invocation; the one after the command's name wins."""

    def remember(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None and value is not False and value != 0:
            ctx.meta.setdefault(_META, {})[key] = value

    return click.Option(names, expose_value=False, callback=remember, help=help_text, **extra)
