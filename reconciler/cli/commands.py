"""Every command: its name, its arguments and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from reconciler.cli.completion import complete_column, complete_host, complete_image, complete_kind, complete_object
from reconciler.cli.lazy import PlainCommand, PlainGroup, command


def _directory() -> click.Argument:
    return click.Argument(["directory"], required=False, metavar="[DIR]", type=click.Path(path_type=Path))


def _flag(name: str, help_text: str) -> click.Option:
    return click.Option([name], is_flag=True, help=help_text)


def _choice(names: list[str], choices: list[str], help_text: str, default: str | None = None) -> click.Option:
    return click.Option(names, type=click.Choice(choices), default=default, help=help_text)


def _object(*, required: bool, metavar: str = "KIND/NAME") -> click.Argument:
    return click.Argument(["target"], required=required, metavar=metavar, shell_complete=complete_object)


def _image(*, required: bool) -> click.Argument:
    metavar = "NAME" if required else "[NAME]"
    return click.Argument(["name"], required=required, metavar=metavar, shell_complete=complete_image)


def _host(*, required: bool) -> click.Argument:
    metavar = "HOST" if required else "[HOST]"
    return click.Argument(["host"], required=required, metavar=metavar, shell_complete=complete_host)


def _vm() -> click.Argument:
    return click.Argument(["vm"], metavar="VM")


def _file(name: str, help_text: str, **extra: Any) -> click.Option:
    return click.Option(
        [name], type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=help_text, **extra
    )


_PROBLEM_FORMATS: Final = ["text", "json", "github", "gitlab", "sarif", "junit"]
_FORMATS: Final = ["table", "json", "yaml", "csv", "markdown"]
_LISTS: Final = ["hosts", "vms", "pools", "networks", "images", "tombstones"]
_CONFIG: Final = PlainGroup(
    name="config",
    help="The configuration of the controller.",
    commands={
        "show": command(
            "show",
            "show_config:run",
            "Show every setting; with --origin, where its value comes from.",
            [_directory(), _flag("--origin", "Say where each value comes from."), _flag("--json", "As JSON.")],
        ),
        "check": command(
            "check",
            "show_config:run_check",
            "See whether the configuration can be used; say nothing if so. The service does so before it reloads.\n\n"
            "Exit: 0 it can, 1 not.",
            [_directory()],
        ),
    },
)

_FENCE: Final = PlainGroup(
    name="fence",
    help="Fence devices: what cuts the power of a host that is lost.",
    commands={
        "status": command(
            "status",
            "fence:run_status",
            "Ask every fence device for the power, and tell which hosts would be fenced. Nothing is switched.\n\n"
            "Exit: 0 all answer and are tested, 1 not.",
            [_host(required=False), _flag("--json", "As JSON.")],
        ),
        "test": command(
            "test",
            "fence:run_test",
            "Test the fence devices of a host: power status, and whose it is where the device tells. Nothing is"
            " switched. A host is fenced only after a test of its devices has passed.\n\nExit: 0 passed, 1 not.",
            [
                _host(required=False),
                click.Option(["--all", "everything"], is_flag=True, help="All hosts that have fence devices."),
                _flag("--json", "As JSON."),
            ],
        ),
        "confirm": command(
            "confirm",
            "fence_confirm:run",
            "Say that a lost host is surely dead, so that its VMs are started elsewhere. Works beside a running"
            " daemon; refused while the host answers, is held, or has power by one of its fence devices.\n\n"
            "Exit: 0 recorded, 1 not.",
            [
                _host(required=True),
                click.Option(["--reason"], required=True, metavar="TEXT", help="Why it is surely dead."),
                click.Option(["--by"], metavar="NAME", help="Who says so.  [default: who is logged in]"),
                click.Option(["--yes", "-y"], is_flag=True, help="Do not ask."),
                _flag("--although-on", "Although a fence device says that it has power: the device is surely wrong."),
                _flag("--although-held", "Although it is held: whoever holds it knows."),
            ],
        ),
    },
)

_NOTIFY: Final = PlainGroup(
    name="notify",
    help="Receivers of notifications, of the configuration.",
    commands={
        "test": command(
            "test",
            "notify:run_test",
            "Send a message to all receivers, or to those named.\n\nExit: 0 all were told, 1 not.",
            [click.Argument(["receivers"], nargs=-1, metavar="[NAME]...")],
        ),
    },
)

_TOMBSTONE: Final = PlainGroup(
    name="tombstone",
    help="What is kept of VMs that were removed, and of disks that were replaced: status --only tombstones lists it.",
    commands={
        "keep": command(
            "keep",
            "tombstone:run_keep",
            "Keep what is kept of VM for longer: from now on for as long as is said. Works beside a running daemon.",
            [
                _vm(),
                click.Option(["--for", "duration"], metavar="TIME", help="Such as 30d.  [default: tombstoneRetention]"),
            ],
        ),
        "purge": command(
            "purge",
            "tombstone:run_purge",
            "Have what is kept of VM deleted for good with the next pass, as soon as that is safe. Works beside a"
            " running daemon.",
            [_vm(), click.Option(["--yes", "-y"], is_flag=True, help="Do not ask.")],
        ),
    },
)

_IMAGE: Final = PlainGroup(
    name="image",
    help="Versions of images that are captured from VMs.",
    commands={
        "capture": command(
            "capture",
            "image_capture:run_capture",
            "Have a version made now of the VM that the image NAME is captured from. Works beside a running daemon;"
            " else the next apply makes it.",
            [_image(required=True)],
        ),
        "cancel": command(
            "cancel",
            "image_capture:run_cancel",
            "Have no version made after all: what is being made is given up, and nothing is left of it. Works beside a"
            " running daemon.\n\nExit: 0 cancelled, 1 there was nothing to cancel.",
            [_image(required=True)],
        ),
        "versions": command(
            "versions",
            "image_versions:run",
            "List the versions of a captured image, or of all: when they were taken, their sizes, what each rests on,"
            " and because of what it is kept. No host is asked.",
            [
                _image(required=False),
                _choice(["-f", "--format"], _FORMATS, "How it is written.", "table"),
                click.Option(["-c", "--columns"], metavar="A,B,…", help="Columns of the list."),
            ],
        ),
        "export": command(
            "export",
            "image_export:run",
            "Write one disk of a version into FILE on this machine, put together with all that it rests on, with its"
            " checksum beside it in FILE.sha256. Nobody but you may read it. Killed or cut off, it goes on where it"
            " was; under its name the file is whole or not there.",
            [
                click.Argument(["version"], metavar="NAME@VERSION[/DISK]"),
                click.Argument(["file"], metavar="FILE", type=click.Path(path_type=Path, dir_okay=False)),
                _choice(["--format"], ["qcow2", "raw"], "Format of the file.", "qcow2"),
                _flag("--force", "Replace FILE where it is there already."),
            ],
        ),
        "delete": command(
            "delete",
            "image_delete:run",
            "Have one version deleted. Works beside a running daemon; refused while anything rests on the version or"
            " names it, and for the newest one of an image that is in the specs.\n\nExit: 0 asked for, 1 not.",
            [
                click.Argument(["version"], metavar="NAME@VERSION"),
                click.Option(["--yes", "-y"], is_flag=True, help="Do not ask."),
            ],
        ),
    },
)

COMMANDS: Final[tuple[PlainCommand | PlainGroup, ...]] = (
    command(
        "validate",
        "validate:run",
        "Check specs; no host is touched.\n\nExit: 0 valid, 1 not.",
        [
            _directory(),
            _choice(["--output-format"], _PROBLEM_FORMATS, "How mistakes are written.", "text"),
            _flag("--strict", "Warnings fail too."),
        ],
    ),
    command(
        "plan",
        "plan:run",
        "Show what would change, in order, why, and how disruptive it is. Nothing is changed.\n\n"
        "Exit: 0 no change, 2 changes, 1 error, or no change but mistakes in the specs.",
        [
            _directory(),
            _flag("--json", "As JSON."),
            _flag("--markdown", "As a comment for a pull request."),
            _flag("--short", "One line an object."),
            _flag("--verbose", "Every action in order, every host's reason."),
            _flag("--exit-zero", "Exit 0 also where there are changes, unless the specs have mistakes."),
            click.Option(
                ["--if-down"],
                multiple=True,
                metavar="HOST",
                help="Suppose that HOST is proven dead: where would its VMs go? May be given again.",
            ),
            _file("--out", "Also write the plan to FILE, for apply --plan."),
        ],
    ),
    command(
        "apply",
        "apply:run",
        "Converge once, showing progress. Ctrl-C hands back what has not begun and undoes nothing.\n\n"
        "Exit: 0 converged, 1 error, 3 stopped with something waiting or blocked, or with mistakes in the specs.",
        [
            _directory(),
            _file("--plan", "Only carry out the plan in FILE; refuse if the world has moved.", default=None),
            click.Option(["--yes", "-y"], is_flag=True, help="Do not ask."),
        ],
    ),
    command(
        "run",
        "run:run",
        "Converge for ever: the daemon. Ends on SIGTERM, finishing or handing back what is in flight.\n\n"
        "Exit: 0 on SIGTERM, 78 where only people can help (a mistake in the configuration, a newer ledger), 1 else.",
        [
            _directory(),
            click.Option(["--git"], metavar="URL", help="Follow this Git repository in place of a directory."),
            click.Option(["--branch"], metavar="NAME", help="Its branch; main when absent."),
            click.Option(["--path"], metavar="DIR", help="The directory of specs within it; all of it when absent."),
            click.Option(["--interval"], metavar="TIME", help="How often it is asked, such as 60s."),
        ],
    ),
    command(
        "status",
        "status:run",
        "Hosts, VMs, pools, networks and images: health, sync, what waits and why.\n\n"
        "Exit: 0 healthy and in sync, 2 not, 1 error.",
        [
            _directory(),
            _flag("--json", "As JSON; the same as -f json."),
            _flag("--watch", "Keep looking until Ctrl-C."),
            _choice(["-f", "--format"], _FORMATS, "How it is written.", "table"),
            click.Option(
                ["-c", "--columns"], metavar="A,B,…", help="Columns of the list.", shell_complete=complete_column
            ),
            _choice(["--only"], _LISTS, "One list alone; csv and --columns take vms."),
            _flag("--migratability", "Where each VM could be moved as it runs, and why not elsewhere."),
        ],
    ),
    command(
        "why",
        "why:run",
        "Tell why an object is as it is, and what happens next or why nothing does.",
        [
            _object(required=True),
            _directory(),
            _flag("--json", "As JSON."),
            click.Option(["--events"], type=click.IntRange(0, 1000), default=8, help="How many events are told."),
        ],
    ),
    command(
        "schema",
        "schema:run",
        "Print the JSON Schema of all specs, or of one KIND, for editors.",
        [click.Argument(["kind"], required=False, metavar="[KIND]", shell_complete=complete_kind)],
    ),
    command(
        "explain",
        "schema:run_explain",
        "Tell what a field means, such as VirtualMachine.spec.memory.",
        [click.Argument(["path"], required=False, metavar="[KIND[.FIELD]…]", shell_complete=complete_kind)],
    ),
    command(
        "pause",
        "pause:run_pause",
        "Hold all changes, or those of one object. Works beside a running daemon.",
        [_object(required=False, metavar="[KIND/NAME]")],
    ),
    command(
        "resume",
        "pause:run_resume",
        "Let changes go on that were held by pause. What failed of the object, or on the host, is tried again at once:"
        " by the daemon within seconds, else by the next apply.",
        [_object(required=False, metavar="[KIND/NAME]")],
    ),
    _NOTIFY,
    command(
        "leader",
        "leader:run",
        "Tell who leads, where several controllers share a ledger in etcd.\n\nExit: 0 somebody leads, 1 nobody does.",
        [
            _flag("--json", "As JSON."),
            _flag("--accept-store", "Believe etcd as it is now, after it was restored from a backup or replaced."),
            _flag("--accept-specs", "Take the specs of who leads, which are in doubt, for the right ones."),
            click.Option(["--reason"], metavar="TEXT", help="Why they are right."),
            click.Option(["--by"], metavar="NAME", help="Who says so.  [default: who is logged in]"),
            _flag("--export", "Write etcd's ledger into the file of this machine, to go on without etcd."),
        ],
    ),
    command(
        "init",
        "init:run",
        "Write a small fleet that works on this machine into the new directory DIR.",
        [
            click.Argument(["directory"], metavar="DIR", type=click.Path(path_type=Path)),
            _file("--image", "A qcow2 or raw image that the first VM boots from."),
        ],
    ),
    command(
        "adopt",
        "adopt:run",
        "Print the specs of domains that are on HOST already, so that taking them over changes nothing of them. What"
        " specs can't say is listed. Nothing is changed.\n\nExit: 0 printed, 1 a domain can't be taken over as it is.",
        [
            _host(required=True),
            click.Argument(["domain"], required=False, metavar="[DOMAIN]"),
            click.Option(["--all", "everything"], is_flag=True, help="All domains that nobody manages."),
        ],
    ),
    command(
        "check",
        "check:run",
        "Check this machine and the hosts of DIR; every fault comes with its remedy.\n\n"
        "Exit: 0 all well, 1 not.",
        [_directory()],
    ),
    command(
        "simulate",
        "simulate:run",
        "Play what would follow, in simulated time: for the specs of DIR on a plausible fleet, or the scenario in DIR."
        " No host is touched.\n\nExit: 0 every promise was kept, 1 not.",
        [
            _directory(),
            click.Option(
                ["--down"],
                multiple=True,
                metavar="HOST[@TIME]",
                help="HOST loses power, TIME (such as 10s) after the fleet is up.",
            ),
            click.Option(
                ["--event"],
                multiple=True,
                metavar="'TIME WORDS'",
                help="Something else happens, such as '10s link-down h1'.",
            ),
            _flag("--words", "List all words of events."),
            click.Option(
                ["--replay"], metavar="PASS", help="Plan a pass of the past again, from the input that it had."
            ),
        ],
    ),
    command(
        "accept-deletions",
        "accept_deletions:run",
        "Say that all of a mass deletion is meant, by the fingerprint that plan tells. It is for these very deletions;"
        " more of them are held again. Works beside a running daemon.\n\nExit: 0 accepted, 1 not.",
        [
            click.Argument(["fingerprint"], metavar="FINGERPRINT"),
            _directory(),
            click.Option(["--yes", "-y"], is_flag=True, help="Do not ask."),
        ],
    ),
    _FENCE,
    _TOMBSTONE,
    _IMAGE,
    _CONFIG,
    command(
        "completion",
        "completion_script:run",
        'Print the completion script of a shell.\n\nbash: eval "$(reconciler completion bash)"',
        [click.Argument(["shell"], type=click.Choice(["bash", "zsh", "fish"]))],
    ),
)  # fmt: skip
