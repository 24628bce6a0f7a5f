"""Logging to stderr: lines for people on a terminal, one JSON object a line elsewhere; from whohas and from libraries.

A line for people: `14:05:09 [warning  ] permissions tightened  entries=1 home=/var/lib/whohas`. The setting
`log_format` chooses one of the forms whatever stderr is.

Servers and workers also log output that is not logged on purpose: Python warnings, uncaught exceptions of threads and
of the process, exceptions in destructors, log records that cannot be formatted, and everything that child processes
write to stderr.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any, cast

import structlog
from structlog.typing import EventDict, Processor

_LONGEST = 1 << 14
"""Maximum length of a line of a child process, in characters; the rest is cut off."""

log = structlog.get_logger("whohas.faults")


def is_for_people(format: str, stream: IO[str]) -> bool:
    """Return whether a log is written for people, not as JSON.

    Args:
        format: the setting `log_format`: `auto`, `text` or `json`.
        stream: where the log goes; a terminal decides for `auto`.
    """
    return format == "text" or (format == "auto" and stream.isatty())


def command_processors(format: str, stream: IO[str]) -> list[Processor]:
    """Return the processors by which a command logs; arguments as for `is_for_people`."""
    for_people = is_for_people(format, stream)
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _timestamp(for_people),
        structlog.processors.format_exc_info,
        _renderer(for_people, stream),
    ]


def _timestamp(for_people: bool) -> Processor:
    return structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people)


def _renderer(for_people: bool, stream: IO[str]) -> Processor:
    if for_people:
        return structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0)
    return structlog.processors.JSONRenderer(ensure_ascii=False)


class LogHandler(logging.StreamHandler[IO[str]]):
    """A log handler of servers and workers; a record that cannot be formatted becomes a line that says so.

    Attributes:
        for_people: whether lines are for people, not JSON.
    """

    def __init__(self, stream: IO[str], for_people: bool) -> None:
        super().__init__(stream)
        self.for_people = for_people
        self._render = _renderer(for_people, stream)

    def write_event(self, event: EventDict) -> None:
        """Write a line that is complete: the event of a child process, or a fault of the log itself."""
        if self.for_people:
            event["timestamp"] = _local_time(str(event.get("timestamp", "")))
        with suppress(OSError, ValueError):
            self.stream.write(f"{self._render(None, '', event)}{self.terminator}")
            self.flush()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        error = sys.exception()
        if isinstance(error, OSError):
            return  # stderr is closed or its disk is full, so nothing can be reported
        fields: EventDict = {
            "event": "a line of the log could not be written",
            "reason": repr(error)[:500],
            "logger": record.name,
            "text": repr(record.msg)[:500],
            "level": "error",
            "timestamp": datetime.now(UTC).isoformat(),
        }
        self.write_event(fields)


def _local_time(timestamp: str) -> str:
    """Return an ISO 8601 time as local time of the day; another text unchanged."""
    try:
        return f"{datetime.fromisoformat(timestamp).astimezone():%H:%M:%S}"
    except ValueError:
        return timestamp


def configure_logs(level: str, format: str = "auto") -> None:
    """Log to stderr: structlog, the loggers of the standard library, warnings and uncaught exceptions.

    Changes the logging configuration and the exception hooks of the whole process.

    Args:
        level: the lowest level to log: `debug`, `info`, `warning` or `error`. The loggers in `LOWEST_LEVELS` log
            nothing below the level that it gives them.
        format: the setting `log_format`: `text` for people, `json`, or `auto`, text on a terminal and JSON elsewhere.
    """
    for_people = is_for_people(format, sys.stderr)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _timestamp(for_people),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = LogHandler(sys.stderr, for_people)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(for_people, sys.stderr),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name, lowest in LOWEST_LEVELS.items():
        logging.getLogger(name).setLevel(max(lowest, root.level))
    logging.captureWarnings(True)
    sys.excepthook = _end_of_process
    threading.excepthook = _end_of_thread
    sys.unraisablehook = _unraisable


def is_logging() -> bool:
    """Return whether this process logs as servers and workers do, that is, whether `configure_logs` was called."""
    return _handler() is not None


def is_logging_json() -> bool:
    """Return whether this process logs as servers and workers do, and as JSON."""
    handler = _handler()
    return handler is not None and not handler.for_people


def _handler() -> LogHandler | None:
    return next((one for one in logging.getLogger().handlers if isinstance(one, LogHandler)), None)


def log_output(stream: IO[bytes]) -> None:
    """Log each line that child processes write to a pipe; return when all of them have closed it.

    Lines that are JSON objects already, the log of a child, are written as they are, or in the form for people.

    Args:
        stream: the reading end of the pipe; it is closed.
    """
    with stream:
        for line in stream:
            text = line.decode("utf-8", "replace").strip()
            if not text:
                continue
            event, handler = _object(text), _handler()
            if event is not None and handler is not None and handler.for_people:
                handler.write_event(event)
            elif event is not None:
                with suppress(OSError, ValueError):
                    sys.stderr.write(text + "\n")
                    sys.stderr.flush()
            else:
                log.warning("output of a child process", text=text[:_LONGEST])


def _object(text: str) -> dict[str, Any] | None:
    """Return a JSON object; None for any other text."""
    try:
        found: object = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _end_of_process(kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("internal fault", exc_info=error)


def _end_of_thread(fault: threading.ExceptHookArgs) -> None:
    if fault.exc_value is not None and not issubclass(fault.exc_type, SystemExit):
        name = fault.thread.name if fault.thread is not None else None
        log.error("a thread ended by a fault", thread=name, exc_info=fault.exc_value)


def _unraisable(fault: sys.UnraisableHookArgs) -> None:
    log.error(
        "a fault was passed over",
        where=f"{fault.err_msg or 'Exception ignored in'} {fault.object!r}"[:500],
        exc_info=fault.exc_value,
    )


LOWEST_LEVELS = {
    "uvicorn.access": logging.WARNING,
    "httpx2": logging.WARNING,
    "httpcore2": logging.WARNING,
}
"""Third-party loggers that are too noisy, and the level below which each logs nothing."""
