"""The columns of files for people: labels, ids and columns without a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from rendering import extract
from whohas.engine.statement import ResultColumn
from whohas.formats.base import Extract, WriteOptions
from whohas.formats.readable import ColumnChoice, choose_columns, column_labels

READABLE = WriteOptions(detail="readable")
NOW = datetime(2026, 3, 29, tzinfo=UTC)


def columns(*names: str, **fields: Any) -> list[ResultColumn]:
    return [ResultColumn(name, "text", label=name.title(), **fields) for name in names]


def choice(folder: Path, some: Sequence[ResultColumn], *rows: Sequence[Any]) -> ColumnChoice:
    return choose_columns(extract(folder, some, *rows), READABLE)


def as_it_is(rows: Extract) -> Extract:
    return rows


def without_statistics(rows: Extract) -> Extract:
    path = rows.path.with_name("plain.parquet")
    pq.write_table(pq.read_table(rows.path), path, write_statistics=False, row_group_size=2)
    return dataclasses.replace(rows, path=path)


def by_duckdb(rows: Extract) -> Extract:
    path = rows.path.with_name("duckdb.parquet")
    duckdb.sql(f"COPY ({rows.rows.sql}) TO '{path}' (FORMAT parquet)")
    return dataclasses.replace(rows, path=path)


def test_complete_shows_every_column_by_its_name(tmp_path: Path) -> None:
    some = [*columns("a"), *columns("id", readable="never")]
    chosen = choose_columns(extract(tmp_path, some, (None, "1")), WriteOptions())
    assert chosen.headings == ("a", "id")
    assert chosen.left_out == ()


def test_ids_are_left_out_and_named(tmp_path: Path) -> None:
    chosen = choice(tmp_path, [*columns("id", readable="never"), *columns("name")], ("1", "x"))
    assert chosen.headings == ("Name",)
    assert chosen.left_out == (("Ids left out", "Id"),)


def test_details_are_left_out_named_and_not_called_empty(tmp_path: Path) -> None:
    some = [*columns("name"), *columns("nick", "fax", readable="xlsx_only")]
    chosen = choice(tmp_path, some, ("x", "y", None))
    assert chosen.headings == ("Name",)
    assert chosen.left_out == (("Empty, left out", "Fax"), ("Details left out", "Nick"))


def test_key_and_named_columns_are_always_shown(tmp_path: Path) -> None:
    some = [
        ResultColumn("a", "text", key=True),
        ResultColumn("b", "text", readable="always"),
        ResultColumn("c", "text", key=True, readable="never"),
        ResultColumn("d", "text"),
    ]
    chosen = choice(tmp_path, some, (None, "", None, None))
    assert chosen.headings == ("a", "b", "c")
    assert chosen.left_out == (("Empty, left out", "d"),)


_NOTHING: dict[str, list[Any]] = {
    "text": [None, "", None, ""],
    "texts": [None, [], [None], [""]],
    "boolean": [None] * 4,
    "integer": [None] * 4,
    "time": [None] * 4,
}
_SOMETHING: dict[str, Any] = {"text": " ", "texts": ["", "x"], "boolean": False, "integer": 0, "time": NOW}


@pytest.mark.parametrize("rewritten", [as_it_is, without_statistics, by_duckdb])
@pytest.mark.parametrize("place", range(4))
def test_one_value_in_any_row_shows_a_column(rewritten: Any, place: int, tmp_path: Path) -> None:
    some: list[ResultColumn] = []
    cells: list[list[Any]] = []
    for kind, nothing in _NOTHING.items():
        some += [ResultColumn(f"{kind}.none", kind), ResultColumn(f"{kind}.one", kind)]  # type: ignore[arg-type]
        cells += [nothing, [*nothing[:place], _SOMETHING[kind], *nothing[place + 1 :]]]
    rows = rewritten(extract(tmp_path, some, *zip(*cells, strict=True)))
    chosen = choose_columns(rows, READABLE)
    assert chosen.headings == tuple(f"{kind}.one" for kind in _NOTHING)
    assert chosen.left_out == (("Empty, left out", ", ".join(f"{kind}.none" for kind in _NOTHING)),)


def test_names_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    some = [ResultColumn("a", "texts"), ResultColumn("a.b", "texts"), ResultColumn("a.b.c", "text")]
    rows = extract(tmp_path, some, ([], ["x"], ""), ([], [], ""))
    path = tmp_path / "named.parquet"
    pq.write_table(pq.read_table(rows.path).rename_columns(["a", "a.b", "a.b.c"]), path, write_statistics=False)
    assert choose_columns(dataclasses.replace(rows, path=path), READABLE).headings == ("a.b",)


def test_without_rows_no_column_counts_as_empty(tmp_path: Path) -> None:
    chosen = choice(tmp_path, [*columns("id", readable="never"), *columns("name", "mail")])
    assert chosen.headings == ("Name", "Mail")


def test_all_columns_are_shown_if_none_would_be(tmp_path: Path) -> None:
    chosen = choice(tmp_path, [*columns("id", readable="never"), *columns("name")], ("1", None))
    assert chosen.headings == ("Id", "Name")
    assert chosen.left_out == ()


def test_equal_labels_are_told_apart_by_section_or_name() -> None:
    some = [
        ResultColumn("source", "text", label="Source", section="Identity"),
        ResultColumn("account.source", "text", label="Source", section="Account"),
        ResultColumn("mail", "text", label="Mail", section="Attributes"),
        ResultColumn("MAIL", "text", label="MAIL", section="Attributes"),
        ResultColumn("plain", "text"),
    ]
    assert column_labels(some) == [
        "Source (Identity)",
        "Source (Account)",
        "Mail (mail)",
        "MAIL (MAIL)",
        "plain",
    ]
