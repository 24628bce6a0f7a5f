"""The runs: the list, a run, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio.to_thread
from starlette.responses import Response

from whohas.api.downloads import artifact_response
from whohas.api.errors import request_context
from whohas.api.requests import validate_run_id
from whohas.console import rendering
from whohas.console.live import RunStream, time_left
from whohas.console.view import Link, Pages, View
from whohas.engine.summary import RowsSummary
from whohas.errors import InvalidArguments, NotFound
from whohas.formats.registry import find_format, formats
from whohas.formats.summary_markup import breakdown_content, figure_content
from whohas.reports import all_reports
from whohas.retention.service import LegalHold
from whohas.runs import listing, visibility
from whohas.runs.models import ACTIVE_STATES, Artifact, Run, RunState
from whohas.runs.plans import RowsRecord
from whohas.storage import EXTRACT

PAGES = Pages(Link("Runs", "/console/runs", order=30))

PAGE_SIZE = 50
_MAX_TEXT_LENGTH = 200
MAX_WATCHED = 100
"""The most runs of a list that are updated live."""

STATE_TEXTS = {
    RunState.QUEUED: "Queued",
    RunState.RUNNING: "Running",
    RunState.CANCELLING: "Being cancelled",
    RunState.SUCCEEDED: "Succeeded",
    RunState.WARNED: "With warnings",
    RunState.FAILED: "Failed",
    RunState.CANCELLED: "Cancelled",
}


@PAGES.get("/runs", needs="getTaskStatusList")
def show_runs(view: View) -> Response:
    """Show a page of the runs, filtered and sorted as the address says."""
    chosen = {name: view.query.get(name, "").strip() for name in ("report", "state", "launcher", "text")}
    if len(chosen["text"]) > _MAX_TEXT_LENGTH:
        raise InvalidArguments(f"The text to look for is longer than {_MAX_TEXT_LENGTH} characters. Shorten it.")
    order = view.query.get("order", "-created")
    page = _page_number(view.query.get("page", "1"))
    filters = _filters(chosen)
    seen = visibility.visible_to(view.caller)
    database = view.services.database
    asked = listing.ListRequest(
        filters=filters, text=chosen["text"], order=order, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE
    )
    runs = listing.list_page(database, asked, seen)
    total = listing.count_all(database, asked, seen)
    watched = [run.id for run in runs if not run.state.is_over][:MAX_WATCHED]
    return view.page(
        "runs.html",
        runs=runs,
        total=total,
        number_of_page=page,
        pages=max(1, -(-total // PAGE_SIZE)),
        chosen=chosen,
        is_filtered=any(chosen.values()),
        order=order,
        reports=all_reports().values(),
        states=STATE_TEXTS,
        watched=",".join(watched),
        held=_held(view),
        time_left=time_left,
    )


@PAGES.get("/runs/events", needs="watchRuns")
async def stream_runs(view: View) -> Response:
    """Send the rows of the list whose runs change (`ids`, separated by commas), until all of them are over."""
    ids = [validate_run_id(id) for id in view.query.get("ids", "").split(",") if id][:MAX_WATCHED]
    if not ids:
        raise InvalidArguments("The parameter ids is empty. It must be ids of runs, separated by commas.")

    def show(run: Run) -> str:
        return rendering.render("run_row.html", view=view, run=run, held=(), time_left=time_left, replaces=True)

    return RunStream(view, ids, show)


@PAGES.get("/runs/{id}", needs="getTaskStatus")
def show_run(view: View, id: str) -> Response:
    """Show a run: its state, files, messages, arguments and SQL."""
    run = view.services.runs.get(validate_run_id(id), view.caller)
    record = view.services.runs.record(run) if view.may("runStatement") else None
    return view.page(
        "run.html",
        record=record,
        loaded=_loaded(view, run),
        **_live(view, run),
    )


@PAGES.get("/runs/{id}/events", needs="watchRun")
async def stream_run(view: View, id: str) -> Response:
    """Send the state of a run whenever it changes, until it is over."""
    run = await anyio.to_thread.run_sync(view.services.runs.get, validate_run_id(id), view.caller)
    return RunStream(view, [run.id], lambda run: rendering.render("run_live.html", view=view, **_live(view, run)))


@PAGES.get("/runs/{id}/summary", needs="runSummary")
def show_summary(view: View, id: str) -> Response:
    """Show the summary of a run, after computing it if the run has none: a part of its page, or a page for browsers
    without scripts."""
    run = view.services.runs.get(validate_run_id(id), view.caller)
    summary = _summary_content(view.services.on_demand.summarize(run))
    if view.is_partial:
        return view.part("run_summary.html", run=run, summary=summary)
    return view.page("run_summary_page.html", run=run, summary=summary)


@PAGES.get("/runs/{id}/files/{format}", needs="getReport")
def download(view: View, id: str, format: str) -> Response:
    """Send a file of a run, after making it if it was not made with the run; write an audit event of it."""
    wanted = find_format(format)
    run, artefact = view.services.runs.get_artifact(validate_run_id(id), wanted.name, view.caller)
    view.request.state.download = (run.report_type, artefact.format)
    source = run.arguments.get("sourceName")
    name = f"{run.report_name} - {source}" if isinstance(source, str) and source else None
    return artifact_response(
        view.request, view.services, run, artefact, by=view.actor, is_audited=True, preferred_name=name
    )


@PAGES.post("/runs/{id}/cancel", needs="cancelReport")
def cancel(view: View, id: str) -> Response:
    """Cancel a run."""
    view.services.runs.cancel(validate_run_id(id), view.caller, view.actor)
    return view.redirect(f"/console/runs/{id}", "Cancelled.")


@PAGES.post("/runs/{id}/again", needs="startReport")
def run_again(view: View, id: str) -> Response:
    """Start a run of the same report with the same arguments over the newest data."""
    run = view.services.runs.get(validate_run_id(id), view.caller)
    started = view.services.runs.start(
        run.report_type,
        dict(run.arguments),
        view.caller.name,
        view.caller,
        request_context(view.request.scope),
        view.actor,
    )
    return view.redirect(f"/console/runs/{started.id}", "Started again, over the newest data.")


@PAGES.post("/runs/{id}/hold", needs="holdRun")
def hold(view: View, id: str) -> Response:
    """Put a run under legal hold, so that retention never removes it."""
    run = view.services.runs.get(validate_run_id(id), view.caller)
    view.services.retention.place_hold(run.id, view.caller.name, view.fields.get("reason", ""), view.actor)
    return view.redirect(f"/console/runs/{id}", "The run is held: its files are kept until it is released.")


@PAGES.post("/runs/{id}/release", needs="holdRun")
def release(view: View, id: str) -> Response:
    """End the legal hold of a run."""
    run = view.services.runs.get(validate_run_id(id), view.caller)
    view.services.retention.release_hold(run.id, view.actor)
    return view.redirect(f"/console/runs/{id}", "The run is released: its files are kept as those of other runs.")


def listed_files(run: Run) -> list[Artifact]:
    """Return the files of a run that can be downloaded, in the order of the formats."""
    order = list(formats())
    files = [file for file in run.artefacts if file.format != EXTRACT]
    return sorted(files, key=lambda file: order.index(file.format) if file.format in order else len(order))


def _live(view: View, run: Run) -> dict[str, Any]:
    """Return the variables of the part of a run's page that changes while it runs."""
    files = listed_files(run)
    made = {file.format for file in files}
    may_summarize = run.state.has_rows and view.may("runSummary")
    record = view.services.runs.record(run) if may_summarize else RowsRecord()
    return {
        "run": run,
        "summary": None if record.summary is None else _summary_content(record.summary),
        "can_summarize": record.plan is not None,
        "files": files,
        "other_formats": [format for format in formats() if format not in made] if files else [],
        "time_left": time_left(run),
        "hold": _hold(view, run.id),
        "is_active": run.state in ACTIVE_STATES,
        "has_rows": bool(files) and view.may("getReport"),
    }


def _summary_content(parts: Sequence[RowsSummary]) -> list[dict[str, Any]]:
    """Return what the template of summaries needs of each part of a run."""
    return [
        {
            "name": part.part,
            "rows": part.rows,
            "figures": [figure_content(figure) for figure in part.figures],
            "breakdowns": [
                breakdown_content(breakdown, f"chart-{number}-{place}")
                for place, breakdown in enumerate(part.breakdowns, 1)
            ],
        }
        for number, part in enumerate(parts, 1)
    ]


def _hold(view: View, run_id: str) -> LegalHold | None:
    return next((held for held in view.services.retention.list_holds() if held.run_id == run_id), None)


def _held(view: View) -> Sequence[str]:
    return [held.run_id for held in view.services.retention.list_holds()]


def _loaded(view: View, run: Run) -> object:
    try:
        return view.services.warehouse.snapshot(run.snapshot).loaded
    except NotFound:  # it was vacuumed
        return None


def _filters(chosen: dict[str, str]) -> str:
    """Return the filter of the API for what was chosen; `listing` checks the values."""
    names = {"report": "type", "state": "state", "launcher": "launcher"}
    parts = [
        f'{names[name]} eq "{value.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"'
        for name, value in chosen.items()
        if value and name in names
    ]
    return " and ".join(parts)


def _page_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise InvalidArguments(f"The page must be a number from 1 on, not {text[:40]!r}.")
    return int(text)
