"""Schedules: reports that start by themselves. The rights and the owners are those of the API's schedules."""

from __future__ import annotations

from starlette.responses import Response

from whohas.api.errors import request_context
from whohas.console.schedule_form import TIMES
from whohas.console.view import Link, Pages, View
from whohas.errors import NotFound
from whohas.reports import all_reports

PAGES = Pages(Link("Schedules", "/console/schedules", order=60, group="Administration"))


@PAGES.get("/schedules", needs="everySchedule")
def show_schedules(view: View) -> Response:
    """Show the schedules that the user may see."""
    schedules = view.services.schedules.list(view.caller)
    return view.page("schedules.html", schedules=schedules, reports=all_reports(), meanings=dict(TIMES))


@PAGES.get("/schedules/new", needs="addSchedule")
def choose_report(view: View) -> Response:
    """Show the choice of the report of a new schedule, or lead to the form of the one that was chosen."""
    chosen = view.query.get("report", "")
    if not chosen:
        return view.page("schedule_new.html", reports=all_reports().values())
    if chosen not in all_reports():
        raise NotFound(f"There is no report {chosen[:100]!r}. The page Reports lists all.")
    return view.redirect(f"/console/reports/{chosen}?schedule=1")


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
