"""What `check` and `validate` say of fence devices, while there is time to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.cli.command_line import CommandLine
from reconciler.cli.preflight import Check
from reconciler.cli.words import count, moment
from reconciler.clock import SystemClock
from reconciler.fencing.agents import Agents
from reconciler.fencing.readiness import doubts
from reconciler.fencing.secrets import Credentials
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import FenceTest
from reconciler.model.host import Host
from reconciler.model.ledger import LedgerView
from reconciler.model.policy import HighAvailability


def fence_checks(
    hosts: Sequence[Host], ledger: LedgerView, policy: HighAvailability, credentials: Credentials, commands: CommandLine
) -> Iterator[Check]:
    """Whether each host could be fenced; none of a fleet that has no fence devices."""
    agents = Agents(policy, SystemClock())
    for host in hosts if any(host.spec.fencing for host in hosts) else ():
        if not host.spec.fencing:
            yield Check(
                "warn",
                host.name,
                "it has no fence device: its VMs would wait for a human's word that it is dead",
                "write `fencing` into its spec",
            )
            continue
        for doubt in doubts(host, agents, credentials):
            text = f"fencing {doubt.level.text}: {doubt.message}"
            yield Check("bad" if doubt.fatal else "warn", host.name, text, doubt.hint)
        yield _tested(host, ledger.fence_tests.get(host.name), commands.call("fence", "test", host.name))


def _tested(host: Host, test: FenceTest | None, command: str) -> Check:
    if test is None:
        return Check("warn", host.name, "its fence devices were never tested, so it would not be fenced", command)
    if test.devices != devices_hash(host):
        return Check("warn", host.name, "its fence devices are others than were tested, so they are not used", command)
    if not test.passed:
        return Check("bad", host.name, f"the last test of its fence devices failed: {test.message}", command)
    return Check("good", host.name, f"{count(len(host.spec.fencing), 'fence device')}, tested {moment(test.at)}")
