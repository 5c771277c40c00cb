"""Metrics and health of one run of the daemon, put together and served."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from importlib import import_module
from typing import Final

import structlog

from reconciler.clock import Clock
from reconciler.config import Settings
from reconciler.daemon.metrics.health import Health
from reconciler.daemon.metrics.server import Hooks, Page, Pages, PageServer
from reconciler.daemon.metrics.telemetry import Telemetry
from reconciler.daemon.metrics.webhook import Webhook
from reconciler.daemon.notifications.notifier import Notifier, Send
from reconciler.daemon.onlookers import Onlooker, Onlookers
from reconciler.errors import ExposedListener, UsageError
from reconciler.hypervisor.interface import Fleet
from reconciler.ledger.store import Ledger

log = structlog.get_logger()

_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class LookingOn:
    """Who looks on for as long as the program runs, whether it leads or not."""

    def __init__(self, clock: Clock, *, on_news: Callable[[], None] | None = None) -> None:
        """`on_news` has the repository of specs asked at once, where there is one."""
        self._clock = clock
        self._on_news = on_news
        self._telemetry = Telemetry(clock)
        self._health = Health(clock)
        self.onlooker: Final = Onlookers(self._health, self._telemetry)

    def measured(self, fleet: Fleet) -> Fleet:
        """`fleet`, with each question to a host counted."""
        return self._telemetry.measured(fleet)

    def follow(self, ledger: Ledger) -> None:
        """Tell of this ledger from now on."""
        self._telemetry.follow(ledger.events, ledger.size)

    def page(self) -> bytes:
        """What Prometheus is told now."""
        return self._telemetry.page()

    @contextmanager
    def notifying(self, settings: Settings, ledger: Ledger) -> Iterator[Onlooker]:
        """Who looks on, and the one who tells receivers meanwhile, where there are any."""
        if not settings.notifications:
            yield self.onlooker
            return
        send: Send = import_module("reconciler.daemon.notifications.sending").send
        with closing(Notifier(settings.notifications, ledger, self._clock, send)) as notifier:
            notifier.start()
            yield Onlookers(self.onlooker, notifier)

    @contextmanager
    def served(self, settings: Settings) -> Iterator[None]:
        """Answer `metricsListen` meanwhile; raises ExposedListener and UsageError, see PageServer.

        That nobody asked for that address, and another program has it, is no reason not to look after the fleet.
        """
        if settings.metrics_listen is None:
            yield
            return
        is_asked_for = any(each.key == "metricsListen" and each.source != "default" for each in settings.origins)
        pages: Pages = {
            "/metrics": lambda: Page(self.page(), type=_METRICS_TYPE),
            "/healthz": functools.partial(_verdict, self._health.live),
            "/readyz": functools.partial(_verdict, self._health.ready),
        }
        try:
            server = PageServer(settings.metrics_listen, pages, settings.metrics_tls, hooks=self._hooks(settings))
        except ExposedListener:
            raise
        except UsageError as error:
            if is_asked_for:
                raise
            log.warning("metrics.not_served", detail=error.message, hint=error.hint)
            yield
            return
        with closing(server):
            address = settings.metrics_listen.rpartition(":")[0]
            log.info("metrics.served", listen=f"{address}:{server.port}")
            yield

    def _hooks(self, settings: Settings) -> Hooks:
        if settings.git is None or settings.git.webhook_secret is None or self._on_news is None:
            return {}
        return {"/webhook": Webhook(settings.git.webhook_secret, self._on_news)}


def _verdict(ask: Callable[[], tuple[bool, str]]) -> Page:
    is_well, sentence = ask()
    return Page(f"{sentence}\n".encode(), HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE)
