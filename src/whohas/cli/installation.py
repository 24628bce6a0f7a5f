"""This installation, opened for one command; nothing heavy is imported before it is asked for."""

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
    """Return the settings, and name on stderr each variable of the environment that looks like one and is none.

    Args:
        given: settings that the command line gives; None where it says nothing.
    """
    from whohas.variables import unknown_variables

    log_to_stderr()
    settings = _load(given)
    for text in unknown_variables(os.environ):
        print(f"whohas: warning: {text}", file=sys.stderr)
    return settings


def read_settings_of_server(**given: object) -> Settings:
    """The same for a server or worker, whose log is JSON from here on."""
    import structlog

    from whohas.logs import configure_logs
    from whohas.variables import unknown_variables

    settings = _load(given)
    configure_logs(settings.log_level)
    for text in unknown_variables(os.environ):
        structlog.get_logger("whohas.settings").warning("unknown setting", reason=text)
    return settings


def _load(given: Mapping[str, object]) -> Settings:
    from whohas.settings import load_settings

    return load_settings(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def installation(**given: object) -> Generator[Services]:
    """The services of the home folder that settings and environment name.

    Args:
        given: settings that the command line gives; None where it says nothing.
    """
    from whohas.services import open_services

    with open_services(read_settings(**given)) as services:
        yield services


def log_to_stderr() -> None:
    """Log to stderr: what a command prints on stdout is its result alone."""
    import structlog

    # the stream of each line's moment: one that is replaced, and then closed, would make later lines an error
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
