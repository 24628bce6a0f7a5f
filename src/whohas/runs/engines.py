"""The engine of a run: which one a request asks for, and how the run's child process reaches it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import structlog
from pydantic import SecretStr

from whohas.engine.remote import ENGINE_TITLES, EngineAddress, EngineName, RemoteName
from whohas.errors import InvalidArguments, Unavailable
from whohas.runs.models import Run
from whohas.runs.plans import RunPlan
from whohas.search.index import shared_index_prefix
from whohas.settings import Settings
from whohas.warehouse.store import Snapshot

log = structlog.get_logger("whohas.engines")

ENGINE_ARGUMENT: Final = "engine"
"""The argument, which every report accepts, that names the engine of a run."""

_SESSIONS: Final = uuid.UUID("5f0c9a52-3f7f-4c0e-9d3f-6f0a6a0e1c55")
"""The namespace of the ids of sessions."""


def parse_engine(arguments: Mapping[str, Any], settings: Settings) -> EngineName:
    """Return the engine that a request asks for in its argument `engine`, or else that of the settings.

    Raises:
        InvalidArguments: there is no such engine, or it is not set up on this server.
    """
    value = arguments.get(ENGINE_ARGUMENT)
    name = settings.engine if value in (None, "") else value
    name = name.lower() if isinstance(name, str) else name
    if name not in ENGINE_TITLES:
        *others, last = ENGINE_TITLES
        names = f"{', '.join(others)} or {last}"
        raise InvalidArguments(f"The argument engine must be {names}, not {str(value)[:60]!r}.")
    engine = cast("EngineName", name)
    if engine != "duckdb" and _url(engine, settings) is None:
        title = ENGINE_TITLES[engine]
        raise InvalidArguments(
            f"The argument engine is {engine}, and this server has no {title}. Set WHOHAS_{engine.upper()}_URL on it, "
            "or leave the argument out."
        )
    return engine


def _url(engine: RemoteName, settings: Settings) -> str | None:
    return settings.spark_url if engine == "spark" else settings.trino_url


def engine_address(engine: EngineName, run: Run, settings: Settings) -> EngineAddress | None:
    """Return how the child process of an attempt at a run reaches its engine; None for DuckDB.

    Raises:
        Unavailable: this worker has no address of the engine, unlike the server that accepted the run.
    """
    if engine == "duckdb":
        return None
    url = _url(engine, settings)
    if url is None:
        raise Unavailable(
            f"This run is to be executed on {ENGINE_TITLES[engine]}, and this worker has no address of it. Set "
            f"WHOHAS_{engine.upper()}_URL on all workers, and start the report again."
        )
    is_trino = engine == "trino"
    return EngineAddress(
        engine=engine,
        url=url,
        token=_secret(settings.trino_token if is_trino else settings.spark_token),
        session=_session(run, run.attempt),
        lost=_session(run, run.attempt - 1) if run.attempt > 1 else "",
        folder=str(_folder(settings, run.id, run.attempt)),
        password=_secret(settings.trino_password if is_trino else None),
        files=settings.trino_files if is_trino else "",
    )


def _secret(setting: SecretStr | None) -> str:
    return setting.get_secret_value() if setting is not None else ""


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """Where an engine on other machines finds the files of a snapshot.

    Attributes:
        root: the folder of the warehouse, or its address in an object store, such as `s3://acme-identity/whohas`.
        index: the prefix of the search index below that address; empty for a folder.
    """

    root: str
    index: str = ""


def engine_files(plan: RunPlan, snapshot: Snapshot) -> EngineFiles | None:
    """Return where the engine of a plan finds the files of its snapshot; None for DuckDB.

    The search index must have been built.
    """
    if plan.engine == "duckdb":
        return None
    if snapshot.remote is None:
        return EngineFiles(str(snapshot.root))
    return EngineFiles(str(snapshot.remote.store.address), shared_index_prefix(snapshot) if plan.views else "")


def remove_exchanged(settings: Settings, run_id: str, attempt: int) -> None:
    """Remove the rows that engines wrote for an attempt at a run, and for those before it. Failures are logged."""
    for number in range(1, attempt + 1):
        folder = _folder(settings, run_id, number)
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("rows of an engine not removed", run_id=run_id, folder=str(folder), reason=str(error))


def _folder(settings: Settings, run_id: str, attempt: int) -> Path:
    return settings.exchange_path / f"{run_id}-{attempt}"


def _session(run: Run, attempt: int) -> str:
    return str(uuid.uuid5(_SESSIONS, f"{run.id}-{attempt}"))
