"""The manual pages, in the macros of man(7): the commands from their own help, the configuration from its models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import click

from reconciler.cli.app import app
from reconciler.config import environment_variable, load_settings, setting_meanings

_EXAMPLES: Final = (
    ("reconciler init fleet", "A small fleet for this machine."),
    ("reconciler plan fleet", "Look first."),
    ("reconciler apply fleet", "Converge once."),
    (
        "reconciler run --git git@forge.example:infra/fleet.git",
        "Converge for ever, led by the commits of a repository.",
    ),
    ("reconciler why VirtualMachine/web-1", "Why it is as it is, and what happens next."),
)
_FILES: Final = (
    ("/etc/reconciler/config.yaml", "The configuration, see reconciler-config(5)."),
    ("/etc/reconciler/credentials/", "Secrets that specs refer to, a file each."),
    ("/var/lib/reconciler/", "The ledger, cached images, and the copy of the repository that is followed."),
)
_EXITS: Final = (
    ("0", "Done; for plan and status: nothing to do, all is well."),
    ("1", "An error, which standard error tells."),
    ("2", "plan: there are changes. status: not healthy or not in sync."),
    ("3", "apply: something still waits or is blocked."),
    ("78", "run: only people can help, so systemd does not restart it."),
)
_SPECIAL: Final = re.compile(r"^(?=[.'])", re.MULTILINE)


def commands_page() -> str:
    """reconciler(1)."""
    lines = [
        _title("RECONCILER", 1, "User Commands"),
        ".SH NAME",
        r"reconciler \- converge plain KVM/libvirt hosts to what is declared in YAML",
        ".SH SYNOPSIS",
        ".B reconciler",
        r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        "Hosts, images and virtual machines are YAML in a directory or a Git repository;",
        ".B reconciler",
        "compares that with what libvirt runs on every host and converges it. When a host dies it proves the death and",
        "starts its virtual machines elsewhere.",
        ".SH OPTIONS",
        "Every command has these too.",
        *_options(app),
        ".SH COMMANDS",
        *(line for path, command in _commands(app, "reconciler") for line in _command(path, command)),
        ".SH EXIT STATUS",
        *_list(_EXITS),
        ".SH ENVIRONMENT",
        "Every setting of the configuration has a variable; reconciler-config(5) names them.",
        ".SH FILES",
        *_list(_FILES),
        ".SH EXAMPLES",
        *_list(_EXAMPLES),
        ".SH SEE ALSO",
        ".BR reconciler-config (5),",
        ".BR virsh (1),",
        ".BR libvirtd (8)",
    ]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """reconciler-config(5)."""
    meanings = setting_meanings()
    lines = [
        _title("RECONCILER-CONFIG", 5, "File Formats"),
        ".SH NAME",
        r"reconciler-config \- the configuration of the reconciler",
        ".SH SYNOPSIS",
        "/etc/reconciler/config.yaml",
        ".SH DESCRIPTION",
        "One YAML mapping. A key with a dot stands below the mapping of its first part. A flag beats the environment,",
        "which beats this file, which beats the default;",
        r"\fBreconciler config show \-\-origin\fR tells which it was, \fBreconciler config check\fR what is wrong.",
        ".SH KEYS",
    ]
    for origin in load_settings({}, {"RECONCILER_CONFIG": "/dev/null"}).origins:
        lines += [
            ".TP",
            rf"\fB{_text(origin.key)}\fR (default: {_text(origin.value) or 'none'})",
            _text(" ".join(meanings[origin.key].split())),
            ".br",
            f"Variable: {environment_variable(origin.key)}",
        ]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR reconciler (1)"]) + "\n"


def _title(name: str, section: int, of: str) -> str:
    """With lines that are neither stretched nor broken within a word: commands and keys are copied from them."""
    return f'.TH {name} {section} "" "reconciler" "{of}"\n.nh\n.ad l'


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    arguments = " ".join(command.collect_usage_pieces(context)).replace("[OPTIONS] ", "").replace("[OPTIONS]", "")
    yield f'.SS "{_text(f"{path} {arguments}".strip())}"'
    for number, paragraph in enumerate((command.help or "").split("\n\n")):
        if number:
            yield ".PP"
        yield _text(" ".join(paragraph.replace("\b", "").split()))
    yield from _options(command)


def _options(command: click.Command) -> Iterator[str]:
    common = set() if command is app else {name for option in app.params for name in option.opts}
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden and common.isdisjoint(option.opts):
            names = ", ".join(rf"\fB{_text(name)}\fR" for name in option.opts)
            value = (
                ""
                if option.is_flag or option.count
                else rf" \fI{_text(option.make_metavar(click.Context(command)))}\fR"
            )
            yield ".TP"
            yield names + value
            yield _text(" ".join((option.help or "").split()))


def _list(items: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, meaning in items:
        yield ".TP"
        yield rf"\fB{_text(name)}\fR"
        yield _text(meaning)


def _text(text: str) -> str:
    """As it is, whatever troff makes of backslashes, dashes and a dot at the beginning."""
    return _SPECIAL.sub(r"\\&", text.replace("\\", r"\e").replace("-", r"\-"))
