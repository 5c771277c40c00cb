"""When nobody is fenced: so many hosts are bad at once that the fault may well be ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from reconciler.model.health import HostHealth, HostState
from reconciler.model.host import Host
from reconciler.model.policy import HighAvailability

_BAD: Final[frozenset[HostState]] = frozenset({"suspect", "unreachable", "fencing", "fenced", "quarantined"})
_SMALL_FLEET: Final = 3


def brake(
    hosts: Mapping[str, Host], health: Mapping[str, HostHealth], reached: Collection[str], policy: HighAvailability
) -> str:
    """Why nobody is fenced now; empty where nothing speaks against it.

    `reached` are the hosts that answer. A host in maintenance is not counted: that it is off is no news.
    """
    if not reached:
        return "the controller reaches no host at all, so nobody is fenced"
    counted = [name for name, host in hosts.items() if not host.is_drained]
    bad = sum(_is_bad(name, health, reached) for name in counted)
    if len(counted) <= _SMALL_FLEET:
        return f"{bad} of {len(counted)} hosts are bad at once, so nobody is fenced" if bad > 1 else ""
    share = policy.max_bad_share
    if bad < share * len(counted):
        return ""
    return f"{bad} of {len(counted)} hosts are bad at once ({share:.0%} is the limit), so nobody is fenced"


def _is_bad(host: str, health: Mapping[str, HostHealth], reached: Collection[str]) -> bool:
    judged = health.get(host)
    return host not in reached if judged is None or judged.state == "unknown" else judged.state in _BAD
