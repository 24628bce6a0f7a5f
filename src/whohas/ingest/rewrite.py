"""Staged or published files written anew, with rows left out or changed."""

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
    """Writes a file of a table anew and returns how many rows it has.

    Args:
        drop: the places of rows that are left out.
        change: what becomes of the others, row group by row group, their number and order unchanged.
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
    """Writes a staged file anew in its own place."""
    target = file.path.with_suffix(".revised")
    try:
        file.rows = rewrite(file.path, target, table, drop, change)
        target.replace(file.path)
    finally:
        target.unlink(missing_ok=True)
    if drop is not None and len(drop):
        np.delete(file.read_origins(), drop).tofile(file.origins)


def leave_out(stage: Stage, origins: Numbers) -> None:
    """Leaves out the staged rows that have one of these origins."""
    if not len(origins):
        return
    for file in stage.files:
        rows = np.flatnonzero(np.isin(file.read_origins(), origins))
        if len(rows):
            revise(file, stage.table, rows)
