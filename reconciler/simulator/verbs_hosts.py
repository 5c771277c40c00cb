"""What happens to hosts, their links, disks and calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from reconciler.errors import HostBusy, HostFault, HostRefused, HostTimeout, NoSpace, ReconcilerError
from reconciler.hypervisor import simulated_storage as storage
from reconciler.simulator.command import Verb
from reconciler.simulator.stage import Stage

_FAILURES: Final[Mapping[str, Callable[[str], ReconcilerError]]] = {
    "busy": lambda host: HostBusy("cannot acquire state change lock", host=host),
    "fault": lambda host: HostFault("internal error: process exited while connecting to monitor", host=host),
    "no-space": lambda host: NoSpace("no space left on device", host=host),
    "refused": lambda host: HostRefused("unsupported configuration", host=host),
    "timeout": lambda host: HostTimeout("no answer within 10 s", host=host),
}


def _fail(stage: Stage, host: str, method: str, how: str) -> None:
    stage.fleet.fail_next(host, method, _FAILURES[how](host))


def _all(stage: Stage, act: Callable[[str], None]) -> None:
    for name in stage.fleet.world.hosts:
        act(name)


def _path(stage: Stage, host: str, pool: str) -> str:
    return storage.find(stage.fleet.world.hosts[host], pool).target


def _start_libvirtd(stage: Stage, host: str) -> None:
    stage.fleet.people(host).restart_libvirtd()
    stage.fleet.restore_network(host)


HOST_VERBS: Final = (
    Verb("power-cut HOST", "the power goes: its guests are dead", lambda stage, host: stage.fleet.power_off(host)),
    Verb("power-on HOST", "it boots; what is set to autostart runs", lambda stage, host: stage.fleet.power_on(host)),
    Verb("link-down HOST", "no packet reaches it; its guests run on", lambda stage, h: stage.fleet.cut_network(h)),
    Verb("link-up HOST", "it can be reached again", lambda stage, host: stage.fleet.restore_network(host)),
    Verb("links-down", "the controller is cut off from all hosts", lambda stage: _all(stage, stage.fleet.cut_network)),
    Verb("links-up", "and reaches them again", lambda stage: _all(stage, stage.fleet.restore_network)),
    Verb("hang HOST", "libvirtd takes calls and never answers", lambda stage, host: stage.fleet.hang(host)),
    Verb("resume HOST", "libvirtd answers again", lambda stage, host: stage.fleet.recover(host)),
    Verb(
        "slow HOST DURATION",
        "every call takes so long; 0s ends it",
        lambda stage, host, seconds: stage.fleet.slow_down(host, seconds),
    ),
    Verb("libvirtd-stop HOST", "no libvirtd; its guests run on", lambda stage, host: stage.fleet.cut_network(host)),
    Verb("libvirtd-start HOST", "libvirtd runs again", _start_libvirtd),
    Verb(
        "replace-machine HOST",
        "another machine, freshly installed, answers under the name",
        lambda stage, host: stage.fleet.replace_machine(host),
    ),
    Verb(
        "lose-reply HOST METHOD",
        "the next such call is applied, and its answer is lost",
        lambda stage, host, method: stage.fleet.lose_reply(host, method),
    ),
    Verb("fail HOST METHOD busy|fault|no-space|refused|timeout", "the next such call fails, not applied", _fail),
    Verb(
        "stale-read HOST", "reads tell what is true now, whatever happens", lambda s, host: s.fleet.freeze_reads(host)
    ),
    Verb("fresh-read HOST", "reads tell the truth again", lambda stage, host: stage.fleet.thaw_reads(host)),
    Verb(
        "disk-full HOST POOL",
        "no byte is left in the pool",
        lambda stage, host, pool: stage.fleet.fill_disk(host, _path(stage, host, pool)),
    ),
    Verb(
        "disk-freed HOST POOL",
        "there is room again",
        lambda stage, host, pool: stage.fleet.empty_disk(host, _path(stage, host, pool)),
    ),
)
