"""The reports: what each answers, and the form that starts a run of it."""

from __future__ import annotations

from starlette.responses import Response

from whohas.api.errors import request_context
from whohas.api.requests import validate_run_id
from whohas.console import report_form
from whohas.console.view import Link, Pages, View
from whohas.errors import InvalidArguments, NotFound, QuotaExceeded, Unavailable
from whohas.reports import Report, all_reports
from whohas.warehouse.catalog import read_catalog

PAGES = Pages(Link("Reports", "/console/reports", order=20))


@PAGES.get("/reports", needs="startReport")
def show_reports(view: View) -> Response:
    """Show all reports."""
    off = {type for type in all_reports() if view.services.runs.is_report_disabled(type)}
    return view.page("reports.html", reports=all_reports().values(), off=off)


@PAGES.get("/reports/{type}", needs="startReport")
def show_form(view: View, type: str) -> Response:
    """Show the form of a report, empty or with the arguments of an earlier run (`from`)."""
    report = _report(type)
    fields, files = _fields(view, report)
    values: dict[str, tuple[str, ...]] = {}
    if earlier := view.query.get("from"):
        run = view.services.runs.get(validate_run_id(earlier), view.caller)
        values = report_form.values_of_run(run, [*fields, *files])
    else:
        values = {name: tuple(view.query.getlist(name)) for name in view.query}
    return _form(view, report, fields, files, values)


@PAGES.post("/reports/{type}", needs="startReport")
def start_run(view: View, type: str) -> Response:
    """Start a run, and go to its page; show the form again with the error if an argument is wrong."""
    report = _report(type)
    fields, files = _fields(view, report)
    values = report_form.entered_values(view.form, [*fields, *files])
    try:
        arguments = report_form.request_arguments([*fields, *files], values)
        run = view.services.runs.start(
            report.type, arguments, view.caller.name, view.caller, request_context(view.request.scope), view.actor
        )
    except InvalidArguments as error:
        return _form(view, report, fields, files, values, error.message, 400)
    except QuotaExceeded as error:
        return _form(view, report, fields, files, values, error.message, 429)
    except Unavailable as error:
        return _form(view, report, fields, files, values, error.message, 503)
    return view.redirect(f"/console/runs/{run.id}")


def _report(type: str) -> Report:
    report = all_reports().get(type)
    if report is None:
        raise NotFound(f"There is no report {type[:100]!r}. The page Reports lists all.")
    return report


def _fields(view: View, report: Report) -> tuple[list[report_form.FormField], list[report_form.FormField]]:
    catalog = read_catalog(view.services.warehouse.snapshot())
    return report_form.report_fields(report, catalog, view.caller), report_form.file_fields(report)


def _form(
    view: View,
    report: Report,
    fields: list[report_form.FormField],
    files: list[report_form.FormField],
    values: dict[str, tuple[str, ...]],
    error: str = "",
    status: int = 200,
) -> Response:
    settings = view.services.settings
    return view.page(
        "report.html",
        status,
        report=report,
        fields=report_form.filled(fields, values, error),
        files=report_form.filled(files, values, error),
        error=error,
        is_at_field=bool(report_form.field_of_error([*fields, *files], error)),
        changed_files=any(field.name in values for field in files if field.name != "selectedFormats"),
        has_data=view.services.warehouse.snapshot().number > 0,
        zone=settings.time_zone,
    )
