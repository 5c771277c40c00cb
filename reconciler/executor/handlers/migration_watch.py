"""A migration under way: how far it is, and what is done where it takes too long."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from reconciler.errors import HostError, PermanentHostError
from reconciler.executor.backoff import growing_delays
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.handlers.migration_words import LATE
from reconciler.hypervisor.interface import MigrationCall
from reconciler.model.ledger import Migration, MigrationProgress
from reconciler.model.migration import MigrationJob
from reconciler.model.quantities import format_duration

_LONGEST_PAUSE: Final = 1.0
_GLANCE: Final = 0.1
_RESTLESS: Final = 5.0
"""Seconds without less being left than ever before, after which a guest is one whose memory does not come to an end."""
_SILENCE: Final = 5.0
"""Seconds after which a source that does not answer is left to those who watch hosts: its VMs may need them."""


class Watch:
    """Looks at the job until it has ended, or nobody can tell; `call` is libvirt's answer where we have asked."""

    def __init__(self, move: Migration, context: ActionContext, call: MigrationCall | None) -> None:
        self._move: Final = move
        self._context: Final = context
        self._call: Final = call
        self._source: Final = context.host_named(move.source)
        self._begun: Final = context.clock.monotonic()
        self._heard = self._moved = self._begun
        self._done = -1
        self._left = move.progress.remaining if move.progress is not None else None
        self._deadline = move.step.rules.deadline
        self._least_at = self._begun
        self._is_paused = self._is_stopped = False
        self._may_switch = move.step.rules.post_copy
        self.verdict = ""
        """Why it was stopped, if we did."""
        self.hint = ""
        """What would help then."""
        self.is_switched = False
        """Whether its guest was seen to run at the target before all of its memory was there."""

    @property
    def error(self) -> HostError | None:
        """What libvirt said, where we had asked and it has ended."""
        return self._call.error if self._call is not None else None

    @property
    def is_answered(self) -> bool:
        """Whether we had asked, and the source has done with it."""
        return self._call is not None and self._call.is_answered

    def follow(self) -> None:
        """Return once the job has ended or its host is silent; raises HandedBack, which leaves it to go on."""
        for delay in growing_delays(0.1, _LONGEST_PAUSE):
            if self._is_over():
                return
            self._pause(delay)

    def _pause(self, seconds: float) -> None:
        """Wait before the next look at the job, or until libvirt has answered, which it costs nothing to see."""
        until = self._now + seconds
        while (left := until - self._now) > 0 and not (self._call is not None and self._call.ended):
            if self._context.clock.wait(self._context.stop, min(left, _GLANCE)):
                raise HandedBack

    def _is_over(self) -> bool:
        if self._call is not None and self._call.ended:
            return True
        try:
            job = self._source.migration_job(self._move.step.uuid)
        except HostError:
            return self._context.is_dead(self._move.source) or self._now - self._heard > _SILENCE
        self._heard = self._now
        if job is None:
            return self._call is None  # else libvirt is about to begin, or to answer
        self._tell(job)
        self._judge(job)
        return False

    @property
    def _now(self) -> float:
        return self._context.clock.monotonic()

    def _tell(self, job: MigrationJob) -> None:
        if job.done != self._done:
            self._done, self._moved = job.done, self._now
        if self._left is None or job.remaining < self._left:
            self._left, self._least_at = job.remaining, self._now
        left = self._left
        self._context.on_progress(max(0, job.total - left), job.total or None)
        progress = MigrationProgress(job.done, job.total, left, self._context.clock.now(), job.downtime)
        self._context.ledger.note_migration_progress(self._move.vm, progress)

    def _judge(self, job: MigrationJob) -> None:
        rules = self._move.step.rules
        self.is_switched = self.is_switched or job.is_switched
        if self._is_stopped or job.is_switched:
            return
        is_late = max(job.elapsed, self._now - self._begun) > self._deadline
        is_restless = job.passes > 1 and (is_late or self._now - self._least_at > _RESTLESS)
        if self._now - self._moved > rules.stall_after:
            between = f"look at the network between {self._move.source} and {self._move.target}"
            self._stop(f"nothing was sent for {format_duration(rules.stall_after)}", between)
        elif is_restless and self._may_switch:
            self._switch_over()
        elif is_late:
            if rules.fallback == "pause" and not self._is_paused:
                self._hold_the_guest()
            else:
                still = f", though its guest stood still for the last {format_duration(rules.deadline)}"
                late = f"it was not there within {format_duration(self._deadline)}"
                self._stop(late + (still if self._is_paused else ""), LATE)

    def _switch_over(self) -> None:
        """Run there it writes where its memory is; where that can't be, the fallback is next."""
        try:
            self._source.switch_to_post_copy(self._move.step.uuid)
        except PermanentHostError:
            self._may_switch = False
        except HostError:
            return  # asked again, unless the job says that it was heard

    def _hold_the_guest(self) -> None:
        """Standing still it writes nothing more; libvirt has it run on where it ends up."""
        self._is_paused = True
        self._deadline += self._move.step.rules.deadline
        with suppress(HostError):
            self._source.suspend_domain(self._move.step.uuid)

    def _stop(self, verdict: str, hint: str) -> None:
        self.verdict, self.hint = verdict, hint
        # Asked in vain: the job is looked at again, and where it goes on it is asked again.
        with suppress(HostError):
            self._source.abort_migration(self._move.step.uuid)
            self._is_stopped = True
