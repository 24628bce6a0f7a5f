"""The changes that a load publishes, one for each table, and the rows that the load rewrites.

Partitions are replaced, or rows are merged by id (`MERGED_BY_ID`). Rows that refer to something that the load changes
are rewritten (`Amendments`). Example: a load changes the id of an identity, so the `identityId` of accounts of other
sources has to follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import string_literal
from whohas.ingest.staging import Change as Revision
from whohas.ingest.staging import Stage, rewrite
from whohas.warehouse.arrow import as_array, pc, replace_column
from whohas.warehouse.evolved import with_current_columns
from whohas.warehouse.schema import Table
from whohas.warehouse.store import DataFile, Load, TableChange

ColumnStep = tuple[Revision, str]
"""A change of a table's rows, and the name of the only text column that it may change."""


class Amendments:
    """Steps that are applied to partitions of the snapshot that a load builds on.

    Args:
        load: the load, which creates the new files.
        changes: the changes of the load so far; partitions that it replaces are not amended.
    """

    def __init__(self, load: Load, changes: Sequence[TableChange]) -> None:
        self._load = load
        self._changes = {change.table.name: change for change in changes}
        self._steps: dict[tuple[str, str], list[ColumnStep]] = {}
        self._tables: dict[str, Table] = {}

    def unreplaced_files(self, table: Table) -> dict[str, list[DataFile]]:
        """Return the files of a table that the load does not replace, by partition.

        The partition is the empty text for a table without partitions.
        """
        change = self._changes.get(table.name)
        files: dict[str, list[DataFile]] = {}
        if change is not None and change.replaced_partitions is None:
            return files
        for file in self._load.base.files(table):
            if change is None or (file.partition or "") not in (change.replaced_partitions or ()):
                files.setdefault(file.partition or "", []).append(file)
        return files

    def add_step(self, table: Table, partition: str, step: ColumnStep) -> None:
        """Add a step for a partition; the steps of one partition are applied in the order in which they were added."""
        self._tables[table.name] = table
        self._steps.setdefault((table.name, partition), []).append(step)

    def apply(self) -> list[TableChange]:
        """Return the load's changes, with those partitions rewritten in which a step changes a row.

        Files are compared first, so partitions that would stay the same are not written.
        """
        for name, table in self._tables.items():
            kept = self.unreplaced_files(table)
            steps = {
                partition: partition_steps
                for (other, partition), partition_steps in self._steps.items()
                if other == name
            }
            for partition, partition_steps in steps.items():
                files = kept.get(partition, [])
                apply = compose([step for step, _ in partition_steps])
                columns = sorted({column for _, column in partition_steps})
                if any(_differs(file, table, apply, columns) for file in files):
                    self._replace(table, partition, files, apply)
        return list(self._changes.values())

    def _replace(self, table: Table, partition: str, files: Iterable[DataFile], step: Revision) -> None:
        add: list[DataFile] = []
        for file in files:
            path = self._load.new_file_path(table)
            add.append(DataFile(path, rewrite(file.path, path, table, change=step), file.partition))
        before = self._changes.get(table.name, TableChange(table, (), frozenset()))
        replace = None if table.partition is None else (before.replaced_partitions or frozenset()) | {partition}
        self._changes[table.name] = TableChange(table, (*add, *before.added_files), replace)


def compose(steps: Sequence[Revision]) -> Revision:
    """Return one change that applies several in order."""

    def apply(data: pa.Table) -> pa.Table:
        for step in steps:
            data = step(data)
        return data

    return apply


def replace_ids(column: str, old: pa.Array, new: pa.Array) -> Revision:
    """Return a change that replaces ids in a column; values that are not among the old ids stay.

    Args:
        column: a column of text.
        old: the ids to replace.
        new: their replacements, at the same positions.
    """

    def apply(data: pa.Table) -> pa.Table:
        values = as_array(data.column(column))
        positions = pc.index_in(values, old)
        if positions.null_count == len(positions):
            return data
        return replace_column(data, column, pc.coalesce(new.take(positions), values))

    return apply


def files_after_load(load: Load, changes: Iterable[TableChange], table: Table) -> list[DataFile]:
    """Return the files of a table as they will be when the load is published, without empty files of the load."""
    for change in changes:
        if change.table is table:
            if change.replaced_partitions is None:
                return [file for file in change.added_files if file.rows]
            kept = [file for file in load.base.files(table) if (file.partition or "") not in change.replaced_partitions]
            return [*kept, *(file for file in change.added_files if file.rows)]
    return load.base.files(table)


def _differs(file: DataFile, table: Table, step: Callable[[pa.Table], pa.Table], columns: Sequence[str]) -> bool:
    """Return whether a step changes a value of the given columns in a file; null and empty text count as equal."""
    with pq.ParquetFile(file.path) as parquet:
        for batch in parquet.iter_batches(60_000):
            data = with_current_columns(pa.Table.from_batches([batch]), table)
            changed = step(data)
            for column in columns:
                old, new = data.column(column).fill_null(""), changed.column(column).fill_null("")
                if not pc.all(pc.equal(old, new)).as_py():
                    return True
    return False


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
