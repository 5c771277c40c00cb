"""Logs on standard error: for people in colour, for machines as JSON lines; event names are constant."""

from __future__ import annotations

import logging
import sys
from datetime import datetime

import structlog

from reconciler.cli.terminal import stderr_terminal
from reconciler.config import Settings


def configure_logs(settings: Settings, *, daemon: bool = False) -> None:
    """Send structlog's and the standard library's records to standard error, from the level the settings ask for.

    A command that a person started is quiet below warnings: its own output tells what happens.
    """
    level = _level(settings.verbosity, daemon=daemon)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True) if settings.log_format == "json" else _local_time,
        structlog.processors.StackInfoRenderer(),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings)],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _local_time(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Local time with its distance from UTC: logs of several hosts are read side by side."""
    event["timestamp"] = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return event


def _level(verbosity: int, *, daemon: bool) -> int:
    ordinary = logging.INFO if daemon else logging.WARNING
    return min(logging.ERROR, max(logging.DEBUG, ordinary - 10 * verbosity))


def _renderers(settings: Settings) -> list[structlog.typing.Processor]:
    # Locals stay out of tracebacks: a frame may hold a seed's secrets.
    if settings.log_format == "json":
        tracebacks = structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        )
        return [tracebacks, structlog.processors.JSONRenderer(ensure_ascii=False)]
    colour = stderr_terminal().colour
    return [structlog.dev.ConsoleRenderer(colors=colour, exception_formatter=structlog.dev.plain_traceback)]
