"""Build the change of each table that a load publishes: replaced partitions, or rows merged by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from whohas.engine.sql import literal
from whohas.ingest.rewrite import rewrite
from whohas.ingest.staging import Stage
from whohas.warehouse.schema import Table
from whohas.warehouse.store import Change, DataFile, Load

MERGED = frozenset({"account_activities", "events"})
"""Tables into which a load's rows are merged by id; of other tables whole partitions are replaced."""


def replaced(stage: Stage) -> Change:
    """Return the change that replaces the stage's partitions, or the whole table if it has none, by its rows."""
    return Change(stage.table, data_files(stage), frozenset(stage.touched) if stage.table.partition else None)


def merged(connection: Any, load: Load, stage: Stage) -> Change:
    """Return the change that adds a stage's rows and drops older rows of the same partitions with the same ids."""
    table = stage.table
    add = list(data_files(stage))
    touched = frozenset(stage.touched) if table.partition else None
    old = load.base.files(table, touched)
    new_paths = _paths([file.path for file in stage.files])
    replace: set[str] = set()
    kept: list[DataFile] = []
    for partition in sorted({file.partition or "" for file in old}):
        files = [file for file in old if (file.partition or "") == partition]
        drops = [_known(connection, file, new_paths) for file in files]
        if not any(len(drop) for drop in drops):
            continue
        replace.add(partition)
        for file, drop in zip(files, drops, strict=True):
            path = load.new_file(table)
            rows = rewrite(file.path, path, table, drop)
            if rows:
                kept.append(DataFile(path, rows, file.partition))
            else:
                path.unlink()
    if table.partition is None:
        return Change(table, (*kept, *add), None if replace else frozenset())
    return Change(table, (*kept, *add), frozenset(replace))


def data_files(stage: Stage) -> tuple[DataFile, ...]:
    """A stage's files as the store knows files."""
    return tuple(DataFile(file.path, file.rows, file.partition) for file in stage.files if file.rows)


def write_rows(load: Load, table: Table, rows: Any) -> Change:
    """The change that puts these rows in place of the whole table."""
    import pyarrow.parquet as pq

    path = load.new_file(table)
    pq.write_table(rows, path, compression="zstd", store_schema=False)
    return Change(table, (DataFile(path, rows.num_rows),), None)


def _known(connection: Any, file: DataFile, new_paths: str) -> Any:
    found = connection.sql(
        f"SELECT file_row_number AS n FROM read_parquet({literal(str(file.path))}, file_row_number = true) "
        f"WHERE id IN (SELECT id FROM read_parquet([{new_paths}])) ORDER BY n"
    ).fetchnumpy()
    return np.asarray(found["n"], dtype=np.int64)


def _paths(paths: Sequence[Any]) -> str:
    return ", ".join(literal(str(path)) for path in paths)
