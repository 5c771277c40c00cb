"""Random schedules: what may happen to a fleet, drawn from a seed, and healed in the end."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from reconciler.simulator.command import read_command
from reconciler.simulator.play import Played, play
from reconciler.simulator.scenario import Event, Scenario, read_fleet
from reconciler.simulator.verbs import VERBS

FOLDER: Final = Path(__file__).parent / "_random"
FOUND: Final = Path(__file__).parent / "_found"
_CONTROLLERS: Final = ("c1", "c2")
_HOSTS: Final = ("h1", "h2", "h3")
_VMS: Final = ("web-1", "web-2", "web-3", "db", "job")
_METHODS: Final = (
    *("any", "define_domain", "start_domain", "create_volume", "undefine_domain", "upload_volume"),
    "begin_migration",
)
_LOSABLE: Final = (
    *("define_domain", "start_domain", "create_volume", "undefine_domain", "delete_volume", "define_pool"),
    "begin_migration",
)
_TEMPLATES: Final = (
    "power-cut {host}",
    "power-cut {host}",
    "link-down {host}",
    "link-down {host}",
    "links-down",
    "links-up",
    "hang {host}",
    "power-on {host}",
    "link-up {host}",
    "resume {host}",
    "slow {host} 3s",
    "slow {host} 0s",
    "lose-reply {host} {losable}",
    "fail {host} {losable} busy",
    "fail {host} {losable} fault",
    "fail {host} {losable} timeout",
    "stale-read {host}",
    "fresh-read {host}",
    "virsh {host} destroy {vm}",
    "virsh {host} undefine {vm}",
    "virsh-edit {host} {vm} memory 3GiB",
    "virsh-limit {host} {vm} 100",
    "virsh-autostart {host} {vm} on",
    "virsh-pool {host} stop vms",
    "virsh-network {host} stop lan",
    "qemu-crash {host} {vm}",
    "guest-crashes {vm} 4s",
    "guest-sound {vm}",
    "guest-deaf {host} {vm}",
    "io-error {host} {vm}",
    "crash-controller",
    "crash-before {method} {n}",
    "crash-after {method} {n}",
    "restart-controller",
    "second-controller",
    "ledger full",
    "ledger roomy",
    "clock-jump +1d",
    "clock-jump -1d",
    "fence-device {host} dead",
    "fence-device {host} refuses",
    "fence-device {host} fails",
    "fence-device {host} says-on",
    "fence-device {host} slow",
    "fence-device {host} ok",
    "write specs/web-2.yaml changes/bigger.yaml",
    "write specs/web-1.yaml changes/halted.yaml",
    "write specs/web-1.yaml changes/wrong.yaml",
    "write-half specs/web-1.yaml changes/back-1.yaml",
    "write specs/new.yaml changes/new.yaml",
    "remove specs/new.yaml",
    "remove specs/web-3.yaml",
    "write specs/web-3.yaml changes/back-3.yaml",
    "write specs/web-2.yaml changes/web-2-to-{host}.yaml",
    "write specs/web-2.yaml changes/web-2-to-{host}.yaml",
    "write specs/db.yaml changes/db-to-{host}.yaml",
    "write specs/hosts.yaml changes/drain-{host}.yaml",
    "write specs/hosts.yaml changes/drain-{host}.yaml",
    "write specs/hosts.yaml changes/back-hosts.yaml",
    "virsh-migrate {host} {vm} {other}",
    "migration-rate 20MiB",
    "migration-stalls web-2",
    "guest-restless db",
    "migration-switch 5s",
    "pause",
    "unpause",
)
_HEALING: Final = (
    "links-up",
    *(f"{verb} {host}" for host in _HOSTS for verb in ("resume", "fresh-read", "power-on")),
    *(f"slow {host} 0s" for host in _HOSTS),
    *(f"fence-device {host} ok" for host in _HOSTS),
    *(f"guest-sound {vm}" for vm in _VMS),
    "migration-rate 1GiB",
    "migration-flows web-2",
    "guest-calm db",
    "migration-switch 200ms",
    "ledger roomy",
    "unpause",
    "write specs/web-1.yaml changes/back-1.yaml",
    "write specs/web-2.yaml changes/back-2.yaml",
    "write specs/hosts.yaml changes/back-hosts.yaml",
)
_SHARING: Final = (
    "etcd down",
    "etcd up",
    "etcd-cut {controller}",
    "etcd-back {controller}",
    "etcd-lost-reply {controller}",
    "freeze-controller {controller} 4s",
    "freeze-controller {controller} 15s",
    "freeze-controller {controller} 60s",
    "stop-controller {controller}",
    "restart-controller {controller}",
    "crash-controller {controller}",
)
_SHARED_HEALING: Final = (
    "etcd up",
    *(f"{verb} {name}" for verb in ("etcd-back", "restart-controller") for name in _CONTROLLERS),
)
_SHARED_EVERY: Final = 5
"""Of so many schedules one is of two controllers that share a ledger."""
_LENGTH: Final = 120.0
_HEALED_AT: Final = 150.0
_ACCEPTED_AT: Final = 170.0
"""When somebody says that the specs are right: they may have been changed while nobody led."""


def commands_of(seed: int) -> list[tuple[float, str]]:
    """What happens in the schedule of `seed`: seconds and words, in order."""
    chance = random.Random(seed)  # noqa: S311  # a schedule, no secret
    number = chance.randint(2, 9)
    times = sorted(round(chance.uniform(0.0, _LENGTH), 1) for _ in range(number))
    drawn = [(at, _drawn(chance, is_shared=is_shared(seed))) for at in times]
    healing = (*_SHARED_HEALING, *_HEALING) if is_shared(seed) else _HEALING
    healed = [*drawn, *((_HEALED_AT, text) for text in healing)]
    return [*healed, (_ACCEPTED_AT, "accept-specs")] if is_shared(seed) else healed


def is_shared(seed: int) -> bool:
    """Whether the schedule is of two controllers."""
    return seed % _SHARED_EVERY == 0


def _drawn(chance: random.Random, *, is_shared: bool) -> str:
    templates = _SHARING if is_shared and chance.random() < 0.5 else _TEMPLATES
    return chance.choice(templates).format(
        controller=chance.choice(_CONTROLLERS) if is_shared else "",
        host=chance.choice(_HOSTS),
        other=chance.choice(_HOSTS),
        vm=chance.choice(_VMS),
        method=chance.choice(_METHODS),
        losable=chance.choice(_LOSABLE),
        n=chance.randint(1, 12),
    )


def schedule(seed: int) -> Scenario:
    """The scenario of `seed`; the same one every time."""
    events = tuple(Event(at, read_command(text, VERBS, _HOSTS)) for at, text in commands_of(seed))
    fleet = read_fleet(FOLDER / "fleet.yaml")
    fleet = fleet.model_copy(update={"controllers": len(_CONTROLLERS)}) if is_shared(seed) else fleet
    return Scenario(f"seed-{seed}", FOLDER, FOLDER / "specs", fleet, events)


def faults_of(seed: int) -> tuple[str, ...]:
    """What is wrong with how the schedule of `seed` goes; empty for one that goes well."""
    played = play(schedule(seed))
    return (*map(str, played.violations), *_silent_losses(played))


def _silent_losses(played: Played) -> list[str]:
    """VMs that should run, do not, and of which nothing is said."""
    status = played.end_state.partition("status\n")[2].partition("\nunmet\n")
    told = status[2]
    return [
        f"nothing is said of {line.split()[0]}, which does not run: {line.strip()}"
        for line in status[0].splitlines()
        if line.strip().startswith("VirtualMachine/")
        and "  running," not in line
        and "job" not in line
        and f"{line.split()[0]}  " not in told
    ]


def write_down(seed: int, faults: tuple[str, ...]) -> Path:
    """Keep a schedule that went wrong as a folder that `reconciler simulate` plays."""
    folder = FOUND / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"- {{at: {round(at * 1000)}ms, do: {text}}}\n" for at, text in commands_of(seed))
    (folder / "events.yaml").write_text(lines)
    fleet = (FOLDER / "fleet.yaml").read_text()
    shared = f"controllers: {len(_CONTROLLERS)}\n" if is_shared(seed) else ""
    (folder / "fleet.yaml").write_text(f"specs: ../../_random/specs\n{shared}{fleet}")
    if not (folder / "changes").exists():
        (folder / "changes").symlink_to("../../_random/changes")
    (folder / "README.md").write_text(f"# What seed {seed} found\n\n" + "".join(f"- {fault}\n" for fault in faults))
    return folder
