"""Metadata lines of a run (report, arguments, launcher, times, snapshot) for PDF, XLSX and HTML files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from whohas.formats.base import ReportMetadata
from whohas.formats.display import format_time


def metadata_lines(about: ReportMetadata, rows: int, zone: str) -> list[tuple[str, str]]:
    """Return pairs of label and value that describe a run.

    Run id and times, which differ between two runs over the same data, have a fixed length.

    Args:
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


def describe_arguments(arguments: Mapping[str, Any]) -> str:
    """Return arguments as a text for people: `source name: Payroll; correlated only: yes`."""
    pairs = [f"{_words(name)}: {_value(value)}" for name, value in arguments.items()]
    return "; ".join(pairs) or "none"


def _words(name: str) -> str:
    """Return `correlated only` for `correlatedOnly`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


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
