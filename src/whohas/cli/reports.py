"""`whohas reports`: list the reports, and switch them off and on."""

from __future__ import annotations

from typing import Annotated

import typer

from whohas.cli.arguments import parse_report_type
from whohas.cli.installation import open_installation
from whohas.cli.terminal import print_table

reports_app = typer.Typer(no_args_is_help=True, help="List reports; switch one off or on.")


@reports_app.command("list")
def list_reports() -> None:
    """Print every report with its arguments."""
    from whohas import reports

    with open_installation() as services:
        off = {
            name: " (switched off)" if services.runs.is_report_disabled(name) else "" for name in reports.all_reports()
        }
    rows = [
        (report.type + off[report.type], ", ".join(report.arguments), report.description)
        for report in reports.all_reports().values()
    ]
    print_table(("Report", "Arguments", "What it shows"), rows, whole=1)


@reports_app.command()
def disable(report_type: Annotated[str, typer.Argument(metavar="REPORT")]) -> None:
    """Switch a report off: it cannot be started until it is enabled again."""
    _switch(report_type, off=True)


@reports_app.command()
def enable(report_type: Annotated[str, typer.Argument(metavar="REPORT")]) -> None:
    """Switch a report on."""
    _switch(report_type, off=False)


def _switch(report_type: str, *, off: bool) -> None:
    from whohas.audit.events import operator_actor

    report_type = parse_report_type(report_type)
    with open_installation() as services:
        services.runs.switch_report(report_type, off=off, by=operator_actor())
    print(f"{report_type} is {'off' if off else 'on'}.")
