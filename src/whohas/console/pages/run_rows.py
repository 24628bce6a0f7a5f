"""The rows of a run as a table that scrolls, sorts and filters.

The page writes one audit event, and its token lets the requests for rows that follow pass without another one.
"""

from __future__ import annotations

import secrets

import anyio
import anyio.to_thread
from markupsafe import Markup
from starlette.responses import JSONResponse, Response

from whohas.api.csrf import CsrfTokens
from whohas.api.requests import validate_run_id
from whohas.console import session
from whohas.console.pages.runs import PAGES as RUNS
from whohas.console.row_tables import MAX_PAGE, QUERIES_AT_ONCE, RowPage, RowRequest, RowTable, RowTables
from whohas.console.view import Pages, View
from whohas.errors import Forbidden, InvalidArguments, NotFound
from whohas.formats.base import Detail
from whohas.runs.models import Run
from whohas.runs.plans import RunPlan

PAGES = Pages(RUNS.link)

_FIRST = 30
"""The rows of the page itself: a window full of them, which browsers without scripts show in pages."""
_NUMBER = Markup(' class="number"')

_queries = anyio.CapacityLimiter(QUERIES_AT_ONCE)


@PAGES.get("/runs/{id}/rows", needs="getReport")
async def show_rows(view: View, id: str) -> Response:
    """Show the rows of a run, and write an audit event that the user looks at them."""
    return await anyio.to_thread.run_sync(_show_rows, view, id, limiter=_queries)


def _show_rows(view: View, id: str) -> Response:
    run = view.services.runs.get(validate_run_id(id), view.caller)
    plan = view.services.runs.record(run).plan
    detail = _detail(view, plan)
    tables = _tables(view, run, plan, detail)
    if not tables:
        return view.page("rows.html", run=run, table=None)
    part = _number(view, "part", 0)
    table = _chosen(tables, part)
    asked = _request(view, _FIRST)
    page = _rows(view).page(table, asked)
    view.record_look(lambda: view.services.runs.record_view(run, view.actor))
    return view.page(
        "rows.html",
        run=run,
        tables=tables,
        part=part,
        table=table,
        asked=asked,
        page=page,
        detail=detail,
        has_labels=plan is not None,
        alignments=[_NUMBER if column.is_number else "" for column in table.columns],
        number_of_page=asked.start // _FIRST + 1,
        pages=max(1, -(-page.total // _FIRST)),
        token=_token(view, run),
    )


@PAGES.get("/runs/{id}/rows/data", needs="getReport")
async def send_rows(view: View, id: str) -> Response:
    """Send a page of rows as JSON to the script of the table."""

    def read() -> RowPage:
        run = view.services.runs.get(validate_run_id(id), view.caller)
        _check_token(view, run)
        plan = view.services.runs.record(run).plan
        table = _chosen(_tables(view, run, plan, _detail(view, plan)), _number(view, "part", 0))
        return _rows(view).page(table, _request(view, MAX_PAGE))

    page = await anyio.to_thread.run_sync(read, limiter=_queries)
    body = {"total": page.total, "start": page.start, "rows": page.rows}
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


@PAGES.post("/runs/{id}/rows", needs="getReport")
def make_rows(view: View, id: str) -> Response:
    """Make a Parquet file of a run that has no file with rows, and show them."""
    view.services.runs.get_artifact(validate_run_id(id), "parquet", view.caller)
    return view.redirect(f"/console/runs/{id}/rows")


def _rows(view: View) -> RowTables:
    rows: RowTables = view.request.state.rows
    return rows


def _detail(view: View, plan: RunPlan | None) -> Detail:
    """Return which columns are shown: as the address says, or else as in the files of the run."""
    match view.query.get("detail") or ("complete" if plan is None else plan.options.detail):
        case "readable":
            return "readable"
        case "complete":
            return "complete"
        case other:
            raise InvalidArguments(f"The parameter detail must be readable or complete, not {other[:40]!r}.")


def _tables(view: View, run: Run, plan: RunPlan | None, detail: Detail) -> tuple[RowTable, ...]:
    if not run.state.is_over:
        raise NotFound(f"This run has not ended yet ({run.progress}). Its rows can be shown when it has.")
    if not run.state.has_rows:
        raise NotFound(f"This run ended without rows ({run.progress}). Run the report again.")
    return _rows(view).tables(run, () if plan is None else plan.parts, detail)


def _chosen(tables: tuple[RowTable, ...], part: int) -> RowTable:
    if not 0 <= part < len(tables):
        raise NotFound(
            f"This run has no part {part}: its parts are numbered from 0 to {len(tables) - 1}. Open the page of the "
            "run and choose one there."
        )
    return tables[part]


def _request(view: View, count: int) -> RowRequest:
    """Return the request for rows that the address has."""
    start = _number(view, "start", 0)
    if "page" in view.query:
        start = (max(1, _number(view, "page", 1)) - 1) * _FIRST
    return RowRequest(
        start=start,
        count=min(count, _number(view, "count", _FIRST)),
        sort=_number(view, "sort", 0) if view.query.get("sort") else None,
        descending=view.query.get("desc") == "1",
        text=view.query.get("text", "").strip(),
    )


def _number(view: View, name: str, default: int) -> int:
    text = view.query.get(name, "") or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise InvalidArguments(f"The parameter {name} must be a whole number, not {text[:40]!r}.")
    return int(text)


def _token(view: View, run: Run) -> str:
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_signature(view, run, nonce)}"


def _check_token(view: View, run: Run) -> None:
    nonce, _, sent = view.query.get("token", "").partition(".")
    if not secrets.compare_digest(_signature(view, run, nonce).encode(), sent.encode("utf-8", "replace")):
        raise Forbidden("The rows of this run were not opened in this session. Load its page again.")


def _signature(view: View, run: Run, nonce: str) -> str:
    fields = {"session": session.session_id(view.request), "rows": run.id}
    return CsrfTokens(view.services.access.secrets_key).token(nonce, fields)
