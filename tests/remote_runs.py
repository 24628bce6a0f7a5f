"""Runs on another engine, for tests: an installation that uses one, its runs, and statements that take long."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factories import link_copy
from patience import until
from whohas.engine import dialects
from whohas.engine.remote import RemoteName, TranslatedStatement
from whohas.engine.statement import Statement
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


SLOW_TASKS = 12
"""The tasks of a statement that takes long."""


def take_long(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Have Spark compute a sum of so many numbers for each row of a report, in tasks of some rows each.

    The rows remain those of the report: the sum is a further column, which is not read.
    """
    translate = dialects.translate

    def slow(statement: Statement, engine: RemoteName) -> TranslatedStatement:
        quick = translate(statement, engine)
        rows = f"SELECT /*+ REPARTITION({SLOW_TASKS}) */ * FROM (\n{quick.sql}\n)"
        effort = f"aggregate(sequence(0, {steps} + coalesce(length(c1), 0)), 0L, (sum, n) -> sum + n) AS effort"
        return replace(quick, sql=f"SELECT *, {effort} FROM ({rows})")

    monkeypatch.setattr(dialects, "translate", slow)
