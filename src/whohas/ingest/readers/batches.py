"""The form in which every reader hands on what it read, and a reader's work beside its consumer's."""

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
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that is rejected, or an optional cell that cannot be read and becomes null.

    Attributes:
        record: the record's number as its reader counts.
        column: the file's column that is wrong; empty where the whole row is.
        row: the row as it stands in the file.
        source: the id of the row's source; empty where it is not known.
        value: the text of the cell that becomes null; None where the row is rejected.
        part: the list that a rejected item, or the item of the value, lies in, such as `access` of an identity; empty
            for whole rows and their own cells.
    """

    record: int
    column: str
    reason: str
    row: str
    source: str = ""
    value: str | None = None
    part: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records, as text.

    Attributes:
        data: the columns of a CSV file, empty text where a cell is empty; or one column `doc` of JSON objects.
        records: each record's number as its reader counts: `line_of` of the reader makes it a line.
        faults: records in between that could not be read, and cells of the records that could not.
        position: bytes of the file that have been read so far.
    """

    data: pa.Table
    records: Numbers
    faults: tuple[Fault, ...] = ()
    position: int = 0


def ahead(items: Iterator[T], depth: int = 1) -> Generator[T]:
    """The same items, made in another thread while the consumer works on those before.

    Args:
        depth: how many may wait.
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
        except BaseException as error:  # whatever it is, the consumer raises it
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
