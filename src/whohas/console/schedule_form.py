"""The part of a report's form that creates a schedule: name, times and time zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import available_timezones

from whohas.auth import check_access
from whohas.console.view import View
from whohas.errors import InvalidArguments
from whohas.reports import Report
from whohas.schedules.service import Schedule
from whohas.zones import UnknownZone, parse_zone

TIMES: Final = (
    ("0 6 * * *", "every day at 6:00"),
    ("0 6 * * MON", "every Monday at 6:00"),
    ("0 6 1 * *", "on the first day of each month at 6:00"),
    ("0 6 1 1,4,7,10 *", "on the first day of each quarter at 6:00"),
)
"""Cron expressions to choose from, each with its meaning."""


def schedule_context(view: View, error: str, *, is_conflict: bool) -> dict[str, Any]:
    """Return the variables of the template for the fields of a schedule.

    Args:
        view: the request.
        error: the message of an error that no field of the report has; empty for none.
        is_conflict: whether it is that of another schedule with the same name.
    """
    place = ""
    if error:
        place = "name" if is_conflict or "needs a name" in error else "zone" if "time zone" in error else "cron"
    return {
        "schedule_error": error,
        "schedule_place": place,
        "times": TIMES,
        "zones": sorted(zone for zone in available_timezones() if "/" in zone),
        "zone": view.services.settings.time_zone,
    }


def add_schedule(view: View, report: Report, arguments: Mapping[str, Any]) -> Schedule:
    """Create the schedule of a form, as the API does.

    Raises:
        Forbidden: the user may not create schedules, or the report covers sources of others.
        InvalidArguments: the name, the times, the time zone or an argument is invalid.
        Conflict: a schedule of that name exists.
    """
    check_access(view.caller, "addSchedule")
    zone = view.fields.get("schedule_zone", "") or "UTC"
    try:
        parse_zone(zone, offsets=False)
    except UnknownZone as fault:  # the service names the argument timeZone, which the files of the report have as well
        raise InvalidArguments(f"The time zone of the schedule: {fault}.") from None
    return view.services.schedules.add(
        view.fields.get("schedule_name", ""),
        report.type,
        arguments,
        view.fields.get("schedule_cron", ""),
        zone,
        view.caller.name,
        view.caller,
        view.actor,
    )
