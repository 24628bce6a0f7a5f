"""Routes of runs that are not in the published API: list and read runs, their SQL and summary, and replay one.

They are mounted under the prefix of live updates (`whohas.api.routes.events`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from whohas.api import openapi
from whohas.api.dependencies import caller_of, services_of
from whohas.api.errors import json_response
from whohas.api.negotiation import prefers_media_type
from whohas.api.requests import BoolParameter, validate_run_id
from whohas.api.routes.tasks import MAX_PAGE_SIZE, Limit, Offset, task_status
from whohas.contract.runs import RunDetails
from whohas.engine.statement import ResultColumn
from whohas.execution.on_demand import ReplayResult
from whohas.formats.column_names import unique_column_names
from whohas.runs import listing, visibility
from whohas.runs.listing import ListRequest
from whohas.runs.models import Run
from whohas.runs.plans import RowsDigest, RowsRecord
from whohas.storage import EXTRACT
from whohas.warehouse.catalog import read_catalog

if TYPE_CHECKING:
    from whohas.services import Services

_JSON = "application/json"


router = APIRouter(tags=["Records"])


@router.get(
    "",
    **openapi.operation(
        "listRuns",
        summary="List runs, the newest first, with arguments, rows and files",
        responses={200: {"model": list[RunDetails], "description": "A page of runs."}},
    ),
)
def list_runs(
    request: Request,
    limit: Limit = MAX_PAGE_SIZE,
    offset: Offset = 0,
    filters: Annotated[str, Query(description=openapi.FILTERS)] = "",
    active: Annotated[BoolParameter, Query(description="Whether to list only runs that are not over.")] = False,
) -> Response:
    """Return a page of the runs that the caller may see and that match the filters."""
    services, visible = services_of(request), visibility.visible_to(caller_of(request))
    asked = ListRequest(filters, only_active=active, limit=limit, offset=offset)
    page = listing.list_page(services.database, asked, visible) if limit else []
    names = _source_names(services)
    return JSONResponse([run_details(run, names).model_dump(mode="json") for run in page])


@router.get(
    "/{id}",
    **openapi.operation(
        "getRun",
        summary="Get a run, with arguments, rows and files",
        responses={200: {"model": RunDetails, "description": "The current state of the run."}},
    ),
)
def get_run(request: Request, id: str) -> Response:
    """Return a run that the caller may see."""
    services = services_of(request)
    run = services.runs.get(validate_run_id(id), caller_of(request))
    return json_response(run_details(run, _source_names(services)))


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
                "planned the run, the engine with its version, and the digest of its rows.",
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
    ),
)
def replay_run(request: Request, id: str) -> Response:
    """Execute the statements of a run again, and return whether the rows are the same."""
    services = services_of(request)
    run = services.runs.get(validate_run_id(id), caller_of(request))
    return JSONResponse(replay_response(services.on_demand.replay(run)))


def run_details(run: Run, source_names: Mapping[str, str]) -> RunDetails:
    """Return a run as a response body.

    Args:
        source_names: the names of sources by their ids.
    """
    over = run.state.is_over
    task = task_status(run)
    if task.target is not None:
        name = source_names.get(task.target.id, task.target.name)
        task = task.model_copy(update={"target": task.target.model_copy(update={"name": name})})
    more = {
        "reportType": run.report_type,
        "state": run.state.value,
        "arguments": dict(run.arguments),
        "rows": run.rows if over else None,
        "duration": run.duration if over else None,
        "snapshot": run.snapshot,
        "files": [
            {"name": file.name, "format": file.format, "bytes": file.bytes, "sha256": file.sha256}
            for file in run.artefacts
            if file.format != EXTRACT
        ],
    }
    return RunDetails.model_validate({**task.model_dump(), **more})


def _source_names(services: Services) -> Mapping[str, str]:
    return {source.id: source.name for source in read_catalog(services.warehouse.snapshot()).sources}


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
        "engineVersion": record.engine or None,
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
        "engineThen": replay.stored_engine or None,
        "engineNow": replay.new_engine,
    }


def _digest(digest: RowsDigest | None) -> dict[str, Any] | None:
    return None if digest is None else digest.to_json()
