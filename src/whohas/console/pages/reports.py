"""The reports: what each answers, and the form that starts a run of it or creates a schedule for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from whohas.api.errors import request_context
from whohas.api.requests import validate_run_id
from whohas.console import report_form
from whohas.console.report_columns import column_options
from whohas.console.report_form import FormField
from whohas.console.report_preview import Preview, preview_search
from whohas.console.schedule_form import add_schedule, schedule_context
from whohas.console.view import Link, Pages, View
from whohas.errors import Conflict, InvalidArguments, NotFound, QuotaExceeded, Unavailable, WhohasError
from whohas.reports import Report, all_reports
from whohas.warehouse.catalog import read_catalog

PAGES = Pages(Link("Reports", "/console/reports", order=20))

_DEFAULT_INDEX = "identities"
"""The index that a new form of SEARCH_EXPORT has ticked, as the search page does; without any, all are searched."""
_STATUS_CODES: Mapping[type[WhohasError], int] = {Conflict: 409, QuotaExceeded: 429, Unavailable: 503}


@dataclass(frozen=True, slots=True)
class _Form:
    """The form of a report as a request has it.

    Attributes:
        view: the request.
        report: the report.
        fields: the fields of its arguments.
        files: the fields of the arguments on files.
        values: what was entered.
    """

    view: View
    report: Report
    fields: list[FormField]
    files: list[FormField]
    values: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the request that the form stands for.

        Raises:
            InvalidArguments: a field is malformed.
        """
        return report_form.request_arguments([*self.fields, *self.files], self.values)

    @property
    def report_arguments(self) -> dict[str, Any]:
        """The arguments of the report itself, without those on files; an InvalidArguments is raised as above."""
        return report_form.request_arguments(self.fields, self.values)

    def page(
        self, error: str = "", status: int = 200, *, preview: Preview | None = None, wants_schedule: bool = False
    ) -> Response:
        """Return the page with the form.

        Args:
            error: the message of an error; empty for none.
            status: the status code.
            preview: what the query finds; None where that was not asked.
            wants_schedule: whether a schedule was to be created, or its fields are to be open.
        """
        every = [*self.fields, *self.files]
        is_at_field = bool(report_form.field_of_error(every, error))
        in_schedule = error if wants_schedule and not is_at_field else ""
        return self.view.page(
            "report.html",
            status,
            report=self.report,
            fields=report_form.filled(self.fields, self.values, error),
            files=report_form.filled(self.files, self.values, error),
            error=error,
            is_at_field=is_at_field or bool(in_schedule),
            changed_files=any(field.name in self.values for field in self.files if field.name != "selectedFormats"),
            has_data=self.view.services.warehouse.snapshot().number > 0,
            columns=self.columns,
            preview=preview,
            may_schedule=self.view.may("addSchedule"),
            wants_schedule=wants_schedule,
            **schedule_context(self.view, in_schedule, is_conflict=status == 409),
        )

    @property
    def columns(self) -> list[Any]:
        """The columns to choose from."""
        try:
            arguments = self.report_arguments
        except InvalidArguments:
            arguments = {}
        return column_options(self.view, self.report, arguments)


@PAGES.get("/reports", needs="startReport")
def show_reports(view: View) -> Response:
    """Show all reports."""
    off = {type for type in all_reports() if view.services.runs.is_report_disabled(type)}
    return view.page("reports.html", reports=all_reports().values(), off=off)


@PAGES.get("/reports/{type}", needs="startReport")
def show_form(view: View, type: str) -> Response:
    """Show the form of a report, empty or with the arguments of an earlier run (`from`) or of the address."""
    form = _form(view, type)
    if earlier := view.query.get("from"):
        run = view.services.runs.get(validate_run_id(earlier), view.caller)
        form.values.update(report_form.values_of_run(run, [*form.fields, *form.files]))
    else:
        form.values.update({name: tuple(view.query.getlist(name)) for name in view.query})
        if "indices" in form.report.arguments:
            form.values.setdefault("indices", (_DEFAULT_INDEX,))
    return form.page(wants_schedule="schedule" in view.query)


@PAGES.post("/reports/{type}", needs="startReport")
def send_form(view: View, type: str) -> Response:
    """Start a run, create a schedule or check the query, as the button says; show the form again with an error."""
    form = _form(view, type)
    act = view.fields.get("act", "")
    try:
        arguments = form.arguments
        if act == "check":
            return form.page(preview=_preview(form))
        if act == "schedule":
            made = add_schedule(view, form.report, arguments)
            return view.redirect("/console/schedules", f"The schedule {made.name} was created.")
        run = view.services.runs.start(
            form.report.type, arguments, view.caller.name, view.caller, request_context(view.request.scope), view.actor
        )
    except (InvalidArguments, Conflict, QuotaExceeded, Unavailable) as error:
        status = next((code for kind, code in _STATUS_CODES.items() if isinstance(error, kind)), 400)
        return form.page(error.message, status, wants_schedule=act == "schedule")
    return view.redirect(f"/console/runs/{run.id}")


@PAGES.post("/reports/{type}/preview", needs="startReport")
def send_preview(view: View, type: str) -> Response:
    """Answer the preview of the search in the form, as a part of its page. Nothing is started."""
    form = _form(view, type)
    try:
        preview = _preview(form)
    except InvalidArguments as error:
        return view.part("report_preview.html", preview=None, fault=error.message)
    return view.part("report_preview.html", preview=preview, fault="")


@PAGES.post("/reports/{type}/columns", needs="startReport")
def send_columns(view: View, type: str) -> Response:
    """Answer the columns to choose from, which depend on the source or the indices, as a part of the page."""
    return view.part("report_columns.html", columns=_form(view, type).columns)


def _form(view: View, type: str) -> _Form:
    """Return the form of a report with what was entered.

    Raises:
        NotFound: there is no such report.
    """
    report = all_reports().get(type)
    if report is None:
        raise NotFound(f"There is no report {type[:100]!r}. The page Reports lists all.")
    catalog = read_catalog(view.services.warehouse.snapshot())
    fields, files = report_form.report_fields(report, catalog, view.caller), report_form.file_fields(report)
    return _Form(view, report, fields, files, report_form.entered_values(view.form, [*fields, *files]))


def _preview(form: _Form) -> Preview:
    if "query" not in form.report.arguments:
        raise NotFound(f"The report {form.report.type} has no query to check.")
    return preview_search(form.view, form.report, form.report_arguments)
