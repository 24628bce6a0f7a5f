"""Parses the arguments that select a run's output formats and how its files are written.

These arguments are the same for every report. `selectedFormats` is defined by the published API; the others are
extensions of whohas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from whohas.errors import InvalidArguments
from whohas.formats.base import Detail, WriteOptions
from whohas.formats.registry import find_format, formats
from whohas.reports.base import Plan, Report, parse_flag
from whohas.settings import Settings
from whohas.zones import UnknownZone, parse_zone, zone_name

FILE_ARGUMENTS: Mapping[str, str] = {
    "selectedFormats": "The formats of the files to make, a list: CSV, PDF or any other. Default: CSV and PDF "
    "(`WHOHAS_DEFAULT_FORMATS`), without PDF where there are more rows than `WHOHAS_PRINT_ROWS`; a report of several "
    "parts makes a zip of CSV files.",
    "csvSeparator": "The separator between the cells of a CSV line: one character, or `tab`. Default: a comma.",
    "csvBom": "true: a CSV begins with a byte order mark, by which Excel knows that it is UTF-8.",
    "csvDisarm": "true: a text in a CSV that a spreadsheet would run as a formula gets an apostrophe before it.",
    "timeZone": "The time zone of times in files for people (PDF, XLSX, HTML), such as Europe/Berlin. Default: "
    "`WHOHAS_TIME_ZONE`, UTC.",
    "pageSize": "The paper of a PDF, and of an XLSX that is printed: A4 or Letter. Default: `WHOHAS_PAGE_SIZE`, A4.",
    "detail": "readable: files for people (PDF, HTML) have labels, `Yes` and `No`, and times to the second, and leave "
    "out ids and columns without any value; an XLSX hides these. complete: every column under its technical name, with "
    "exact values. Default: readable. CSV, JSON and Parquet are always complete.",
    "engine": "The engine that executes the run: duckdb, or spark or trino where the server has one "
    "(`WHOHAS_SPARK_URL`, `WHOHAS_TRINO_URL`). Default: `WHOHAS_ENGINE`, duckdb. The rows are the same; a statement "
    "that is not translated is refused.",
    "labels": "true: the header of an XLSX has labels, such as `Display name`, instead of technical names.",
}
"""The arguments on files, and on the engine, that every report accepts, with descriptions for the reference pages."""

_FOR_PEOPLE = frozenset({"pdf", "html", "xlsx"})
"""The formats that the argument `detail` changes."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The output formats of a run, and its arguments on files in normalised form.

    Attributes:
        formats: lower-case names of formats, each once, in the order of the format registry.
        arguments: the arguments that differ from their defaults, normalised, so that equal requests have equal ones.
    """

    formats: tuple[str, ...]
    arguments: Mapping[str, Any]


def parse_output_options(arguments: Mapping[str, Any], settings: Settings, default: Sequence[str]) -> OutputOptions:
    """Return the output formats and the normalised arguments on files of a request to start a report.

    Args:
        arguments: all arguments of the request; those of the report itself are ignored.
        default: the formats where the request selects none.

    Raises:
        InvalidArguments: a format, a separator, a flag, a time zone, a page size or a detail is invalid.
    """
    default_selection = _formats(list(default))
    selected = _formats(arguments.get("selectedFormats")) or default_selection
    write_options = parse_write_options(arguments, settings)
    normalised = {
        "selectedFormats": [name.upper() for name in selected] if selected != default_selection else None,
        "csvSeparator": write_options.separator if write_options.separator != "," else None,
        "csvBom": write_options.bom or None,
        "csvDisarm": write_options.disarm or None,
        "timeZone": write_options.zone if write_options.zone != settings.time_zone else None,
        "pageSize": write_options.page if write_options.page != settings.page_size else None,
        # only where a file that is made depends on it, so that other requests still ask for the same run
        "detail": "complete" if write_options.detail == "complete" and _FOR_PEOPLE.intersection(selected) else None,
        "labels": True if write_options.labels and "xlsx" in selected else None,
    }
    return OutputOptions(selected, {name: value for name, value in normalised.items() if value is not None})


def parse_write_options(arguments: Mapping[str, Any], settings: Settings) -> WriteOptions:
    """Return how the files of a run are written: the arguments of the request, or else the settings.

    Raises:
        InvalidArguments: a separator, a flag, a time zone, a page size or a detail is invalid.
    """
    return WriteOptions(
        separator=_separator(arguments.get("csvSeparator")),
        bom=parse_flag("csvBom", arguments.get("csvBom")),
        disarm=parse_flag("csvDisarm", arguments.get("csvDisarm")),
        zone=_zone(arguments.get("timeZone") or settings.time_zone),
        page="letter" if _page(arguments.get("pageSize") or settings.page_size) == "letter" else "a4",
        detail=_detail(arguments.get("detail")),
        labels=parse_flag("labels", arguments.get("labels")),
    )


def earlier_write_options(arguments: Mapping[str, Any], settings: Settings) -> WriteOptions:
    """Return how the files of a run of an earlier version are written, which stored no options: complete, as it did.

    Raises:
        InvalidArguments: as `parse_write_options` does.
    """
    return replace(parse_write_options(arguments, settings), detail="complete")


def default_formats(report: Report, plan: Plan, settings: Settings) -> tuple[str, ...]:
    """Return the formats of a run whose request selects none.

    A zip of several parts holds CSV files. A report that defines default formats has these. Any other has the
    formats of the setting `default_formats`, without PDF where more than `print_rows` rows are expected.
    """
    if plan.is_zip:
        return ("csv",)
    if report.default_formats:
        return report.default_formats
    rows = sum(statement.expected_rows for statement in plan.statements)
    selected = tuple(name for name in settings.default_formats if name != "pdf" or rows <= settings.print_rows)
    return selected or settings.default_formats


def _formats(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[object]", names)):
        raise InvalidArguments("The argument selectedFormats must be a list of formats, such as CSV and PDF.")
    wanted = {find_format(name).name for name in cast("list[str]", names) if name.strip()}
    return tuple(name for name in formats() if name in wanted)


def _separator(value: object) -> str:
    if value in (None, ""):
        return ","
    text = "\t" if value in ("tab", "\\t") else value
    if not isinstance(text, str) or len(text) != 1 or text.isalnum() or text in '"\r\n\0' or not text.isascii():
        raise InvalidArguments("The argument csvSeparator must be one character, such as `;`, or tab.")
    return text


def _zone(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArguments("The argument timeZone must be a text, such as America/Chicago or +01:00.")
    try:
        return zone_name(parse_zone(value))
    except UnknownZone as fault:
        raise InvalidArguments(f"The argument timeZone: {fault}.") from None


def _detail(value: object) -> Detail:
    match value.lower() if isinstance(value, str) else value:
        case None | "" | "readable":
            return "readable"
        case "complete":
            return "complete"
        case _:
            raise InvalidArguments(f"The argument detail must be readable or complete, not {str(value)[:60]!r}.")


def _page(value: object) -> str:
    if not isinstance(value, str) or value.lower() not in ("a4", "letter"):
        raise InvalidArguments(f"The argument pageSize must be A4 or Letter, not {str(value)[:60]!r}.")
    return value.lower()
