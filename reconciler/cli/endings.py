"""How a command ends that did not end well: one line on standard error with the next step, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Final

import click

from reconciler.cli.terminal import Terminal, stderr_terminal
from reconciler.cli.words import printable
from reconciler.errors import ReconcilerError

ERROR: Final = 1
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells expect."""


def ending(error: BaseException, *, verbose: bool) -> int:
    """Tell of `error` on standard error; return the exit code. Tracebacks are for what a user can't cause."""
    terminal = stderr_terminal()
    if isinstance(error, SystemExit | click.exceptions.Exit):
        return _own_code(error)
    if isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        _say(terminal.paint("stopped", "warn"))
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader left, as `| head` does; Python must not complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    elif isinstance(error, click.ClickException):
        _say(error_text(_usage_message(error), _usage_hint(error), terminal))
    elif isinstance(error, ReconcilerError):
        tell(error)
    else:
        _say(_bug_text(error, terminal, verbose=verbose))
    return ERROR


def tell(error: ReconcilerError) -> None:
    """One line on standard error, and below it the next step."""
    _say(error_text(str(error).partition("\n  → ")[0], error.hint, stderr_terminal()))


def _own_code(error: SystemExit | click.exceptions.Exit) -> int:
    code = error.exit_code if isinstance(error, click.exceptions.Exit) else error.code
    return code if isinstance(code, int) else ERROR


def error_text(message: str, hint: str, terminal: Terminal) -> str:
    """`error: …`, and below it the next step."""
    first = f"{terminal.paint('error:', 'bad', 'bold')} {printable(message)}"
    return f"{first}\n  {terminal.paint(f'→ {printable(hint)}', 'accent')}" if hint else first


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message()
    return message[:1].lower() + message[1:].rstrip(".") if message else "the command line is wrong"


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context is not None else ""


def _bug_text(error: BaseException, terminal: Terminal, *, verbose: bool) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    place = f" at {Path(where.filename).name}:{where.lineno}" if where else ""
    lines = "".join(traceback.format_exception(error)) if verbose else ""
    return lines + error_text(
        f"this is a bug in reconciler: {type(error).__name__}{place}: {error}",
        "report the lines above" if verbose else "run it again with -v and report what it prints",
        terminal,
    )


def _say(text: str) -> None:
    click.echo(text, err=True)
