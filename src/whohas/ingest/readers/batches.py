"""Batches of rows, as every reader of input files yields them, and `prefetch`, which reads in a second thread."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

T = TypeVar("T")
RecordNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowError:
    """An error in a row: the row is rejected, or one optional cell of it cannot be read and becomes null.

    Attributes:
        record_number: the record's number as its reader counts it.
        column: the file's column of the error; empty where the whole row is wrong.
        reason: what is wrong, for people.
        row_text: the row as the file has it.
        source_id: the id of the row's source; empty where it is unknown.
        cell_text: the text of the cell that becomes null; None where the row is rejected.
        list_name: the list in a document that contains the rejected item or the cell, such as `access` of an identity;
            empty for whole rows and their own cells.
    """

    record_number: int
    column: str
    reason: str
    row_text: str
    source_id: str = ""
    cell_text: str | None = None
    list_name: str = ""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """A batch of records, as text.

    Attributes:
        data: the columns of a CSV file, with empty text for empty cells; or one column `doc` of JSON objects.
        record_numbers: the number of each record as its reader counts it; the reader's `line_of` converts it to a line
            number.
        row_errors: records between these that could not be read, and cells of these records that could not be read.
        bytes_read: how many bytes of the file have been read so far.
    """

    data: pa.Table
    record_numbers: RecordNumbers
    row_errors: tuple[RowError, ...] = ()
    bytes_read: int = 0


def prefetch(items: Iterator[T], depth: int = 1) -> Generator[T]:
    """Yield the same items, produced in a background thread while the consumer works on earlier ones.

    An exception of the producer is raised to the consumer. Closing the generator stops the thread.

    Args:
        depth: how many finished items may wait for the consumer.
    """
    queue: Queue[tuple[str, Any]] = Queue(depth)
    over = Event()

    def put(kind: str, value: Any) -> bool:
        while not over.is_set():
            try:
                queue.put((kind, value), timeout=0.1)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # raised again in the consumer's thread
            put("error", error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            try:
                kind, value = queue.get(timeout=1)
            except Empty:
                continue
            if kind == "item":
                yield value
            elif kind == "error":
                raise value
            else:
                return
    finally:
        over.set()
        thread.join()
