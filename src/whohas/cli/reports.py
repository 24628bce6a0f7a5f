"""`whohas reports`: list the reports, describe one, and switch them off and on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whohas.cli.arguments import ReportArgument, parse_report_type
from whohas.cli.commands import Commands, DefaultGroup
from whohas.cli.options import Connection, OutputFormat, OutputOption, on_installation, on_this_machine
from whohas.cli.printing import Column, print_csv, print_json, print_list
from whohas.cli.target import ServerTarget
from whohas.cli.terminal import console, is_terminal, print_table, single_line
from whohas.errors import InvalidArguments

if TYPE_CHECKING:
    from whohas.engine.statement import ResultColumn
    from whohas.reports.base import Report

reports_app = Commands(
    cls=DefaultGroup,
    subcommand_metavar="[REPORT | COMMAND]",
    help="List the reports, describe one (`whohas reports ACCOUNTS`), and switch one off or on.",
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A report of an installation.

    Attributes:
        is_off: whether it is switched off; None if that is not known.
        sources: the columns that it has in addition for a source, by the source's name.
    """

    report: Report
    is_off: bool | None = None
    sources: Mapping[str, tuple[ResultColumn, ...]] = field(default_factory=dict[str, "tuple[ResultColumn, ...]"])


_COLUMNS: tuple[Column[_Entry], ...] = (
    Column(
        "type", "Report", lambda one: one.report.type,
        lambda one: f"{one.report.type}{' (switched off)' if one.is_off else ''}", is_key=True, is_whole=True,
    ),
    Column("description", "What it answers", lambda one: one.report.description, is_key=True),
    Column("arguments", "Arguments", lambda one: list(one.report.accepted_arguments)),
    Column("columns", "Columns", lambda one: [column.name for column in one.report.columns], is_exact=True),
    Column("off", "Off", lambda one: one.is_off, is_exact=True),
)  # fmt: skip


@reports_app.command("list")
@on_installation
def list_reports(connection: Connection, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print every report: what it answers, and its arguments. `whohas reports` does the same.

    Examples:
        whohas reports
        whohas reports list -o json
    """
    entries = _entries(connection)
    if output is OutputFormat.JSON:
        print_json([_to_json(one) for one in entries])
    else:
        print_list(output, entries, _COLUMNS, empty="There is no report.")


@reports_app.command()
@on_installation
def show(connection: Connection, report_type: ReportArgument, output: OutputOption = OutputFormat.TABLE) -> None:
    """Describe a report: what it answers, its arguments and its columns. CSV has the columns.

    Examples:
        whohas reports ACCOUNTS
        whohas reports show SEARCH_EXPORT -o json
    """
    from whohas.hints import did_you_mean

    report_type = parse_report_type(report_type)
    entries = {one.report.type: one for one in _entries(connection)}
    entry = entries.get(report_type)
    if entry is None:
        raise InvalidArguments(
            f"There is no report {report_type!r}.{did_you_mean(report_type, entries)} The reports are: "
            f"{', '.join(entries)}."
        )
    if output is OutputFormat.JSON:
        print_json(_to_json(entry))
    elif output is OutputFormat.CSV:
        rows = [[column.name, column.type, column.doc] for column in entry.report.columns]
        rows += [
            [column.name, column.type, f"The attribute {column.label} of the source {source}."]
            for source, columns in entry.sources.items()
            for column in columns
        ]
        print_csv(("column", "type", "meaning"), rows)
    else:
        _describe(entry)


@reports_app.command()
@on_this_machine
def disable(connection: Connection, report_type: ReportArgument) -> None:
    """Switch a report off: it cannot be started until it is enabled again.

    Examples:
        whohas reports disable SEARCH_EXPORT
    """
    _switch(connection, report_type, off=True)


@reports_app.command()
@on_this_machine
def enable(connection: Connection, report_type: ReportArgument) -> None:
    """Switch a report on.

    Examples:
        whohas reports enable SEARCH_EXPORT
    """
    _switch(connection, report_type, off=False)


def _switch(connection: Connection, report_type: str, *, off: bool) -> None:
    from whohas.audit.events import operator_actor

    report_type = parse_report_type(report_type)
    with connection.open_local() as services:
        services.runs.switch_report(report_type, off=off, by=operator_actor())
    print(f"{report_type} is {'off' if off else 'on'}.")


def _entries(connection: Connection) -> list[_Entry]:
    from whohas import reports

    known = reports.all_reports().values()
    if isinstance(connection.target, ServerTarget):
        connection.say("reports of this version of whohas; a server does not list its own")
        return [_Entry(report) for report in known]
    from whohas.warehouse.catalog import read_catalog

    with connection.open_local() as services:
        sources = read_catalog(services.warehouse.snapshot()).sources
        return [
            _Entry(
                report,
                services.runs.is_report_disabled(report.type),
                {one.name: report.source_columns(one) for one in sources} if report.source_columns is not None else {},
            )
            for report in known
        ]


def _to_json(entry: _Entry) -> dict[str, Any]:
    report = entry.report
    return {
        "type": report.type,
        "name": report.name,
        "description": report.description,
        "off": entry.is_off,
        "arguments": [{"name": name, "description": text} for name, text in report.accepted_arguments.items()],
        "fileArguments": [{"name": name, "description": text} for name, text in _file_arguments().items()],
        "columns": [{"name": one.name, "type": one.type, "description": one.doc} for one in report.columns],
        "sourceColumns": {source: [one.name for one in columns] for source, columns in entry.sources.items()},
    }


def _describe(entry: _Entry) -> None:
    report = entry.report
    print(f"{report.type}{' (switched off)' if entry.is_off else ''}: {report.name}")
    _paragraph(report.description)
    print(f"\nArguments (whohas run {report.type} --arg NAME=VALUE)")
    _definitions(list(report.accepted_arguments.items()))
    print("\nArguments of its files")
    _definitions(list(_file_arguments().items()))
    print("\nColumns")
    if report.columns:
        print_table(("Column", "Type", "Meaning"), [(one.name, one.type, one.doc) for one in report.columns], (0, 1))
    else:
        _paragraph("Those that its arguments name: `whohas docs search-fields` lists the fields.")
    if report.source_columns is not None:
        print("\nFurther columns, for the attributes of the source")
        if entry.sources:
            rows = [(name, ", ".join(one.name for one in columns)) for name, columns in entry.sources.items()]
            print_table(("Source", "Columns"), rows, (0,))
        else:
            _paragraph("The sources are not known here.")


def _file_arguments() -> dict[str, str]:
    from whohas.runs.output_options import FILE_ARGUMENTS

    return dict(FILE_ARGUMENTS)


def _definitions(pairs: list[tuple[str, str]]) -> None:
    print_table(("Argument", "Meaning"), pairs, (0,))


def _paragraph(text: str) -> None:
    if is_terminal():
        console().print(single_line(text), markup=False)
    else:
        print(single_line(text))
