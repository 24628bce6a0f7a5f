"""DuckDB as a run has it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.duckdb import open_duckdb
from whohas.engine.statement import FileLayout, TableFiles


def test_a_sort_larger_than_memory_spills_to_a_new_folder(tmp_path: Path) -> None:
    rows = 2_000_000
    spill = tmp_path / "home" / "spill" / "run-1"
    with open_duckdb([], 48 << 20, 1, spill) as engine:
        statement = f"SELECT md5(n::VARCHAR) AS a, md5((n + 1)::VARCHAR) AS b FROM range({rows}) r(n) ORDER BY a"
        assert engine.copy(f"COPY ({statement}) TO '{tmp_path}/rows.csv' (FORMAT csv)", {}) == rows
        assert spill.is_dir()
        assert engine.count("SELECT 1 WHERE $x > 2", {"x": 3}) == 1


def test_an_ordered_scan_keeps_its_order_on_several_threads(tmp_path: Path) -> None:
    """Search exports count on it, where the documents lie in the order of their ids."""
    rows, path = 1_000_000, tmp_path / "numbers.parquet"
    duckdb.execute(
        f"COPY (SELECT n, md5(n::VARCHAR) AS text FROM range({rows}) r(n)) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 50000)"
    )
    for threads in (2, 4):
        with open_duckdb(
            [TableFiles("numbers", (), (FileLayout((str(path),)),))], 256 << 20, threads, tmp_path / "spill"
        ) as engine:
            copy = f"COPY (SELECT n FROM numbers WHERE contains(text, 'a')) TO '{tmp_path}/n.csv' (FORMAT csv, HEADER false)"
            count = engine.copy(copy, {}, ordered=True)
        found = [int(line) for line in (tmp_path / "n.csv").read_text().split()]
        assert len(found) == count
        assert found == sorted(found)


def test_joined_rows_keep_the_order_of_the_first_table(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT n, n % 3 AS of FROM range(250) r(n)) TO '{tmp_path}/few.parquet' (FORMAT parquet)")
    duckdb.execute(f"COPY (SELECT n * 2 AS id FROM range(90000) r(n)) TO '{tmp_path}/many.parquet' (FORMAT parquet)")
    tables = [TableFiles(name, (), (FileLayout((f"{tmp_path}/{name}.parquet",)),)) for name in ("few", "many")]
    statement = "SELECT n FROM few LEFT JOIN many ON many.id = few.n"
    with open_duckdb(tables, 256 << 20, 2, tmp_path / "spill") as engine:
        copy = f"COPY ({statement}) TO '{tmp_path}/n.csv' (FORMAT csv, HEADER false)"
        assert engine.copy(copy, {}, joins_as_written=True) == 250
    assert [int(line) for line in (tmp_path / "n.csv").read_text().split()] == list(range(250))


def test_nulls_beside_one_value_are_told_apart(tmp_path: Path) -> None:
    """DuckDB 2.0.0 gave every row of such a column for IS NULL, by its statistics."""
    path = tmp_path / "managers.parquet"
    table = pa.table({"id": ["1", "2", "3"], "manager": pa.array([None, None, "9"])})
    pq.write_table(table, path, use_dictionary=False, write_statistics=True)
    wanted = {
        "manager IS NULL": 2,
        "coalesce(manager, '') = ''": 2,
        "manager IS DISTINCT FROM '9'": 2,
        "manager = '9'": 1,
    }
    with open_duckdb(
        [TableFiles("managers", (), (FileLayout((str(path),)),))], 256 << 20, 1, tmp_path / "spill"
    ) as engine:
        found = {where: engine.count(f"FROM managers WHERE {where}", {}) for where in wanted}
    assert found == wanted


def test_a_wide_statement_is_planned_without_comparing_its_expressions(tmp_path: Path) -> None:
    asked = "SELECT 1 WHERE current_setting('disabled_optimizers') LIKE '%common_subexpressions%'"
    for wide in (False, True):
        with open_duckdb([], 256 << 20, 1, tmp_path / "spill") as engine:
            engine.copy(f"COPY (SELECT 1) TO '{tmp_path}/n.csv' (FORMAT csv)", {}, joins_as_written=True, wide=wide)
            assert engine.count(asked, {}) == int(wide)
            assert engine.count(asked.replace("common_subexpressions", "join_order"), {}) == 1
