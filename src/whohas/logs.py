"""Logging of servers and workers: one JSON object a line on stderr, from whohas and from libraries.

This includes output that is not logged on purpose: Python warnings, uncaught exceptions of threads and of the process,
exceptions in destructors, log records that cannot be formatted, and everything that child processes write to stderr.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import IO

import structlog
from structlog.typing import Processor

_LONGEST = 1 << 14
"""Maximum length of a line of a child process, in characters; the rest is cut off."""

log = structlog.get_logger("whohas.faults")


class JsonHandler(logging.StreamHandler[IO[str]]):
    """A log handler that writes JSON lines; a record that cannot be formatted becomes a line that says so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        error = sys.exception()
        if isinstance(error, OSError):
            return  # stderr is closed or its disk is full, so nothing can be reported
        fields = {
            "event": "a line of the log could not be written",
            "reason": repr(error)[:500],
            "logger": record.name,
            "text": repr(record.msg)[:500],
            "level": "error",
            "timestamp": datetime.now(UTC).isoformat(),
        }
        with suppress(OSError, ValueError):
            self.stream.write(json.dumps(fields) + self.terminator)
            self.flush()


def configure_logs(level: str) -> None:
    """Log as JSON to stderr: structlog, the loggers of the standard library, warnings and uncaught exceptions.

    Changes the logging configuration and the exception hooks of the whole process.

    Args:
        level: the lowest level to log: `debug`, `info`, `warning` or `error`. The loggers in `LOWEST_LEVELS` log
            nothing below the level that it gives them.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = JsonHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
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


def is_logging_json() -> bool:
    """Return whether this process logs JSON, that is, whether `configure_logs` was called (servers and workers)."""
    return any(isinstance(handler, JsonHandler) for handler in logging.getLogger().handlers)


def log_output(stream: IO[bytes]) -> None:
    """Log each line that child processes write to a pipe; return when all of them have closed it.

    Lines that are JSON objects already are written to stderr unchanged.

    Args:
        stream: the reading end of the pipe; it is closed.
    """
    with stream:
        for line in stream:
            text = line.decode("utf-8", "replace").strip()
            if not text:
                continue
            if _is_object(text):
                with suppress(OSError, ValueError):
                    sys.stderr.write(text + "\n")
                    sys.stderr.flush()
            else:
                log.warning("output of a child process", text=text[:_LONGEST])


def _is_object(text: str) -> bool:
    try:
        return text.startswith("{") and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


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
