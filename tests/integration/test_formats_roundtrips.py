"""Whatever goes into a file comes out of it: each format, read by a program that people read it with."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from htmlpage import read_page
from rendering import extract, file_of, unzstd
from whohas.engine.sql import string_literal
from whohas.engine.statement import ResultColumn
from whohas.formats.base import WriteOptions
from whohas.formats.column_names import unique_column_names

Grid = list[list[Any]]
"""The header, then the rows."""


def python_csv(path: Path, separator: str = ",") -> Grid:
    packed = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    with pa.input_stream(str(path), compression=packed) as file:
        text = file.read().decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


def duckdb_csv(path: Path) -> Grid:
    columns = "'a': 'VARCHAR', 'b': 'VARCHAR'"
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT * FROM read_csv({string_literal(str(path))}, header = false, delim = ',', quote = '\"', "
            f"escape = '\"', auto_detect = false, columns = {{{columns}}})"
        )
        return [["" if cell is None else cell for cell in row] for row in found.fetchall()]


def pandas_csv(path: Path, separator: str = ",") -> Grid:
    frame = pandas.read_csv(
        path, sep=separator, dtype=str, keep_default_na=False, header=None, skip_blank_lines=False, lineterminator="\n"
    )
    return frame.to_numpy().tolist()


def python_json(path: Path) -> Grid:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [list(rows[0]) if rows else [], *(list(row.values()) for row in rows)]


def python_ndjson(path: Path) -> Grid:
    with path.open(encoding="utf-8", newline="\n") as file:
        rows = [json.loads(line) for line in file]
    return [list(rows[0]) if rows else [], *(list(row.values()) for row in rows)]


def arrow(path: Path) -> Grid:
    table = pq.read_table(path)
    return [table.column_names, *map(list, zip(*(column.to_pylist() for column in table.columns), strict=True))]


def openpyxl(path: Path) -> Grid:
    cells = load_workbook(path).worksheets[0].iter_rows(values_only=True)
    return [[unescape(cell) if isinstance(cell, str) else cell for cell in row] for row in cells]


def html(path: Path) -> Grid:
    page = read_page(path)
    return [page.header, *page.rows]


READERS: Sequence[tuple[str, Callable[[Path], Grid], Any]] = (
    ("csv", python_csv, ""),
    ("csv", duckdb_csv, ""),
    ("csv", pandas_csv, ""),
    ("csv.gz", python_csv, ""),
    ("csv.gz", pandas_csv, ""),
    ("csv.zst", python_csv, ""),
    ("csv.zst", duckdb_csv, ""),
    ("json", python_json, None),
    ("ndjson", python_ndjson, None),
    ("parquet", arrow, None),
    ("xlsx", openpyxl, None),
    ("html", html, ""),
)
"""A format, who reads it, and what a null is there."""
IDS = [f"{format} by {reader.__name__}" for format, reader, _ in READERS]
PIECES = [
    "_x0041_",
    "_x",
    "\r",
    "\n",
    "\t",
    " ",
    "\x01",
    "\x1f",
    "\x7f",
    "\x85",
    "\ufeff",
    "\ufffe",
    "\uffff",
    "\\",
    "null",
    "NA",
]
ANY = st.text() | st.lists(st.sampled_from([*PIECES, *"<>&;,'\"=+-@|é北😀\u2028\u202e\u0301"])).map("".join)
"""All texts that UTF-8 can have; NUL is among what `st.text` gives."""
NAMES = st.lists(
    ANY | st.sampled_from(["mail", "Mail", "MAIL_2", "a", "a.b", "A.c", "a.b.c", "", ".", "ß", "SS"]), min_size=1
)
COLUMNS = (ResultColumn("text", "text"), ResultColumn("last", "text"))
READ = {format: reader for format, reader, _ in reversed(READERS)}
FORMATS = sorted({format for format, _, _ in READERS})


@pytest.mark.parametrize(("format", "reader", "null"), READERS, ids=IDS)
@settings(deadline=None, max_examples=30)
@given(texts=st.lists(st.none() | ANY, min_size=1))
@example(
    texts=["", None, "\0", "a\0b", "\r", "\r\n", '"', '""', ",", ";", "\ufeff", " ", "\t", "'", "\\N", "NULL", "nan"]
)
@example(texts=["x" * 40_000])
def test_any_text_comes_back(format: str, reader: Callable[[Path], Grid], null: Any, texts: list[str | None]) -> None:
    if format == "xlsx":  # an empty text is no cell there, and one that no cell holds is on a sheet of its own
        texts = [text[:1_000] or None if text else None for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        rows = extract(Path(folder), COLUMNS, *[(text, "end") for text in texts])
        assert reader(file_of(rows, format)) == [
            ["text", "last"], *([null if text is None else text, "end"] for text in texts)
        ]  # fmt: skip


def nested(row: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """The names with dots and the values of an object of objects."""
    pairs: list[tuple[str, Any]] = []
    for name, value in row.items():
        pairs += nested(value, f"{before}{name}.") if isinstance(value, dict) else [(before + name, value)]
    return pairs


@pytest.mark.parametrize("format", FORMATS)
@settings(deadline=None, max_examples=20)
@given(names=NAMES)
@example(names=["", "a\0b", "mail", "Mail", "MAIL", "a.b", "A.c", "a", "q\"'", "x;y", "\r\n", "=1"])
@example(names=["\ufeff"])
@example(names=["\ufeffid", "ID", "id", "\ufeff"])
def test_any_names_of_columns_keep_their_cells(format: str, names: list[str]) -> None:
    """CSV, XLSX and HTML have the names as they are; the others as `unique_column_names` has them, JSON by their dots."""
    columns = [ResultColumn(name, "text") for name in names]
    cells = [f"cell {n}" for n in range(len(names))]
    with tempfile.TemporaryDirectory() as folder:
        path = file_of(extract(Path(folder), columns, cells), format)
        if format in ("json", "ndjson"):
            text = path.read_text(encoding="utf-8")
            (row,) = json.loads(text) if format == "json" else [json.loads(text)]
            # what begins alike without regard to case is in one object, named as the first of them
            found = {name.casefold(): cell for name, cell in nested(row)}
            assert found == {
                name.casefold(): cell for name, cell in zip(unique_column_names(columns), cells, strict=True)
            }
            return
        assert READ[format](path) == [unique_column_names(columns) if format == "parquet" else names, cells]


def test_names_that_differ_by_case_are_numbered() -> None:
    names = ["mail", "Mail", "mail_2", "MAIL", "", "column_5", "x"]
    assert unique_column_names([ResultColumn(name, "text") for name in names]) == [
        "mail", "Mail_3", "mail_2", "MAIL_4", "column_5", "column_5_2", "x"
    ]  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_a_report_may_have_no_rows_one_column_and_hundreds(format: str, tmp_path: Path) -> None:
    null = next(null for name, _, null in READERS if name == format)
    wide = [ResultColumn(f"column {n}", "text") for n in range(500)]
    for columns, rows in (
        (COLUMNS, []),
        ((ResultColumn("only", "text"),), [["x"], [None], ["y"], [None]]),
        (wide, [[f"cell {row} {n}" for n in range(500)] for row in range(3)]),
    ):
        path = file_of(extract(tmp_path, columns, *rows), format)
        found = READ[format](path)
        header = [column.name for column in columns]
        if format == "xlsx" and len(columns) == 1:
            assert found == [header, ["x"], [None], ["y"]], "rows after the last that has cells are none"
        else:
            header = [] if "json" in format and not rows else header
            assert found == [header, *[[null if cell is None else cell for cell in row] for row in rows]]


TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
LISTS = st.none() | st.lists(st.none() | ANY)
TYPED = (
    ResultColumn("n", "integer"),
    ResultColumn("yes", "boolean"),
    ResultColumn("time", "time"),
    ResultColumn("texts", "texts"),
)
ROWS = st.lists(
    st.tuples(st.none() | st.integers(-(1 << 63), (1 << 63) - 1), st.none() | st.booleans(), TIMES, LISTS), min_size=1
)
EXTREMES = [
    ((1 << 63) - 1, True, datetime.min.replace(tzinfo=UTC), []),
    (-(1 << 63), False, datetime.max.replace(tzinfo=UTC), [None]),
    (0, None, datetime(1899, 12, 31, 23, 59, 59, 999_000, UTC), ["a", None, "b;c", "", "d, e"]),
    (None, None, datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), [""]),
    (None, None, None, None),
]


def text_of(time: datetime | None) -> str | None:
    """In UTC, to the millisecond that is over: RFC 3339."""
    if time is None:
        return None
    return f"{time.replace(tzinfo=None).isoformat('T', 'milliseconds').rjust(23, '0')}Z"


@settings(deadline=None, max_examples=30)
@given(rows=ROWS)
@example(rows=EXTREMES)
def test_parquet_has_each_value_as_it_is(rows: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = file_of(extract(Path(folder), TYPED, *rows), "parquet")
        assert arrow(path)[1:] == [list(row) for row in rows]
        assert [str(field.type) for field in pq.read_schema(path)] == [
            "int64", "bool", "timestamp[us, tz=UTC]", "list<element: string>"
        ]  # fmt: skip


@pytest.mark.parametrize(("format", "read"), [("json", python_json), ("ndjson", python_ndjson)])
@settings(deadline=None, max_examples=30)
@given(rows=ROWS)
@example(rows=EXTREMES)
def test_json_has_types_lists_and_nulls(format: str, read: Callable[[Path], Grid], rows: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = read(file_of(extract(Path(folder), TYPED, *rows), format))
    assert found[1:] == [[number, yes, text_of(time), texts] for number, yes, time, texts in rows]


@settings(deadline=None, max_examples=30)
@given(rows=ROWS)
@example(rows=EXTREMES)
def test_csv_has_the_documented_texts(rows: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = python_csv(file_of(extract(Path(folder), TYPED, *rows), "csv"))
    words = {None: "", True: "true", False: "false"}
    assert found[1:] == [
        [
            "" if number is None else str(number),
            words[yes],
            text_of(time) or "",
            ";".join(text for text in texts or () if text is not None),
        ]
        for number, yes, time, texts in rows
    ]


@settings(deadline=None, max_examples=8)
@given(rows=ROWS)
@example(rows=EXTREMES)
def test_html_has_what_people_read(rows: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = html(file_of(extract(Path(folder), TYPED, *rows), "html", WriteOptions(zone="+00:00")))
    words = {None: "", True: "true", False: "false"}
    for (number, yes, time, texts), cells in zip(rows, found[1:], strict=True):
        told = "" if time is None else (text_of(time) or "")[:23].replace("T", " ").removesuffix(".000")
        joined = "; ".join(text for text in texts or () if text is not None)
        assert cells == ["" if number is None else str(number), words[yes], told, joined]


OPTIONS = st.builds(WriteOptions, separator=st.sampled_from(",;|\t:~ "), bom=st.booleans(), disarm=st.booleans())
ARMED = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
FORMULAS = st.builds(lambda first, rest: first + rest, st.sampled_from(ARMED), ANY)


@settings(deadline=None, max_examples=60)
@given(options=OPTIONS, texts=st.lists(ANY | FORMULAS, min_size=1), name=st.text(min_size=1) | FORMULAS)
def test_each_csv_option_changes_only_what_it_names(options: WriteOptions, texts: list[str], name: str) -> None:
    def disarmed(text: str) -> str:
        return f"'{text}" if options.disarm and text.startswith(ARMED) else text

    columns = (ResultColumn(name, "text"), ResultColumn("n", "integer"), ResultColumn("many", "texts"))
    with tempfile.TemporaryDirectory() as folder:
        path = file_of(extract(Path(folder), columns, *[(text, -1, [text, "x"]) for text in texts]), "csv", options)
        begin = path.read_bytes()[:3]
        found = python_csv(path, options.separator)
    assert (begin == b"\xef\xbb\xbf") == (options.bom or name[0] == "\ufeff")
    name = name if options.bom else name.removeprefix("\ufeff")  # which a reader would take for the mark
    assert found == [
        [disarmed(name), "n", "many"], *([disarmed(text), "-1", disarmed(f"{text};x")] for text in texts)
    ]  # fmt: skip


def test_only_texts_that_would_run_are_escaped(tmp_path: Path) -> None:
    letters = [*map(chr, range(1, 0xD800)), *map(chr, range(0xE000, 0x10000)), "\U00010000", "\U0010ffff", ""]
    rows = extract(
        tmp_path, (ResultColumn("text", "text"), ResultColumn("n", "integer")), *[(f"{one}1", 1) for one in letters]
    )
    found = [text for text, _ in python_csv(file_of(rows, "csv", WriteOptions(disarm=True)), ",")[1:]]
    assert found == [f"'{one}1" if one and one in ARMED else f"{one}1" for one in letters]


def test_the_compressed_forms_hold_the_same_bytes(tmp_path: Path) -> None:
    rows = extract(tmp_path, COLUMNS, *[(f"text {n}", None) for n in range(50_000)])
    plain = file_of(rows, "csv").read_bytes()
    with gzip.open(file_of(rows, "csv.gz")) as file:
        assert file.read() == plain
    assert unzstd(file_of(rows, "csv.zst").read_bytes()) == plain
    assert file_of(rows, "csv.gz").read_bytes() == file_of(rows, "csv.gz").read_bytes()
