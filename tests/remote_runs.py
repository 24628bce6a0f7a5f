"""Runs on another engine, for tests: an installation that uses one, and its runs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from factories import link_copy
from patience import until
from whohas.execution.processes import ForkServer
from whohas.runs.models import Run
from whohas.services import Services, open_services
from whohas.settings import Settings


@contextmanager
def installation(source: Path, home: Path, fork_server: ForkServer, **settings: Any) -> Generator[Services]:
    """An installation with the tables of the home folder `source`, and no worker."""
    home.mkdir()
    link_copy(source / "warehouse", home)
    with open_services(Settings(home=home, **settings)) as opened:
        opened.on_demand.children.fork_server = fork_server
        yield opened


def over(services: Services, report: str, **arguments: Any) -> Run:
    """A run that has ended."""
    return ended(services, services.runs.start(report, arguments, "ann"))


def ended(services: Services, run: Run) -> Run:
    """A run, once it has ended."""
    with services.runs.working():
        return until(lambda: now if (now := services.runs.get(run.id)).state.is_over else None) or run


def content(services: Services, run: Run, format: str) -> bytes:
    _, file = services.runs.get_artifact(run.id, format)
    return services.runs.path(run, file).read_bytes()


def exchanged(services: Services) -> list[Path]:
    """What is left in the folder between whohas and the engine."""
    return list(services.settings.exchange_path.glob("*"))
