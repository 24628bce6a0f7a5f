"""Metadata lines of a run (report, arguments, launcher, times, snapshot) for PDF, XLSX and HTML files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from whohas.defaults import DEFAULT_ORG
from whohas.formats.base import ReportMetadata
from whohas.formats.display import format_time
from whohas.labels import label_of, words_of

SOURCE_NAME: Final = "sourceName"
"""The argument with the name of the one source that a report is on."""

ABOUT_FILES: Final = frozenset(
    {"selectedFormats", "csvSeparator", "csvBom", "csvDisarm", "timeZone", "pageSize", "detail", "labels"}
)
"""The arguments on the files of a run, which say nothing about the rows in them."""

_SOURCE_IDS: Final = frozenset({"application", "authoritativeSource"})
_LABELS: Final = {"columns": "Chosen columns", SOURCE_NAME: "Source"}
"""Labels of arguments that `label_of` would name as something else in the file."""


def metadata_lines(about: ReportMetadata, rows: int, zone: str) -> list[tuple[str, str]]:
    """Return pairs of label and value that describe a run, for a complete file.

    Run id and times, which differ between two runs over the same data, have a fixed length.

    Args:
        about: the metadata of the run.
        rows: number of rows of the file.
        zone: the IANA time zone of times.
    """
    loaded = f", loaded {format_time(about.loaded_at, zone)} {zone}" if about.loaded else ""
    gaps = [("Data", about.gaps)] if about.gaps else []
    named = [("Organization", about.org)] if about.org else []
    return [
        ("Report", f"{about.title} ({about.report})"),
        *named,
        ("Arguments", describe_arguments(about.arguments)),
        ("Run by", about.launcher),
        ("Started", f"{format_time(about.started_at, zone)} {zone}"),
        ("Snapshot", f"{about.snapshot}{loaded}"),
        *gaps,
        ("Rows", f"{rows:,}"),
        ("Run", about.run),
    ]


def for_readers(about: ReportMetadata, part: str = "") -> ReportMetadata:
    """Return the metadata of a run as a readable file shows it.

    The title is followed by the name of the part, or of the one source that the report is on. What says nothing to
    readers is left out: an organization that was not set, arguments on files, flags that are false, and the id of a
    source whose name is there.

    Args:
        about: the metadata of the run.
        part: the name of the part in a zip; empty where there is no zip.
    """
    source = about.arguments.get(SOURCE_NAME)
    left_out = ABOUT_FILES | (_SOURCE_IDS if source else frozenset())
    shown = {name: value for name, value in about.arguments.items() if name not in left_out and value is not False}
    name = part or source
    return replace(
        about,
        title=f"{about.title}: {name}" if name else about.title,
        arguments=shown,
        org="" if about.org == DEFAULT_ORG else about.org,
    )


def readable_metadata_lines(about: ReportMetadata, rows: int, zone: str) -> list[tuple[str, str]]:
    """Return pairs of label and value that describe a run, for a readable file.

    The time zone has a separate line, and holds for all times of the file. Run id and times have a fixed length, as
    in `metadata_lines`.

    Args:
        about: the metadata of the run, as `for_readers` returns it.
        rows: number of rows of the file.
        zone: the IANA time zone of times.
    """
    loaded = f", loaded {format_time(about.loaded_at, zone)}" if about.loaded else ""
    return [
        ("Report type", about.report),
        *([("Organization", about.org)] if about.org else []),
        *((_label(name), _value(value)) for name, value in about.arguments.items()),
        ("Run by", about.launcher),
        ("Started", format_time(about.started_at, zone)),
        ("Snapshot", f"{about.snapshot}{loaded}"),
        ("Time zone", zone),
        *([("Data", about.gaps)] if about.gaps else []),
        ("Rows", f"{rows:,}"),
        ("Run", about.run),
    ]


def describe_arguments(arguments: Mapping[str, Any]) -> str:
    """Return arguments as a text for people: `source name: Payroll; correlated only: yes`."""
    pairs = [f"{' '.join(words_of(name))}: {_value(value)}" for name, value in arguments.items()]
    return "; ".join(pairs) or "none"


def _label(name: str) -> str:
    return _LABELS.get(name) or label_of(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list():
            return ", ".join(map(_value, value))
        case _:
            return json.dumps(value, ensure_ascii=False)
