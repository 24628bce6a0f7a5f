"""Stage the rows of a load in Parquet files, one file per partition, with bounded memory, before they are published.

A `Stage` collects the rows of one table, and a `StageWriter` writes them in a background thread. Next to each file is a
file of origins: the input file and the record from which each row comes.

Staged rows can be dropped or changed afterwards (`rewrite_staged`, `drop_origins`); rows of the snapshot are rewritten
to new files.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import quote_identifier, string_literal
from whohas.errors import Unavailable
from whohas.ingest.readers.batches import RecordNumbers
from whohas.warehouse.arrow import pc
from whohas.warehouse.attribute_columns import AttributeColumnWriter
from whohas.warehouse.evolved import with_current_columns
from whohas.warehouse.schema import Table

ROW_GROUP = 122_880
MOST_OPEN = 48
"""The largest number of partitions written at a time. Rows of further ones go to a scratch file; see `Stage.finish`."""

_PENDING_GROUP = 100_000
_PENDING_ROWS = 300_000
_PENDING_BYTES = 256 << 20
"""The size of one file's waiting rows at which they are written, because rows of thousands of attributes are large."""
_REPEATING = (
    "sourceId",
    "sourceName",
    "sourceType",
    "attributes.key_value.key",
    "entitlementAttributes.key_value.key",
    "connectionType",
    "features",
    "origin",
    "attribute",
    "schema",
    "type",
    "status",
    "month",
    "lifecycleState",
)
FILE_BITS = 40
"""Number of the low bits of an origin, which hold the record number; the bits above hold the input file's number."""


def origins(file: int, records: RecordNumbers) -> RecordNumbers:
    """Return the origins of some records of an input file, one number per record.

    An example: record 7 of file 2 has the origin 2 * 2**40 + 7 = 2199023255559.
    """
    return records | (file << FILE_BITS)


def origin_number(file: int, record: int) -> int:
    """Return the origin of one record of an input file."""
    return record | (file << FILE_BITS)


def origin_of(number: int) -> tuple[int, int]:
    """Return the number of the input file and the record number of an origin: the inverse of `origin_number`."""
    return number >> FILE_BITS, number & ((1 << FILE_BITS) - 1)


@dataclass(slots=True)
class StagedFile:
    """A Parquet file of a stage, complete once `Stage.finish` has returned.

    Attributes:
        path: the Parquet file.
        partition: the value of the table's partition column; None if the table has no partitions.
        rows: the number of rows.
        origins: the file of origins: one int64 in native byte order for each row, in the order of the rows.
    """

    path: Path
    partition: str | None
    rows: int
    origins: Path

    def read_origins(self) -> RecordNumbers:
        """Return the origin of each row."""
        return np.fromfile(self.origins, dtype=np.int64)


class StageWriter:
    """A background thread that runs jobs of writing files, one after the other.

    An error of a job is raised by the next call of `put` or `wait`; the jobs after the failed one are skipped until
    then.
    """

    def __init__(self) -> None:
        self._queue: Queue[Callable[[], None] | None] = Queue(2)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def put(self, job: Callable[[], None]) -> None:
        """Queue a job; blocks while two jobs wait, so that the rows in memory stay few.

        Raises:
            Unavailable: the disk was full during an earlier job.
        """
        self._raise()
        self._queue.put(job)

    def wait(self) -> None:
        """Wait until all queued jobs are done.

        Raises:
            Unavailable: the disk was full during a job.
        """
        self._queue.put(None)
        self._thread.join()
        self._raise()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the queued jobs and stop the thread, without raising errors of jobs."""
        self._queue.put(None)
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._error is None:
                try:
                    job()
                except BaseException as error:
                    self._error = error


@dataclass(slots=True)
class _OpenFile:
    """A file that is being written.

    Attributes:
        file: the file.
        parquet: its Parquet writer, which the writer's thread opens with the first rows.
        pending: rows that are not written yet, with their origins.
        waiting: the number of these rows.
        bytes: their size in memory.
    """

    file: StagedFile
    parquet: ParquetWriter | None = None
    pending: list[tuple[pa.Table, RecordNumbers]] = field(default_factory=list[tuple[pa.Table, RecordNumbers]])
    waiting: int = 0
    bytes: int = 0


class Stage:
    """The rows of one table that a load brings, split into one file per partition.

    At most `MOST_OPEN` files are written at the same time. Rows of further partitions go to one scratch file, and
    `finish` sorts them by partition.

    Args:
        table: the table.
        new_file: returns an unused path for a Parquet file of this table.
        scratch: a folder for files that are not published.
        writer: the thread that writes.

    Attributes:
        table: the table.
        files: the files, in the order in which they were begun.
        touched: the partitions that the load replaces, including those without rows.
    """

    def __init__(self, table: Table, new_file: Callable[[], Path], scratch: Path, writer: StageWriter) -> None:
        self.table = table
        self.files: list[StagedFile] = []
        self.touched: set[str] = set()
        self._new_file = new_file
        self._scratch = scratch
        self._writer = writer
        self._open: dict[str | None, _OpenFile] = {}
        self._late: _OpenFile | None = None
        self._late_values: set[str] = set()

    @property
    def rows(self) -> int:
        """The number of rows in all files; rows that wait in memory or in the scratch file are not counted."""
        return sum(file.rows for file in self.files)

    def touch_partition(self, partition: str) -> None:
        """Mark a partition as replaced by the load, even if it gets no rows."""
        self.touched.add(partition)

    def add(self, data: pa.Table, origin: RecordNumbers) -> None:
        """Stage rows.

        An example, rows of the partitions `[b, a, b]`: `values` is `[b, a]`, `codes` is `[0, 1, 0]`, the stable
        `order` is `[0, 2, 1]`, and `edges` is `[0, 2, 3]`, so rows 0 and 2 go to the file of b and row 1 to that of a.

        Args:
            data: rows in the table's schema.
            origin: the origin of each row.

        Raises:
            Unavailable: the disk was full while earlier rows were written.
        """
        if not data.num_rows:
            return
        if self.table.partition is None:
            self._put(None, data, origin)
            return
        column = data.column(self.table.partition).combine_chunks()
        values = pc.unique(column).to_pylist()
        self.touched.update(values)
        if len(values) == 1 and values[0] not in self._late_values and len(self._open) < MOST_OPEN:
            self._put(values[0], data, origin)
            return
        codes = pc.index_in(column, pa.array(values, pa.string())).to_numpy()
        order = np.argsort(codes, kind="stable")
        edges = np.searchsorted(codes[order], np.arange(len(values) + 1))
        data = data.take(pa.array(order))
        origin = origin[order]
        for number, value in enumerate(values):
            begin, end = edges[number], edges[number + 1]
            part = data.slice(begin, end - begin)
            if value in self._open or (value not in self._late_values and len(self._open) < MOST_OPEN):
                self._put(value, part, origin[begin:end])
            else:
                self._late_values.add(value)
                self._put_late(part, origin[begin:end])

    def finish(self, connection: Any) -> None:
        """Write all rows that still wait, and complete the files.

        Args:
            connection: DuckDB, which sorts the rows in the scratch file by partition.

        Raises:
            Unavailable: the disk is full.
        """
        self._close_all()
        self._split_late(connection)
        self._close_all()
        self._writer.wait()

    def _close_all(self) -> None:
        for held in self._open.values():
            self._flush(held)
            self._close(held)
        self._open.clear()

    def _put(self, partition: str | None, data: pa.Table, origin: RecordNumbers) -> None:
        held = self._open.get(partition)
        if held is None:
            path = self._new_file()
            file = StagedFile(path, partition, 0, self._scratch / f"{self.table.name}-{path.stem}.origins")
            held = self._open[partition] = _OpenFile(file)
            self.files.append(file)
        self._hold(held, data, origin)

    def _put_late(self, data: pa.Table, origin: RecordNumbers) -> None:
        """Add rows to the scratch file, because too many partitions are being written already."""
        if self._late is None:
            path = self._scratch / f"{self.table.name}.late"
            self._late = _OpenFile(StagedFile(path, None, 0, path.with_suffix(".origins")))
        self._hold(self._late, data, origin)

    def _hold(self, held: _OpenFile, data: pa.Table, origin: RecordNumbers) -> None:
        """Keep rows in memory, and write out a file's rows once they are many.

        The file itself is written if its group is large enough; else the file with the most waiting rows, if the rows
        of all files together are too many.
        """
        held.pending.append((data, origin))
        held.waiting += data.num_rows
        held.bytes += data.nbytes
        if held.waiting >= _PENDING_GROUP or held.bytes >= _PENDING_BYTES:
            self._flush(held)
        elif sum(other.waiting for other in self._open.values()) > _PENDING_ROWS:
            self._flush(max(self._open.values(), key=lambda other: other.waiting))

    def _flush(self, held: _OpenFile) -> None:
        """Queue a job that writes the waiting rows of a file."""
        if not held.pending:
            return
        pending, held.pending, held.waiting, held.bytes = held.pending, [], 0, 0
        file = held.file
        file.rows += sum(data.num_rows for data, _ in pending)

        def write() -> None:
            with disk_full_as_unavailable(file.path.parent):
                if held.parquet is None:
                    held.parquet = ParquetWriter(file.path, self.table)
                held.parquet.write(pa.concat_tables([data for data, _ in pending]))
                with file.origins.open("ab") as out:
                    for _, origin in pending:
                        out.write(origin.astype(np.int64, copy=False).tobytes())

        self._writer.put(write)

    def _close(self, held: _OpenFile) -> None:
        def close() -> None:
            with disk_full_as_unavailable(held.file.path.parent):
                if held.parquet is not None:
                    held.parquet.close()

        self._writer.put(close)

    def _split_late(self, connection: Any) -> None:
        """Move the rows of late partitions from the scratch file to a file per partition.

        A partition is late if the largest number of files was open when its first row arrived.

        The rows are read sorted by partition, so that one partition is open at a time. Run-end encoding gives the
        bounds: a batch of the partitions `[a, a, b]` has the values `[a, b]` with the ends `[2, 3]`.
        """
        late, self._late = self._late, None
        if late is None:
            return
        self._flush(late)
        self._close(late)
        self._writer.wait()
        place = late.file.read_origins()
        name = self.table.partition
        assert name is not None
        ordered = connection.sql(
            f"SELECT * FROM read_parquet({string_literal(str(late.file.path))}, file_row_number = true) "
            f"ORDER BY {quote_identifier(name)}, file_row_number"
        ).to_arrow_reader(20_000)
        for batch in ordered:
            data = pa.Table.from_batches([batch])
            origin = place[data.column("file_row_number").to_numpy()]
            rows = data.select(self.table.schema.names).cast(self.table.schema)
            runs = pc.run_end_encode(rows.column(name).combine_chunks())
            begin = 0
            for value, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                # A partition may continue from the previous batch; only a new one closes the file before it.
                if value not in self._open:
                    self._close_all()
                self._put(value, rows.slice(begin, end - begin), origin[begin:end])
                begin = end
        late.file.path.unlink()


class ParquetWriter:
    """A Parquet file that is being written, with additional columns for attributes if the table is shredded.

    Only columns whose values repeat are dictionary-encoded, because building a dictionary takes long.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self._path = path
        self._table = table
        self._shredding = AttributeColumnWriter() if table.shredded else None
        self._writer: pq.ParquetWriter | None = None

    def write(self, data: pa.Table) -> None:
        """Write rows, which have to be in the table's schema."""
        if data.num_rows:
            for rows in [data] if self._shredding is None else self._shredding.with_attribute_columns(data):
                self._open(rows.schema).write_table(rows, row_group_size=ROW_GROUP)

    def close(self) -> None:
        """Complete the file; without any rows it becomes a valid file with no rows."""
        writer = self._open(self._table.schema)
        if self._shredding is not None:
            writer.add_key_value_metadata(self._shredding.footer())
        writer.close()

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        if self._writer is None:
            own = frozenset(self._table.schema.names)
            measured = [field.name for field in self._table.schema if _has_order(field.type)]
            # The columns of shredded attributes repeat their values too, so dictionaries leave less to compress.
            more = [field.name for field in schema if field.name not in own]
            options: dict[str, Any] = {"use_dictionary": [*_REPEATING, *more], "write_statistics": measured}
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd", store_schema=False, **options)
        return self._writer


def _has_order(type: pa.DataType) -> bool:
    """Return whether readers use minimum and maximum of a column to skip row groups."""
    return pa.types.is_string(type) or pa.types.is_timestamp(type)


@contextmanager
def disk_full_as_unavailable(folder: Path) -> Generator[None]:
    """Raise `Unavailable` instead of the operating system's errors of a full disk.

    Args:
        folder: the folder of the files that are written, for the message.

    Raises:
        Unavailable: the disk is full, a quota is used up, or the file would be too large. Other errors pass through.
    """
    try:
        yield
    except OSError as error:
        match error.errno:
            case errno.ENOSPC:
                problem, remedy = f"The disk is full: {folder} takes no more", "Free space there"
            case errno.EDQUOT:
                problem, remedy = f"The disk quota of {folder} is used up", "Free space there or raise the quota"
            case errno.EFBIG:
                problem, remedy = f"A file in {folder} may not grow any further", "Raise the limit (ulimit -f)"
            case _:
                raise
        raise Unavailable(
            f"{problem}. Nothing was loaded, and what was written is removed. {remedy}, and load again."
        ) from error


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
    with (
        disk_full_as_unavailable(target.parent),
        pq.ParquetFile(path) as old,
        closing(ParquetWriter(target, table)) as new,
    ):
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
