"""`whohas schedule`: add, list, show, pause, resume, run and remove schedules of reports."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.arguments import parse_arguments, parse_report_type
from whohas.cli.installation import open_installation
from whohas.cli.terminal import print_table, without_control_characters

if TYPE_CHECKING:
    from whohas.schedules.service import Schedule

schedule_app = typer.Typer(
    no_args_is_help=True, help="Schedules: start reports periodically, at the times of a cron expression."
)

ScheduleArgument = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name or id.")]


@schedule_app.command()
def add(
    name: Annotated[str, typer.Argument(help="Its name.")],
    cron: Annotated[str, typer.Argument(help="When: minute, hour, day, month, weekday; such as '0 6 * * MON'.")],
    report_type: Annotated[str, typer.Argument(metavar="REPORT", help="The report's type, such as ACCOUNTS.")],
    arg: Annotated[
        list[str] | None, typer.Option("--arg", "-a", metavar="NAME=VALUE", help="An argument; repeat for more.")
    ] = None,
    zone: Annotated[str, typer.Option(help="The time zone of the expression, such as Europe/Berlin.")] = "UTC",
    launcher: Annotated[str | None, typer.Option(help="The launcher of its runs. Default: you.")] = None,
) -> None:
    """Add a schedule."""
    from whohas.audit.events import operator_actor

    report_type = parse_report_type(report_type)
    arguments = parse_arguments(arg or (), report_type)
    with open_installation() as services:
        made = services.schedules.add(
            name,
            report_type,
            arguments,
            cron,
            zone,
            launcher or getpass.getuser(),
            by=operator_actor(),
        )
    print(without_control_characters(f"{made.name} runs {made.report_type} next at {_time(made.next_at)}."))


@schedule_app.command("list")
def list_schedules() -> None:
    """Print all schedules."""
    with open_installation() as services:
        schedules = services.schedules.list()
    if not schedules:
        print("No schedule yet. Make one: whohas schedule add NAME '0 6 * * MON' REPORT")
        return
    rows = [
        (
            schedule.name,
            schedule.report_type,
            schedule.cron,
            schedule.time_zone,
            _next(schedule),
            _time(schedule.last_at),
            schedule.last_error,
        )
        for schedule in schedules
    ]
    print_table(("Schedule", "Report", "Cron", "Zone", "Next", "Last", "Fault"), rows)


@schedule_app.command()
def show(which: ScheduleArgument) -> None:
    """Print a schedule: its report, arguments, times, last run and last error."""
    import json

    with open_installation() as services:
        one = services.schedules.get(which)
    facts = {
        "Schedule": one.name,
        "Id": one.id,
        "Report": one.report_type,
        "Arguments": json.dumps(dict(one.arguments), ensure_ascii=False),
        "Cron": f"{one.cron} ({one.time_zone})",
        "Next": _next(one),
        "Launcher": one.launcher,
        "Last": _time(one.last_at),
        "Last run": one.last_run or "",
        "Fault": one.last_error,
    }
    for name, value in facts.items():
        print(without_control_characters(f"{name + ':':<11}{value}").rstrip())


@schedule_app.command()
def pause(which: ScheduleArgument) -> None:
    """Pause a schedule: it starts no runs until it is resumed."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        one = services.schedules.change(which, {"paused": True}, by=operator_actor())
    print(without_control_characters(f"{one.name} is paused."))


@schedule_app.command()
def resume(which: ScheduleArgument) -> None:
    """Resume a paused schedule; runs that were due during the pause are not started."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        one = services.schedules.change(which, {"paused": False}, by=operator_actor())
    print(without_control_characters(f"{one.name} runs next at {_time(one.next_at)}."))


@schedule_app.command()
def remove(which: ScheduleArgument) -> None:
    """Remove a schedule; runs that it started are kept."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        print(without_control_characters(f"{services.schedules.remove(which, by=operator_actor()).name} is removed."))


@schedule_app.command()
def run(which: ScheduleArgument) -> None:
    """Queue a run of a schedule now; a server or worker of this installation executes it."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        print(f"The run {services.schedules.start_now(which, by=operator_actor()).id} is queued.")


def _next(one: Schedule) -> str:
    return "paused" if one.paused else _time(one.next_at)


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
