"""This installation, opened for one command; nothing heavy is imported before it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whohas.services import Services


@contextmanager
def installation(**given: object) -> Generator[Services]:
    """The services of the home folder that settings and environment name.

    Args:
        given: settings that the command line gives; None where it says nothing.
    """
    import structlog

    from whohas.services import open_services
    from whohas.settings import load_settings

    # what a command prints on stdout is its result alone
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    told = {name: value for name, value in given.items() if value is not None}
    with open_services(load_settings(**told)) as services:
        yield services
