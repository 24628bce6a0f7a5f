"""DuckDB as a run has it."""

from __future__ import annotations

from pathlib import Path

from whohas.engine.duckdb import open_duckdb


def test_a_sort_that_does_not_fit_into_memory_spills_to_a_folder_that_nobody_made(tmp_path: Path) -> None:
    rows = 2_000_000
    spill = tmp_path / "home" / "spill" / "run-1"
    with open_duckdb([], 48 << 20, 1, spill) as engine:
        statement = f"SELECT md5(n::VARCHAR) AS a, md5((n + 1)::VARCHAR) AS b FROM range({rows}) r(n) ORDER BY a"
        assert engine.copy(f"COPY ({statement}) TO '{tmp_path}/rows.csv' (FORMAT csv)", {}) == rows
        assert spill.is_dir()
        assert engine.count("SELECT 1 WHERE $x > 2", {"x": 3}) == 1
