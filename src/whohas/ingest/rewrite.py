"""Rewrite staged or published Parquet files, with rows dropped or changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.ingest.readers.batches import Numbers
from whohas.ingest.staging import ROW_GROUP, ParquetFile, Stage, StagedFile, disk_space
from whohas.warehouse.evolved import conform
from whohas.warehouse.schema import Table

Change = Callable[[pa.Table], pa.Table]


def rewrite(path: Path, target: Path, table: Table, drop: Numbers | None = None, change: Change | None = None) -> int:
    """Write a copy of a table's file to `target`, and return its number of rows.

    Args:
        drop: indexes of the rows to leave out.
        change: called with batches of the other rows; returns as many rows, in the same order.
    """
    rows = start = 0
    with disk_space(target), pq.ParquetFile(path) as old, closing(ParquetFile(target, table)) as new:
        for batch in old.iter_batches(ROW_GROUP // 2):
            data = conform(pa.Table.from_batches([batch]), table)
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


def revise(file: StagedFile, table: Table, drop: Numbers | None = None, change: Change | None = None) -> None:
    """Rewrite a staged file in place, and drop the origins of dropped rows; see `rewrite`."""
    target = file.path.with_suffix(".revised")
    try:
        file.rows = rewrite(file.path, target, table, drop, change)
        target.replace(file.path)
    finally:
        target.unlink(missing_ok=True)
    if drop is not None and len(drop):
        np.delete(file.read_origins(), drop).tofile(file.origins)


def leave_out(stage: Stage, origins: Numbers) -> None:
    """Drop the staged rows that have one of these origins."""
    if not len(origins):
        return
    for file in stage.files:
        rows = np.flatnonzero(np.isin(file.read_origins(), origins))
        if len(rows):
            revise(file, stage.table, rows)
