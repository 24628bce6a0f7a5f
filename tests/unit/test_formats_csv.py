"""The text of each kind of cell in a CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import duckdb
import pandas
import pytest

from csvfiles import written
from whohas.engine.statement import ResultColumn
from whohas.formats.base import RowsQuery, WriteOptions
from whohas.formats.csv import copy_statement


def test_a_null_and_an_empty_text_are_empty_cells(tmp_path: Path) -> None:
    text, _ = written(
        tmp_path,
        "SELECT NULL, 'x', ''",
        [ResultColumn("a", "text"), ResultColumn("b", "text"), ResultColumn("c", "text")],
    )
    assert list(csv.reader(text.splitlines())) == [["a", "b", "c"], ["", "x", ""]]


def test_a_time_is_utc_with_milliseconds(tmp_path: Path) -> None:
    text, _ = written(tmp_path, "SELECT TIMESTAMPTZ '2026-03-29 02:30:00.1239+02'", [ResultColumn("created", "time")])
    assert text == "created\n2026-03-29T00:30:00.123Z\n"


def test_booleans_are_true_and_false(tmp_path: Path) -> None:
    text, _ = written(tmp_path, "SELECT true, false, NULL::BOOLEAN", [ResultColumn(n, "boolean") for n in "abc"])
    assert text == "a,b,c\ntrue,false,\n"


def test_several_values_are_joined_with_a_semicolon(tmp_path: Path) -> None:
    text, _ = written(tmp_path, "SELECT ['CN=a,DC=x', 'CN=b']", [ResultColumn("memberOf", "texts")])
    assert text == 'memberOf\n"CN=a,DC=x;CN=b"\n'


def test_names_that_differ_only_in_case_both_keep_their_name(tmp_path: Path) -> None:
    text, rows = written(
        tmp_path,
        "SELECT * FROM (VALUES ('1', '2'), ('3', '4'))",
        [ResultColumn("mail", "text"), ResultColumn("Mail", "text")],
    )
    assert text == "mail,Mail\n1,2\n3,4\n"
    assert rows == 2


def test_a_report_without_rows_has_its_header(tmp_path: Path) -> None:
    text, rows = written(tmp_path, "SELECT 1 WHERE false", [ResultColumn('say "hi", all', "integer")])
    assert (text, rows) == ('"say ""hi"", all"\n', 0)


def test_rows_keep_the_order_of_the_statement(tmp_path: Path) -> None:
    text, rows = written(tmp_path, "SELECT range FROM range(300000)", [ResultColumn("n", "integer")])
    assert text.split() == ["n", *map(str, range(300_000))]
    assert rows == 300_000


@pytest.mark.parametrize("bom", [False, True])
@pytest.mark.parametrize("names", [["\ufeff"], ["\ufeffid", "b"], ["\ufeffid", "\ufeffID"], ['\ufeff"q', ""]])
def test_a_name_may_begin_with_a_byte_order_mark(tmp_path: Path, names: list[str], bom: bool) -> None:
    path = tmp_path / "marked.csv"
    columns = tuple(ResultColumn(name, "text") for name in names)
    cells = ", ".join("unnest(['x', NULL, ''])" for _ in names)
    with duckdb.connect() as connection:
        connection.execute(copy_statement(RowsQuery(f"SELECT {cells}", columns), path, WriteOptions(bom=bom)))
        dialect = "header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"'"
        found = connection.execute(f"SELECT * FROM read_csv($1, {dialect})", [str(path)])
        by_duckdb = [column[0] for column in found.description]
    assert path.read_bytes().startswith(b'\xef\xbb\xbf"' if bom else b'"')
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    assert rows == [names, ["x"] * len(names), [""] * len(names), [""] * len(names)]
    if len({name.casefold() for name in names} - {""}) == len(names):  # else DuckDB numbers them
        assert by_duckdb == names
    if len(set(names)) == len(names) and "" not in names:  # else pandas numbers them
        assert list(pandas.read_csv(path)) == names
