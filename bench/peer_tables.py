"""The peers that write files of data: CSV, Excel, Parquet and JSON, each as its documentation shows it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from bench.data import COLUMNS, columns, rows, texts

TARGET = "/whohas-bench-target"
"""Stands in a statement for the file that is written."""
_TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"
_BOOLEANS = (COLUMNS.index("enabled"), COLUMNS.index("locked"))
_TIME, _COUNT = COLUMNS.index("created"), COLUMNS.index("entitlementCount")


def duckdb_csv(source: Path, target: Path) -> None:
    _copy(source, target, "FORMAT csv, HEADER")


def duckdb_csv_any_order(source: Path, target: Path) -> None:
    _copy(source, target, "FORMAT csv, HEADER", ordered=False)


def duckdb_statement(format: str, source: Path, target: Path) -> None:
    """The report's own statement, nothing else: no run, no child process, no checksum, no sync to disk."""
    import duckdb

    said = json.loads(source.read_text())
    with duckdb.connect() as connection:
        connection.execute(
            "SET enable_progress_bar = false; SET TimeZone = 'UTC'; SET preserve_insertion_order = false"
        )
        for table in said["tables"]:
            connection.execute(table)
        connection.execute(said["copies"][format].replace(TARGET, str(target)), said["parameters"])


def duckdb_parquet(source: Path, target: Path) -> None:
    _copy(source, target, "FORMAT parquet, COMPRESSION zstd")


def duckdb_json(source: Path, target: Path) -> None:
    _copy(source, target, "FORMAT json")


def _copy(source: Path, target: Path, options: str, ordered: bool = True) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        connection.execute(f"SET preserve_insertion_order = {str(ordered).lower()}")
        connection.execute(f"COPY (FROM read_parquet('{source}')) TO '{target}' ({options})")


def polars_csv(source: Path, target: Path) -> None:
    import polars

    polars.scan_parquet(source).sink_csv(target)


def pyarrow_csv(source: Path, target: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    pyarrow.csv.write_csv(pyarrow.parquet.read_table(source), target)


def pandas_csv(source: Path, target: Path) -> None:
    import pandas

    pandas.read_parquet(source).to_csv(target, index=False)


def python_csv(source: Path, target: Path) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns(source))
        writer.writerows(texts(source))


def xlsxwriter(source: Path, target: Path) -> None:
    """Each cell by the method of its type: faster than `write`, and no text becomes a formula or a link."""
    import xlsxwriter

    with xlsxwriter.Workbook(target, {"constant_memory": True}) as book:
        sheet, time = book.add_worksheet("accounts"), book.add_format({"num_format": _TIME_FORMAT})
        sheet.write_row(0, 0, COLUMNS)
        for y, row in enumerate(rows(source), 1):
            for x, value in enumerate(row):
                if value is None:
                    continue
                if x in _BOOLEANS:
                    sheet.write_boolean(y, x, value)
                elif x == _TIME:
                    sheet.write_datetime(y, x, value, time)
                elif x == _COUNT:
                    sheet.write_number(y, x, value)
                else:
                    sheet.write_string(y, x, value)


def openpyxl(source: Path, target: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("accounts")
    sheet.append(COLUMNS)
    for row in rows(source):
        sheet.append(row)
    book.save(target)
