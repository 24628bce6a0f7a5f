"""Build the changes that a load publishes, one for each table: partitions are replaced, or rows are merged by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from whohas.engine.sql import string_literal
from whohas.ingest.rewrite import rewrite
from whohas.ingest.staging import Stage
from whohas.warehouse.schema import Table
from whohas.warehouse.store import DataFile, Load, TableChange

MERGED_BY_ID = frozenset({"account_activities", "events"})
"""Tables into which a load's rows are merged by id; in other tables whole partitions are replaced."""


def replace_partitions(stage: Stage) -> TableChange:
    """Return the change that replaces the partitions in `stage.touched` by the stage's rows.

    Partitions without staged rows become empty. A table without partitions is replaced as a whole.
    """
    return TableChange(stage.table, data_files(stage), frozenset(stage.touched) if stage.table.partition else None)


def merge_by_id(connection: Any, load: Load, stage: Stage) -> TableChange:
    """Return the change that adds a stage's rows to a table, in place of older rows with the same ids.

    Only the partitions that the stage touches are searched for older rows, and only partitions with such rows are
    rewritten. An example: the snapshot has the events 1 and 2 in the partition 2026-01, and the load brings the events
    2 and 3 of that month. The partition is replaced by two files: a copy of the old one with event 1, and the staged
    one with events 2 and 3.

    Args:
        connection: DuckDB.
        load: the load, which has the snapshot and creates the copies.
        stage: the complete stage.

    Raises:
        Unavailable: the disk is full.
    """
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
            path = load.new_file_path(table)
            rows = rewrite(file.path, path, table, drop)
            if rows:
                kept.append(DataFile(path, rows, file.partition))
            else:
                path.unlink()
    if table.partition is None:
        return TableChange(table, (*kept, *add), None if replace else frozenset())
    return TableChange(table, (*kept, *add), frozenset(replace))


def data_files(stage: Stage) -> tuple[DataFile, ...]:
    """Return a stage's files as files of the store, without those that have no rows."""
    return tuple(DataFile(file.path, file.rows, file.partition) for file in stage.files if file.rows)


def write_rows(load: Load, table: Table, rows: Any) -> TableChange:
    """Write rows to a new file, and return the change that replaces the whole table by it.

    Args:
        load: the load, which creates the file.
        table: a table without partitions.
        rows: an Arrow table in the table's schema.
    """
    import pyarrow.parquet as pq

    path = load.new_file_path(table)
    pq.write_table(rows, path, compression="zstd", store_schema=False)
    return TableChange(table, (DataFile(path, rows.num_rows),), None)


def _known(connection: Any, file: DataFile, new_paths: str) -> Any:
    """Return the indexes of rows in a file whose ids are in the new files, ascending, as an array of int64."""
    found = connection.sql(
        f"SELECT file_row_number AS n FROM read_parquet({string_literal(str(file.path))}, file_row_number = true) "
        f"WHERE id IN (SELECT id FROM read_parquet([{new_paths}])) ORDER BY n"
    ).fetchnumpy()
    return np.asarray(found["n"], dtype=np.int64)


def _paths(paths: Sequence[Any]) -> str:
    return ", ".join(string_literal(str(path)) for path in paths)
