"""Times as text: milliseconds where there are some, in each format, also where no calendar of a spreadsheet goes."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from openpyxl import load_workbook

from htmlpage import read_page
from rendering import extract, file_of
from whohas.engine.statement import ResultColumn
from whohas.formats.base import WriteOptions
from whohas.formats.display import display_texts

COLUMNS = (ResultColumn("time", "time"),)
LOCAL = {
    datetime(1900, 1, 1, tzinfo=UTC): "1900-01-01 01:00:00",
    datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC): "10000-01-01 00:59:59.999",
    datetime(1969, 12, 31, 22, 59, 59, 998_500, UTC): "1969-12-31 23:59:59.998",
    datetime(1, 1, 1, 12, tzinfo=UTC): "0001-01-01 12:53:28",
}
"""Moments, and their text in Berlin, which was 53 minutes and 28 seconds ahead of Greenwich before 1893."""
UTC_TEXTS = [
    "1900-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "1969-12-31T22:59:59.998Z", "0001-01-01T12:00:00.000Z"
]  # fmt: skip


def test_each_time_has_its_own_milliseconds_or_none() -> None:
    micros = [253_402_304_399_999_999, -62_135_596_800_000_001, 0, 1, 1_500, -1, None, -2_208_988_800_000_000]
    column = pa.array(micros, pa.int64()).cast(pa.timestamp("us", "UTC"))
    expected = [
        "10000-01-01 00:59:59.999", "0000-12-31 23:59:59.999", "1970-01-01 00:00:00", "1970-01-01 00:00:00",
        "1970-01-01 00:00:00.001", "1969-12-31 23:59:59.999", "", "1900-01-01 00:00:00",
    ]  # fmt: skip
    assert display_texts(column, "time", "UTC").to_pylist() == expected
    for place, text in enumerate(expected):
        assert display_texts(column.slice(place, 1), "time", "UTC").to_pylist() == [text]


def test_readable_times_are_cut_to_seconds() -> None:
    column = pa.array([*LOCAL, None], pa.timestamp("us", "UTC"))
    expected = [*(text.partition(".")[0] for text in LOCAL.values()), ""]
    assert display_texts(column, "time", "Europe/Berlin", readable=True).to_pylist() == expected


def test_readable_booleans_are_yes_no_or_empty() -> None:
    column = pa.array([True, False, None])
    assert display_texts(column, "boolean", "UTC", readable=True).to_pylist() == ["Yes", "No", ""]
    assert display_texts(column, "boolean", "UTC").to_pylist() == ["true", "false", ""]


def test_texts_of_readable_files_are_those_of_the_data() -> None:
    column = pa.array(["true", "2026-07-01T10:00:05.123Z", ""])
    assert display_texts(column, "text", "UTC", readable=True).to_pylist() == column.to_pylist()


@pytest.mark.parametrize("others", [[], [datetime(2026, 7, 1, 10, tzinfo=UTC)]])
def test_times_in_files_for_people_have_at_most_milliseconds(tmp_path: Path, others: list[datetime]) -> None:
    rows = extract(tmp_path, COLUMNS, *[[time] for time in (*LOCAL, *others)])
    options = WriteOptions(zone="Europe/Berlin")
    page = read_page(file_of(rows, "html", options)).rows
    assert [row[0] for row in page[: len(LOCAL)]] == list(LOCAL.values())
    sheet = load_workbook(file_of(rows, "xlsx", options)).worksheets[0]
    cells = [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)]
    early, late, near, first = cells[: len(LOCAL)]
    assert [early, late, first] == [text for text in LOCAL.values() if "1969" not in text]
    assert isinstance(near, datetime)


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
def test_a_time_in_a_file_for_programs_has_three_digits(tmp_path: Path, format: str) -> None:
    path = file_of(extract(tmp_path, COLUMNS, *[[time] for time in LOCAL]), format)
    with path.open(encoding="utf-8") as file:
        if format == "csv":
            found = [row["time"] for row in csv.DictReader(file)]
        else:
            found = [row["time"] for row in (json.load(file) if format == "json" else map(json.loads, file))]
    assert found == UTC_TEXTS
