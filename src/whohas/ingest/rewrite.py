"""Rewrite Parquet files with rows dropped or changed: staged files in place, files of the snapshot as new files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.ingest.readers.batches import RecordNumbers
from whohas.ingest.staging import ROW_GROUP, ParquetWriter, Stage, StagedFile, disk_full_as_unavailable
from whohas.warehouse.evolved import with_current_columns
from whohas.warehouse.schema import Table

Change = Callable[[pa.Table], pa.Table]


def rewrite(
    path: Path, target: Path, table: Table, drop: RecordNumbers | None = None, change: Change | None = None
) -> int:
    """Write a copy of a table's file to `target`, and return its number of rows.

    A file that was written with an older schema is brought to the current one.

    Args:
        path: the file to copy.
        target: the new file.
        table: the table of both.
        drop: indexes of the rows to leave out, in any order. An example: in the second batch of 61,440 rows, which
            starts at row 61,440, the index 61,445 leaves out row 5 of the batch.
        change: called with batches of the remaining rows, in order; returns as many rows, in the same order.

    Raises:
        Unavailable: the disk is full.
    """
    rows = start = 0
    with disk_full_as_unavailable(target), pq.ParquetFile(path) as old, closing(ParquetWriter(target, table)) as new:
        for batch in old.iter_batches(ROW_GROUP // 2):
            data = with_current_columns(pa.Table.from_batches([batch]), table)
            if drop is not None and len(drop):
                keep = np.ones(data.num_rows, dtype=bool)
                keep[drop[(drop >= start) & (drop < start + data.num_rows)] - start] = False
                start += data.num_rows
                data = data.filter(pa.array(keep))
            if change is not None and data.num_rows:
                data = change(data)
            rows += data.num_rows
            new.write(data)
    return rows


def rewrite_staged(
    file: StagedFile, table: Table, drop: RecordNumbers | None = None, change: Change | None = None
) -> None:
    """Rewrite a staged file in place, and remove the dropped rows from its file of origins too.

    The file stays as it was if rewriting fails. The arguments are those of `rewrite`.

    Raises:
        Unavailable: the disk is full.
    """
    target = file.path.with_suffix(".revised")
    try:
        file.rows = rewrite(file.path, target, table, drop, change)
        target.replace(file.path)
    finally:
        target.unlink(missing_ok=True)
    if drop is not None and len(drop):
        np.delete(file.read_origins(), drop).tofile(file.origins)


def drop_origins(stage: Stage, origins: RecordNumbers) -> None:
    """Drop the rows of a stage that have one of some origins. The files of the stage have to be complete."""
    if not len(origins):
        return
    for file in stage.files:
        rows = np.flatnonzero(np.isin(file.read_origins(), origins))
        if len(rows):
            rewrite_staged(file, stage.table, rows)
