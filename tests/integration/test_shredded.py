"""Attributes as columns beside the map: whatever is written, a report finds in them what the map holds."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import publish, report_plan, report_rows, stage, write_csv
from whohas.engine.duckdb import create_statement
from whohas.engine.sql import quote_identifier
from whohas.engine.statement import ResultColumn, TableFiles
from whohas.ingest import load
from whohas.ingest.staging import ParquetWriter, rewrite
from whohas.runs.plans import resolve_at_snapshot
from whohas.warehouse import attribute_columns
from whohas.warehouse.attribute_columns import FOOTER_KEY, MIN_COLUMNS, attribute_column_name, file_layouts
from whohas.warehouse.schema import ACCOUNTS, SOURCES
from whohas.warehouse.store import DataFile, TableChange, Warehouse

Attributes = list[tuple[str, list[str | None]]]

NAMES = ["dept", "Dept", "mail", "key_value.key", "id", "it's", '"', "shredded_text_0", ""]
attributes = st.lists(
    st.tuples(st.sampled_from(NAMES), st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=3)), max_size=4
)
"""Names may come twice in a row, and be alike but for case; lists may be empty, and hold nulls."""


def accounts(rows: list[Attributes | None]) -> pa.Table:
    return pa.Table.from_pylist([{"id": str(n), "attributes": row} for n, row in enumerate(rows)], ACCOUNTS.schema)


def written(path: Path, *parts: list[Attributes | None]) -> Path:
    with closing(ParquetWriter(path, ACCOUNTS)) as file:
        for part in parts:
            file.write(accounts(part))
    return path


def facts(path: Path) -> dict[str, Any]:
    return json.loads(pq.read_metadata(path).metadata[FOOTER_KEY])


def found(paths: list[Path], names: list[str]) -> list[list[Any]]:
    """The attributes of all rows in their order: as the columns have them, and as the map does."""
    results: list[list[Any]] = []
    with duckdb.connect() as connection:
        for name in names:
            layout, single = file_layouts(paths, [name])
            connection.execute(create_statement(TableFiles("accounts", (("attributes", ""),), layout)))
            value = ResultColumn(name, "texts", single=name in single).value_sql(
                quote_identifier(attribute_column_name(name))
            )
            results.append(connection.execute(f"SELECT {value}, attributes[$1] FROM accounts", [name]).fetchall())
            connection.execute("DROP VIEW accounts")
    return results


@settings(deadline=None)
@given(st.lists(st.lists(st.one_of(st.none(), attributes), max_size=5), min_size=1, max_size=3))
def test_columns_have_what_the_map_has(parts: list[list[Attributes | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder, "accounts.parquet"), *parts)
        for rows in found([path], NAMES):
            assert all(column == mapped for column, mapped in rows), rows


def test_the_table_keeps_its_rows_and_the_map(tmp_path: Path) -> None:
    rows: list[Attributes | None] = [[("dept", ["IT"])], None, [("mail", ["a", "b"])]]
    table = pq.read_table(written(tmp_path / "a.parquet", rows)).select(ACCOUNTS.schema.names)
    assert table.column("attributes").to_pylist() == rows


def test_one_value_is_a_text_and_several_are_a_list(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", [[("dept", ["IT"]), ("groups", ["a", "b"])], [("groups", ["c"])]])
    assert facts(path) == {"one": {"dept": "shredded_text_0"}, "many": {"groups": "shredded_list_0"}, "rest": []}
    assert pq.read_table(path, columns=["shredded_text_0", "shredded_list_0"]).to_pylist() == [
        {"shredded_text_0": "IT", "shredded_list_0": ["a", "b"]},
        {"shredded_text_0": None, "shredded_list_0": ["c"]},
    ]


def test_an_attribute_that_becomes_multi_valued_stays_in_the_map(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", [[("dept", ["IT"])]], [[("dept", ["HR", "IT"]), ("new", ["1"])]])
    assert facts(path) == {"one": {}, "many": {}, "rest": ["dept", "new"]}
    assert found([path], ["dept", "new"]) == [
        [(["IT"], ["IT"]), (["HR", "IT"], ["HR", "IT"])],
        [(None, None), (["1"], ["1"])],
    ]


def test_only_the_commonest_attributes_get_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_columns, "MAX_COLUMNS", MIN_COLUMNS)
    rows: list[Attributes | None] = [[(f"a{n}", ["x"]) for n in range(MIN_COLUMNS)], [("a9", ["y"])], [("rare", ["z"])]]
    path = written(tmp_path / "a.parquet", rows, [[("a9", ["y"])]])
    said = facts(path)
    assert len(said["one"]) == MIN_COLUMNS and "a9" in said["one"] and len(said["rest"]) == 1
    (name,) = said["rest"]
    assert all(column == mapped for column, mapped in found([path], [name])[0])


def test_no_attribute_of_a_wide_file_uses_the_map(tmp_path: Path) -> None:
    names = [f"a{n}" for n in range(3 * MIN_COLUMNS)]
    path = written(tmp_path / "a.parquet", [[(name, ["x"]) for name in names]])
    (layout,), single = file_layouts([path], names)
    assert single == set(names) and not any("[" in sql for _, sql in layout.computed_columns)


def test_a_file_of_many_rows_has_columns_for_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_columns, "MIN_COLUMNS", 2)
    monkeypatch.setattr(attribute_columns, "MAX_CELLS", 12)
    rows: list[Attributes | None] = [[(f"a{n}", [str(row)]) for n in range(9)] for row in range(4)]
    said = facts(written(tmp_path / "a.parquet", rows))
    assert sorted(said["one"]) == ["a0", "a1", "a2"] and len(said["rest"]) == 6


def test_rows_of_many_columns_are_written_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_columns, "MAX_CELLS", 12)
    part: list[Attributes | None] = [[(f"a{n}", [str(n)]) for n in range(4)]]
    path = written(tmp_path / "a.parquet", part, part * 7)
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [1, 3, 3, 1]
    assert all(column == mapped for rows in found([path], ["a0", "a3"]) for column, mapped in rows)


def test_files_with_and_without_columns_keep_their_order(tmp_path: Path) -> None:
    new = written(tmp_path / "new.parquet", [[("dept", ["IT"])]])
    other = written(tmp_path / "other.parquet", [[("dept", ["a", "b"])]])
    old = tmp_path / "old.parquet"
    pq.write_table(accounts([[("dept", ["HR"])]]), old)
    (rows,) = found([new, old, other, old], ["dept"])
    assert [column for column, _ in rows] == [["IT"], ["HR"], ["a", "b"], ["HR"]]


def test_an_attribute_that_no_account_has_needs_no_map(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", [[("dept", ["IT"])]])
    for paths in ([path], [path, written(tmp_path / "empty.parquet")]):
        (layout,), single = file_layouts(paths, ["none"])
        assert layout.computed_columns == ((attribute_column_name("none"), "NULL::VARCHAR"),) and single == {"none"}


def test_a_file_that_is_written_anew_has_its_columns_again(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", [[("dept", ["IT"])], [("dept", ["HR"])]])
    assert rewrite(path, tmp_path / "b.parquet", ACCOUNTS) == 2
    assert facts(tmp_path / "b.parquet") == facts(path)
    assert found([tmp_path / "b.parquet"], ["dept"]) == found([path], ["dept"])


def test_a_loaded_source_is_reported_without_reading_the_map(tmp_path: Path) -> None:
    (tmp_path / "hr.csv").write_text("id,name,dept,mail\n1,Ann,IT,a@x\n2,Bob,,b@x\n")
    (tmp_path / "hr.toml").write_text(
        '[source]\nname = "HR"\n[accounts]\nfile = "hr.csv"\nattributes = ["dept", "mail"]\n'
        '[accounts.columns]\nnativeIdentity = "id"\nname = "name"\n'
    )
    warehouse = Warehouse(tmp_path / "warehouse")
    load(warehouse, [tmp_path / "hr.toml"])
    snapshot = warehouse.snapshot()
    statement = report_plan(snapshot, "ACCOUNTS", {"sourceName": "HR"}).statement
    assert statement is not None
    (statement,), tables = resolve_at_snapshot([statement], snapshot)
    (table,) = [table for table in tables if table.name == "accounts"]
    assert [sql for layout in table.layouts for _, sql in layout.computed_columns if "attributes" in sql] == []
    rows = report_rows(snapshot, tmp_path, "ACCOUNTS", {"sourceName": "HR"})
    assert [(row["name"], row["dept"], row["mail"]) for row in rows] == [("Ann", "IT", "a@x"), ("Bob", "", "b@x")]
    # who reads Delta Lake sees the table as it is defined
    theirs = DeltaTable(tmp_path / "warehouse" / "accounts").to_pyarrow_table()
    assert theirs.column_names == ACCOUNTS.schema.names
    assert theirs.column("attributes").to_pylist() == [[("dept", ["IT"]), ("mail", ["a@x"])], [("mail", ["b@x"])]]


def test_names_that_differ_in_case_only_stay_apart(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse")
    source = {"id": "s", "name": "S", "accountAttributes": ["Dept", "dept", "mail"]}
    with warehouse.load() as loading:
        path = loading.new_file_path(ACCOUNTS)
        with closing(ParquetWriter(path, ACCOUNTS)) as file:
            row = {"id": "1", "nativeIdentity": "1", "sourceId": "s", "attributes": [("Dept", ["A"]), ("dept", ["b"])]}
            file.write(pa.Table.from_pylist([row], ACCOUNTS.schema))
        changes = [
            TableChange(SOURCES, (stage(loading, SOURCES, [source]),), None),
            TableChange(ACCOUNTS, (DataFile(path, 1, "s"),), None),
        ]
        snapshot = loading.publish(changes, ("s",))
    statement = report_plan(snapshot, "ACCOUNTS", {"sourceName": "S"}).statement
    assert statement is not None and statement.attributes == {"accounts": {"mail": "mail"}}
    lines = write_csv(snapshot, statement, tmp_path).read_text().splitlines()
    header, line = sorted(lines, reverse=True)  # the header is a row here
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    assert (cells["Dept"], cells["dept"], cells["mail"]) == ("A", "b", "")


@pytest.mark.parametrize("rows", [[], [{"id": "1", "nativeIdentity": "1", "sourceId": "s", "attributes": None}]])
def test_old_and_empty_warehouses_are_reported_too(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    snapshot = publish(Warehouse(tmp_path / "w"), [{"id": "s", "name": "S", "accountAttributes": ["dept"]}], rows)
    assert [row["dept"] for row in report_rows(snapshot, tmp_path, "ACCOUNTS", {"sourceName": "S"})] == [""] * len(rows)


def test_a_column_name_is_not_taken_for_a_table() -> None:
    begins = (attribute_columns.TEXT_COLUMN, attribute_columns.LIST_COLUMN)
    assert not [name for name in ACCOUNTS.schema.names if name.startswith(begins)]
    assert attribute_columns.MAP_COLUMN in ACCOUNTS.schema.names
