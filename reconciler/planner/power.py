"""Whether a VM that is there is on, off, or to be restarted."""

from __future__ import annotations

from typing import Final

from reconciler.model.domain import DomainConfig
from reconciler.model.live_edit import Plug, Replug
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import FieldChange, Why
from reconciler.model.steps import EditLive, StartDomain
from reconciler.planner import cold_moves
from reconciler.planner.collisions import report_disk_collision
from reconciler.planner.guest_liveness import silence_of
from reconciler.planner.live_changes import plan_live
from reconciler.planner.one_copy import OneCopy
from reconciler.planner.restarts import ended_by_itself, how_it_ended, why_not_yet
from reconciler.planner.shutdowns import shut_down
from reconciler.planner.vm_diff import diff
from reconciler.planner.vm_domain import spec_hash

_PASSING: Final = frozenset({"starting-up", "migration", "save", "dump", "from-snapshot", "snapshot", "shutting-down"})
"""Reasons of being paused that end by themselves."""
_PAUSED_BY: Final = {"ioerror": "by an I/O error", "watchdog": "by its watchdog", "crashed": "after it crashed"}
_FAILED: Final = frozenset({"crashed", "failed", "daemon"})
"""Reasons of being off after which RerunOnFailure runs the VM again; `daemon` is a QEMU that libvirtd gave up on."""
_FORGOTTEN: Final = frozenset({"unknown", ""})
"""Reasons of a VM that never ran, and of all that are off once libvirtd was restarted."""


class Power(OneCopy, frozen=True):
    """Plans whether the one copy of `vm` is on."""

    def converge(self, config: DomainConfig, after: tuple[str, ...]) -> None:
        """Start it, stop it, or say why neither; `after` are actions that make it right for its next boot."""
        state = self.copy.domain.state
        wanted = self.vm.spec.run_strategy
        if state == "shutdown":
            self.draft.wait(self.target, "shutting-down", "the guest is shutting down", host=self.copy.host)
        elif wanted == "Halted":
            if self.copy.domain.active:
                self._stop(after)
        elif self.copy.domain.active:
            self._report_silence()
            self._while_running(config, after)
        elif self._should_start():
            self._start_if_it_may(config, after)

    def is_to_run(self) -> bool:
        """Whether it is wanted on, wherever it is; asked of what is off."""
        strategy, domain = self.vm.spec.run_strategy, self.copy.domain
        restored = self.world.ledger.restores.get(self.vm.name)
        if restored is not None and restored.starts:
            return strategy != "Halted"  # it was stopped for that alone
        if strategy == "Always" or self._start_failed():
            return strategy != "Halted"
        is_over = domain.state == "crashed" or domain.reason in _FAILED or self._is_yet_to_run()
        return strategy == "RerunOnFailure" and is_over

    def how_it_went_off(self) -> str:
        """As in `; somebody had forced it off`; empty where that is nothing to be told."""
        if self._start_failed() or self._is_yet_to_run():
            return ""
        domain = self.copy.domain
        ended: Why = "drift" if domain.reason == "destroyed" else "ended" if ended_by_itself(domain) else "run-strategy"
        return self._what_was_before(ended)

    def _should_start(self) -> bool:
        if self._is_drained() and not self._was_to_be_moved():
            return False
        if self.is_to_run():
            return True
        if self.vm.spec.run_strategy == "RerunOnFailure" and self.copy.domain.reason in _FORGOTTEN:
            self._report_unknown_end()
        return False

    def _was_to_be_moved(self) -> bool:
        """Whether it is off but for its move: if no host takes it after all, it runs on where it is."""
        is_fine_off = self.vm.spec.placement.on_drain == "shutdown"
        return not is_fine_off and cold_moves.is_due(self.world, self.vm, self.copy)

    def _start_if_it_may(self, config: DomainConfig, after: tuple[str, ...]) -> None:
        why = self._why_it_is_off(config)
        if why == "ended":
            restarts = self.world.ledger.restarts.get(self.vm.name, ())
            wait = why_not_yet(
                self.target, self.copy.host, self.copy.domain, restarts, self.world.policy.ha, self.world.now
            )
            if wait is not None:
                self.draft.unmet.append(wait)
                return
        if self._can_start(config):
            self._start(after, why=why)

    def _why_it_is_off(self, config: DomainConfig) -> Why:
        """`ended` is what counts towards a crash loop; a VM that was changed since is tried at once."""
        domain = self.copy.domain
        if self._start_failed() or self._is_yet_to_run() or diff(config, domain.config):
            return "run-strategy"
        if ended_by_itself(domain):
            return "ended"
        return "drift" if domain.reason == "destroyed" else "run-strategy"

    def _start_failed(self) -> bool:
        """Whether we wanted it on and could not have it; where that was cut off, only if nothing says that it ran."""
        failure = self.world.ledger.failures.get(f"start-domain:{self.target}@{self.copy.host}")
        return failure is not None and (failure.attempts > 0 or self.copy.domain.reason in _FORGOTTEN)

    def _is_yet_to_run(self) -> bool:
        """Whether it was never started, or stopped by us to be started again, and we were cut off in between."""
        placement = self.world.ledger.placements.get(self.vm.name)
        return placement is not None and not placement.ran

    def _report_unknown_end(self) -> None:
        """What ran is not run again unless it surely failed: work that was finished must not be done twice."""
        self.draft.wait(
            self.target,
            "end-unknown",
            "it is off, and libvirt no longer knows whether it failed; RerunOnFailure starts it only if it did",
            severity="info",
            host=self.copy.host,
            hint=f"virsh -c {self._uri()} start {self.vm.name}",
        )

    def _can_start(self, config: DomainConfig) -> bool:
        """Whether the host has what the VM is plugged into, and nobody else writes to its disks."""
        for nic in config.nics:
            is_bridge = nic.network.startswith("bridge:")
            if not is_bridge and (nic.network, self.copy.host) not in self.facilities.networks:
                key = ("Network", nic.network, self.copy.host)
                trouble = self.facilities.trouble.get(key, "the specs don't give it one")
                self.draft.wait(
                    self.target,
                    "network-unavailable",
                    f"network {nic.network} on {self.copy.host}: {trouble}",
                    severity="blocked",
                    host=self.copy.host,
                    hint=NextCommand("why", f"Network/{nic.network}"),
                )
                return False
        return not report_disk_collision(self.world, self.draft, self.vm, config, self.copy.host)

    def _report_silence(self) -> None:
        silence = silence_of(self.world, self.vm, self.copy.host) if self.copy.domain.state == "running" else None
        if silence is not None:
            self.draft.unmet.append(silence)

    def _while_running(self, config: DomainConfig, after: tuple[str, ...]) -> None:
        if self.copy.domain.reason in _PASSING:
            self.draft.wait(
                self.target,
                "in-progress",
                f"paused while libvirt does its work ({self.copy.domain.reason})",
                host=self.copy.host,
            )
            return
        if self.copy.domain.state == "paused":
            why = _PAUSED_BY.get(self.copy.domain.reason, "by somebody")
            self.draft.wait(
                self.target,
                "guest-paused",
                f"the guest is paused {why}; it is not resumed blindly",
                severity="blocked",
                host=self.copy.host,
                hint=f"virsh -c {self._uri()} resume {self.vm.name}",
            )
            return
        pending = self._edit_live(config, after)
        if not pending:
            return
        if self._may_restart():
            if self._can_start(config):
                stop = self._stop(after, changes=pending, restart=True)
                self._start((stop,), why="spec-change")
            return
        self.draft.wait(
            self.target,
            "restart-pending",
            "staged; takes effect when the guest stops and is started again",
            host=self.copy.host,
            hint="updatePolicy: restart lets the controller do it, or shut the guest down from inside",
            changes=pending,
        )

    def _stop(self, after: tuple[str, ...], *, changes: tuple[FieldChange, ...] = (), restart: bool = False) -> str:
        return self.draft.act(
            shut_down(self.world, self.vm, self.copy.domain),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why="spec-change" if restart else "run-strategy",
            detail="shut down for a restart" if restart else "shut down",
            disruption="reboot",
            changes=changes or (FieldChange("state", self.copy.domain.state, "shutoff", "reboot"),),
            after=after,
        )

    def _start(self, after: tuple[str, ...], *, why: Why) -> None:
        restart = why == "spec-change"
        self.draft.act(
            StartDomain(domain=self.vm.name, uuid=self.copy.domain.uuid),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why=why,
            detail=f"start{self._what_was_before(why)}",
            disruption="reboot" if restart else "none",
            changes=() if restart else (FieldChange("state", self.copy.domain.state, "running", "none"),),
            after=after,
        )

    def _what_was_before(self, why: Why) -> str:
        if why == "drift":
            return "; somebody had forced it off"
        if why != "ended":
            return ""
        restarts = self.world.ledger.restarts.get(self.vm.name, ())
        return f"; {how_it_ended(self.copy.domain, restarts, self.world.policy.ha, self.world.now)}"

    def _may_restart(self) -> bool:
        return self.vm.spec.update_policy == "restart" and not self._is_drained()

    def _is_drained(self) -> bool:
        """Whether its host is to be emptied, and it may go: then nothing is started there that is off."""
        return self.world.desired.hosts[self.copy.host].is_drained and self.vm.spec.placement.on_drain != "block"

    def _edit_live(self, config: DomainConfig, after: tuple[str, ...]) -> tuple[FieldChange, ...]:
        """Change the running guest as far as that goes; return what is left for its next boot."""
        live = self.copy.domain.live
        if live is None:
            return ()
        planned = plan_live(config, live, self.vm.spec.update_policy)
        if any(isinstance(change.edit, Plug | Replug) for change in planned.changes) and not self._can_start(config):
            return ()
        acts: dict[str, str] = {}
        for change in planned.changes:
            acts[change.part] = self.draft.act(
                EditLive(domain=self.vm.name, uuid=self.copy.domain.uuid, edit=change.edit),
                target=self.target,
                host=self.copy.host,
                sign="change",
                why=self._why_edited(config),
                detail=change.detail,
                disruption="live",
                changes=change.changes,
                after=(*after, acts[change.after]) if change.after else after,
                part=change.part,
            )
        return planned.pending

    def _why_edited(self, config: DomainConfig) -> Why:
        """As for the definition: the mark says what was applied."""
        return "drift" if self.copy.mark.spec_hash == spec_hash(config) else "spec-change"

    def _uri(self) -> str:
        return self.world.desired.hosts[self.copy.host].spec.uri
