"""This installation, opened for one command; nothing heavy is imported before it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whohas.services import Services


@contextmanager
def installation(*, serving: bool = False, **given: object) -> Generator[Services]:
    """The services of the home folder that settings and environment name.

    Args:
        serving: whether it goes on until it is stopped: its log is JSON, and every file's permissions are looked at.
        given: settings that the command line gives; None where it says nothing.
    """
    from whohas.services import open_services
    from whohas.settings import load_settings

    log_to_stderr()
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    if serving:
        from whohas.http.logs import configure_logs

        configure_logs(settings.log_level)
    with open_services(settings, serving=serving) as services:
        yield services


def log_to_stderr() -> None:
    """Log to stderr: what a command prints on stdout is its result alone."""
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
