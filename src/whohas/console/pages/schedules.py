"""Schedules: reports that start by themselves. The rights and the owners are those of the API's schedules."""

from __future__ import annotations

from zoneinfo import available_timezones

from starlette.responses import Response

from whohas.api.errors import request_context
from whohas.console import report_form
from whohas.console.view import Link, Pages, View
from whohas.errors import Conflict, InvalidArguments, NotFound, Unavailable
from whohas.reports import Report, all_reports
from whohas.warehouse.catalog import Catalog, read_catalog

PAGES = Pages(Link("Schedules", "/console/schedules", order=60, group="Administration"))

TIMES = (
    ("0 6 * * *", "every day at 6:00"),
    ("0 6 * * MON", "every Monday at 6:00"),
    ("0 6 1 * *", "on the first day of each month at 6:00"),
    ("0 6 1 1,4,7,10 *", "on the first day of each quarter at 6:00"),
)
"""Cron expressions to choose from, each with its meaning."""


@PAGES.get("/schedules", needs="everySchedule")
def show_schedules(view: View) -> Response:
    """Show the schedules that the user may see."""
    schedules = view.services.schedules.list(view.caller)
    return view.page("schedules.html", schedules=schedules, reports=all_reports(), meanings=dict(TIMES))


@PAGES.get("/schedules/new", needs="addSchedule")
def show_form(view: View) -> Response:
    """Show the choice of a report or, once it is chosen, the form of a new schedule."""
    if not view.query.get("report"):
        return view.page("schedule_new.html", report=None, reports=all_reports().values(), error="")
    return _form(view, _report(view.query["report"]))


@PAGES.post("/schedules", needs="addSchedule")
def add_schedule(view: View) -> Response:
    """Create a schedule; show the form again with the error if something is wrong."""
    report = _report(view.fields.get("schedule_report", ""))
    fields = [*report_form.report_fields(report, _catalog(view), view.caller), *report_form.file_fields(report)]
    values = report_form.entered_values(view.form, fields)
    try:
        made = view.services.schedules.add(
            view.fields.get("schedule_name", ""),
            report.type,
            report_form.request_arguments(fields, values),
            view.fields.get("schedule_cron", ""),
            view.fields.get("schedule_zone", "") or "UTC",
            view.caller.name,
            view.caller,
            view.actor,
        )
    except (InvalidArguments, Conflict, Unavailable) as error:
        status = 409 if isinstance(error, Conflict) else 503 if isinstance(error, Unavailable) else 400
        return _form(view, report, values, error.message, status)
    return view.redirect("/console/schedules", f"The schedule {made.name} was created.")


@PAGES.post("/schedules/{id}/run", needs="runSchedule")
def run_now(view: View, id: str) -> Response:
    """Start a run of a schedule now, and go to its page."""
    context = request_context(view.request.scope)
    run = view.services.schedules.start_now(id, view.caller, context, view.actor)
    return view.redirect(f"/console/runs/{run.id}")


@PAGES.post("/schedules/{id}/pause", needs="changeSchedule")
def pause(view: View, id: str) -> Response:
    """Pause a schedule."""
    changed = view.services.schedules.change(id, {"paused": True}, view.caller, view.actor)
    return view.redirect("/console/schedules", f"The schedule {changed.name} is paused.")


@PAGES.post("/schedules/{id}/resume", needs="changeSchedule")
def resume(view: View, id: str) -> Response:
    """Resume a paused schedule."""
    changed = view.services.schedules.change(id, {"paused": False}, view.caller, view.actor)
    return view.redirect("/console/schedules", f"The schedule {changed.name} runs again.")


@PAGES.post("/schedules/{id}/remove", needs="removeSchedule")
def remove(view: View, id: str) -> Response:
    """Remove a schedule; its runs stay."""
    removed = view.services.schedules.remove(id, view.caller, view.actor)
    return view.redirect("/console/schedules", f"The schedule {removed.name} was removed. Its runs are kept.")


def _report(type: str) -> Report:
    report = all_reports().get(type)
    if report is None:
        raise NotFound(f"There is no report {type[:100]!r}. The page Reports lists all.")
    return report


def _catalog(view: View) -> Catalog:
    return read_catalog(view.services.warehouse.snapshot())


def _form(
    view: View, report: Report, values: dict[str, tuple[str, ...]] | None = None, error: str = "", status: int = 200
) -> Response:
    fields = report_form.report_fields(report, _catalog(view), view.caller)
    files = report_form.file_fields(report)
    values = values or {name: tuple(view.query.getlist(name)) for name in view.query}
    place = "name" if "needs a name" in error or status == 409 else "zone" if "time zone" in error else ""
    return view.page(
        "schedule_new.html",
        status,
        report=report,
        fields=report_form.filled(fields, values, error),
        files=report_form.filled(files, values, error),
        error=error,
        place=place or ("cron" if error and not report_form.field_of_error([*fields, *files], error) else ""),
        times=TIMES,
        zones=sorted(zone for zone in available_timezones() if "/" in zone),
        zone=view.services.settings.time_zone,
    )
