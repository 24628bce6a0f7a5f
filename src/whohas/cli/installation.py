"""Settings and services of this installation for commands; heavy modules are imported only when they are needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whohas.services import Services
    from whohas.settings import Settings


def read_settings(**given: object) -> Settings:
    """Read the settings for a command, and warn on stderr about unknown `WHOHAS_` variables. Logs go to stderr.

    Args:
        given: settings from options of the command line; None for options that were not given.

    Raises:
        InvalidArguments: a setting is wrong.
    """
    from whohas.unknown_settings import unknown_variables

    settings = _load(given)
    log_to_stderr(settings.log_format)
    for text in unknown_variables(os.environ):
        print(f"whohas: warning: {text}", file=sys.stderr)
    return settings


def read_server_settings(**given: object) -> Settings:
    """Read the settings for a server or worker, and configure its log; otherwise like `read_settings`."""
    import structlog

    from whohas.logs import configure_logs
    from whohas.unknown_settings import unknown_variables

    settings = _load(given)
    configure_logs(settings.log_level, settings.log_format)
    for text in unknown_variables(os.environ):
        structlog.get_logger("whohas.settings").warning("unknown setting", reason=text)
    return settings


def _load(given: Mapping[str, object]) -> Settings:
    from whohas.settings import load_settings

    return load_settings(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def open_installation(**given: object) -> Generator[Services]:
    """Open this installation, yield its services, and close it at the end of the context.

    Args:
        given: settings from options of the command line; None for options that were not given.
    """
    from whohas.services import open_services

    with open_services(read_settings(**given)) as services:
        yield services


def log_to_stderr(format: str = "auto") -> None:
    """Log to stderr, so that stdout contains only the result of a command.

    Args:
        format: the setting `log_format`.
    """
    import structlog

    from whohas.logs import command_processors

    # look up sys.stderr for each line: it may be replaced, and writing to the old, closed stream would fail
    structlog.configure(
        processors=command_processors(format, sys.stderr),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
