"""`whohas schedule`: add, list, show, pause, resume, run and remove schedules of reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whohas.cli.arguments import ArgumentsOption, ReportArgument, check_required, parse_arguments, parse_report_type
from whohas.cli.commands import Commands
from whohas.cli.completions import complete_schedules
from whohas.cli.options import Connection, OutputFormat, OutputOption, on_installation
from whohas.cli.printing import Column, print_list, print_object
from whohas.cli.terminal import without_control_characters
from whohas.cli.values import format_time, parse_time

if TYPE_CHECKING:
    from whohas.cli.backend import Backend

schedule_app = Commands(
    no_args_is_help=True, help="Schedules: start reports periodically, at the times of a cron expression."
)

ScheduleArgument = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="Its name or id.", autocompletion=complete_schedules)
]

_Schedule = Mapping[str, Any]


@schedule_app.command()
@on_installation
def add(
    connection: Connection,
    name: Annotated[str, typer.Argument(help="Its name.")],
    cron: Annotated[str, typer.Argument(help="When: minute, hour, day, month, weekday; such as '0 6 * * MON'.")],
    report_type: ReportArgument,
    arg: ArgumentsOption = None,
    zone: Annotated[str, typer.Option(help="The time zone of the expression, such as Europe/Berlin.")] = "UTC",
    launcher: Annotated[
        str | None, typer.Option(help="The launcher of its runs, on this machine only. Default: you.")
    ] = None,
) -> None:
    """Add a schedule.

    Examples:
        whohas schedule add weekly '0 6 * * MON' IDENTITIES --zone Europe/Berlin
        whohas schedule add payroll '30 5 1 * *' ACCOUNTS --arg sourceName=Payroll
    """
    report_type = parse_report_type(report_type)
    arguments = parse_arguments(arg or (), report_type)
    check_required(report_type, arguments)
    with connection.open() as backend:
        made = backend.add_schedule(name, report_type, arguments, cron, zone, launcher)
    print(without_control_characters(f"{made['name']} runs {made['reportType']} next at {_next(made)}."))


@schedule_app.command("list")
@on_installation
def list_schedules(connection: Connection, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print all schedules; times are in the time zone of each.

    Examples:
        whohas schedule list
        whohas schedule list -o json
    """
    with connection.open() as backend:
        print_list(
            output,
            backend.schedules(),
            _columns(backend),
            empty="No schedule yet. Make one: whohas schedule add NAME '0 6 * * MON' REPORT",
            to_api=dict,
        )


@schedule_app.command()
@on_installation
def show(connection: Connection, which: ScheduleArgument, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print a schedule: its report, arguments, times, last run and last error.

    Examples:
        whohas schedule show weekly
    """
    with connection.open() as backend:
        print_object(output, backend.schedule(which), _columns(backend), to_api=dict)


@schedule_app.command()
@on_installation
def pause(connection: Connection, which: ScheduleArgument) -> None:
    """Pause a schedule: it starts no runs until it is resumed.

    Examples:
        whohas schedule pause weekly
    """
    with connection.open() as backend:
        one = backend.pause_schedule(which, True)
    print(without_control_characters(f"{one['name']} is paused."))


@schedule_app.command()
@on_installation
def resume(connection: Connection, which: ScheduleArgument) -> None:
    """Resume a paused schedule; runs that were due during the pause are not started.

    Examples:
        whohas schedule resume weekly
    """
    with connection.open() as backend:
        one = backend.pause_schedule(which, False)
    print(without_control_characters(f"{one['name']} runs next at {_next(one)}."))


@schedule_app.command()
@on_installation
def remove(connection: Connection, which: ScheduleArgument) -> None:
    """Remove a schedule; runs that it started are kept.

    Examples:
        whohas schedule remove weekly
    """
    with connection.open() as backend:
        print(without_control_characters(f"{backend.remove_schedule(which)} is removed."))


@schedule_app.command()
@on_installation
def run(connection: Connection, which: ScheduleArgument) -> None:
    """Queue a run of a schedule now; a server or worker of the installation executes it.

    Examples:
        whohas schedule run weekly
    """
    with connection.open() as backend:
        print(f"The run {backend.run_schedule(which)} is queued.")


def _columns(backend: Backend) -> tuple[Column[_Schedule], ...]:
    return (
        Column("name", "Schedule", lambda one: one["name"], is_key=True),
        Column("reportType", "Report", lambda one: one["reportType"], is_key=True),
        Column("cron", "Cron", lambda one: one["cron"], is_key=True),
        Column("timeZone", "Zone", lambda one: one["timeZone"]),
        Column("next", "Next", lambda one: parse_time(one["next"]), _next, is_key=True),
        Column("arguments", "Arguments", lambda one: one["arguments"], lambda one: backend.describe(one["arguments"])),
        Column("lastError", "Fault", lambda one: one["lastError"]),
        Column("last", "Last", lambda one: parse_time(one["last"]), lambda one: _time(one["last"], one["timeZone"])),
        Column("launcher", "Launcher", lambda one: one["launcher"]),
        Column("lastRun", "Last run", lambda one: one["lastRun"], is_id=True),
        Column("paused", "Paused", lambda one: one["paused"], is_exact=True),
        Column("id", "Id", lambda one: one["id"], is_id=True),
    )


def _next(one: _Schedule) -> str:
    return "paused" if one["paused"] else _time(one["next"], one["timeZone"])


def _time(at: str | None, zone: str) -> str:
    """Return a time in the zone of its schedule, as its cron expression is written."""
    return "" if at is None else f"{format_time(parse_time(at), zone)} {zone}"
