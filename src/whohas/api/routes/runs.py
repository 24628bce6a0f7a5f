"""Routes for the SQL and the summary of a run, and for replaying a run to verify its rows; not in the published API.

They are mounted under the prefix of live updates (`whohas.api.routes.events`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from whohas.api import openapi
from whohas.api.dependencies import caller_of, services_of
from whohas.api.negotiation import prefers_media_type
from whohas.api.requests import validate_run_id
from whohas.engine.statement import ResultColumn
from whohas.execution.on_demand import ReplayResult
from whohas.formats.column_names import unique_column_names
from whohas.runs.models import Run
from whohas.runs.plans import RowsDigest, RowsRecord

_JSON = "application/json"


router = APIRouter(tags=["Records"])


@router.get(
    "/{id}/statement",
    response_class=Response,
    **openapi.operation(
        "runStatement",
        summary="The SQL statement that a run executed",
        responses={
            200: {
                "description": "SQL with its parameters inserted, which DuckDB executes as printed; with `Accept: "
                "application/json` each statement with its parameters, columns (their names in typed files and "
                "their types) and its translation where another engine executed it, the snapshot, the version that "
                "planned the run, the engine, and the digest of its rows.",
                "content": {"text/plain": {}, _JSON: {}},
            }
        },
    ),
)
def get_statement(request: Request, id: str) -> Response:
    """Return the SQL of a run as text, or as JSON with its parameters if the caller prefers that."""
    runs = services_of(request).runs
    run = runs.get(validate_run_id(id), caller_of(request))
    record = runs.record(run)
    headers = {"Vary": "Accept"}
    if prefers_media_type(", ".join(request.headers.getlist("accept")), wanted=_JSON, usual="text/plain"):
        return JSONResponse(statement_response(run, record), headers=headers)
    return PlainTextResponse(f"{record.runnable_sql}\n", headers=headers)


@router.get(
    "/{id}/summary",
    **openapi.operation(
        "runSummary",
        summary="The summary of the rows of a run: key figures and breakdowns",
        responses={
            200: {
                "description": "For each part of the run the number of its rows, key figures (`of` is the number of "
                "which a figure is a share, or null) and breakdowns. Computed when it is first asked for, unless the "
                "run made a file for people.",
                "content": {_JSON: {}},
            }
        },
    ),
)
def get_summary(request: Request, id: str) -> Response:
    """Return the summary of a run that is over."""
    services = services_of(request)
    run = services.runs.get(validate_run_id(id), caller_of(request))
    parts = services.on_demand.summarize(run)
    return JSONResponse({"id": run.id, "parts": [part.to_json() for part in parts]})


@router.post(
    "/{id}/replay",
    **openapi.operation(
        "replayRun",
        summary="Execute the statements of a run again on its snapshot, and compare the rows",
        responses={
            200: {
                "description": "`same` says whether the rows are equal; it is null if that is unknown: see `reason`.",
                "content": {_JSON: {}},
            }
        },
        levels=False,
    ),
)
def replay_run(request: Request, id: str) -> Response:
    """Execute the statements of a run again, and return whether the rows are the same."""
    services = services_of(request)
    run = services.runs.get(validate_run_id(id), caller_of(request))
    return JSONResponse(replay_response(services.on_demand.replay(run)))


def statement_response(run: Run, record: RowsRecord) -> dict[str, Any]:
    """Return the statements of a run, and the digest of its rows, as a response body."""
    plan = record.plan
    statements = (
        [
            {
                "name": part.name,
                "sql": part.statement.sql,
                "parameters": part.statement.parameters,
                "columns": _columns(part.statement.columns),
                "translated": translated.sql if translated else None,
            }
            for part, translated in zip_longest(plan.parts, plan.translated)
        ]
        if plan
        else [{"name": "", "sql": record.statement, "parameters": None, "columns": None, "translated": None}]
    )
    return {
        "id": run.id,
        "snapshot": run.snapshot,
        "planner": plan.planner if plan else None,
        "analyser": plan.analyser if plan else None,
        "engine": plan.engine if plan else "duckdb",
        "statements": statements,
        "digest": _digest(record.digest),
    }


def _columns(columns: Sequence[ResultColumn]) -> list[dict[str, str]]:
    """Return the name of each column in typed files (JSON, Parquet), and its type."""
    names = unique_column_names(columns)
    return [{"name": name, "type": column.type} for name, column in zip(names, columns, strict=True)]


def replay_response(replay: ReplayResult) -> dict[str, Any]:
    """Return the result of a replay as a response body."""
    return {
        "id": replay.run.id,
        "snapshot": replay.run.snapshot,
        "same": replay.is_same,
        "reason": replay.why_not_comparable or None,
        "then": _digest(replay.stored_digest),
        "now": _digest(replay.new_digest),
    }


def _digest(digest: RowsDigest | None) -> dict[str, Any] | None:
    return None if digest is None else digest.to_json()
