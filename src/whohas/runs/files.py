"""What the arguments of a start say about its files: which formats, and how they are written.

These arguments are the same for every report. `selectedFormats` is the published API's; the others are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from whohas.errors import InvalidArguments
from whohas.render.definition import Options
from whohas.render.registry import find, formats
from whohas.reports.definition import Plan, Report, flag
from whohas.settings import Settings
from whohas.zones import UnknownZone, parse_zone, zone_name

ARGUMENTS: Mapping[str, str] = {
    "selectedFormats": "The files that are made, a list: CSV, PDF or any other format. Default: CSV and PDF "
    "(`WHOHAS_DEFAULT_FORMATS`), without PDF where there are more rows than `WHOHAS_PRINT_ROWS`; a report of several "
    "parts makes a zip of CSV files.",
    "csvSeparator": "What stands between the cells of a CSV line: one character, or `tab`. Default: a comma.",
    "csvBom": "true: a CSV begins with a byte order mark, by which Excel knows that it is UTF-8.",
    "csvDisarm": "true: a text in a CSV that a spreadsheet would run as a formula gets an apostrophe before it.",
    "timeZone": "The time zone of times in files for people (PDF, XLSX, HTML), such as Europe/Berlin. Default: "
    "`WHOHAS_TIME_ZONE`, UTC.",
    "pageSize": "The paper of a PDF, and of an XLSX that is printed: A4 or Letter. Default: `WHOHAS_PAGE_SIZE`, A4.",
}
"""The arguments that any report takes, each with its meaning."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The files of a run.

    Attributes:
        formats: their names, each once.
        arguments: what was said of files, normalised; without what is as it is by default.
    """

    formats: tuple[str, ...]
    arguments: Mapping[str, Any]


def wish(arguments: Mapping[str, Any], settings: Settings, default: Sequence[str]) -> Wish:
    """The files that a start asks for.

    Args:
        default: the formats where none are selected.

    Raises:
        InvalidArguments: a format, a separator, a zone or a page size that is none.
    """
    usual = _formats(list(default))
    chosen = _formats(arguments.get("selectedFormats")) or usual
    how = options(arguments, settings)
    said = {
        "selectedFormats": [name.upper() for name in chosen] if chosen != usual else None,
        "csvSeparator": how.separator if how.separator != "," else None,
        "csvBom": how.bom or None,
        "csvDisarm": how.disarm or None,
        "timeZone": how.zone if how.zone != settings.time_zone else None,
        "pageSize": how.page if how.page != settings.page_size else None,
    }
    return Wish(chosen, {name: value for name, value in said.items() if value is not None})


def options(arguments: Mapping[str, Any], settings: Settings) -> Options:
    """How the files of a run are written.

    Raises:
        InvalidArguments: a separator, a flag, a zone or a page size that is none.
    """
    return Options(
        separator=_separator(arguments.get("csvSeparator")),
        bom=flag("csvBom", arguments.get("csvBom")),
        disarm=flag("csvDisarm", arguments.get("csvDisarm")),
        zone=_zone(arguments.get("timeZone") or settings.time_zone),
        page="letter" if _page(arguments.get("pageSize") or settings.page_size) == "letter" else "a4",
    )


def default_formats(report: Report, plan: Plan, settings: Settings) -> tuple[str, ...]:
    """The formats of a run that selects none: nobody prints a large report without having asked for it."""
    if plan.zipped:
        return ("csv",)
    if report.formats:
        return report.formats
    rows = sum(statement.expected_rows for statement in plan.statements)
    kept = tuple(name for name in settings.default_formats if name != "pdf" or rows <= settings.print_rows)
    return kept or settings.default_formats


def _formats(chosen: object) -> tuple[str, ...]:
    if chosen is None:
        return ()
    names = chosen.split(",") if isinstance(chosen, str) else chosen
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[object]", names)):
        raise InvalidArguments("The argument selectedFormats must be a list of formats, such as CSV and PDF.")
    wanted = {find(name).name for name in cast("list[str]", names) if name.strip()}
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


def _page(value: object) -> str:
    if not isinstance(value, str) or value.lower() not in ("a4", "letter"):
        raise InvalidArguments(f"The argument pageSize must be A4 or Letter, not {str(value)[:60]!r}.")
    return value.lower()
