"""What a format is, and what a file is told of the run whose rows it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from whohas.engine.statement import Column

if TYPE_CHECKING:
    import pyarrow as pa

PageSize = Literal["a4", "letter"]

_DICTIONARIES = {"PLAIN_DICTIONARY", "RLE_DICTIONARY", "RLE", "BIT_PACKED"}
"""Encodings of a Parquet column whose texts are all in its dictionary; the last two are of what is null."""


@dataclass(frozen=True, slots=True)
class Options:
    """How files are written, where a reader may choose.

    Attributes:
        separator: between the cells of a CSV line, one character.
        bom: whether a CSV begins with U+FEFF, by which Excel knows UTF-8.
        disarm: whether a CSV text that a spreadsheet would run gets an apostrophe before it.
        zone: the IANA time zone of times in files for people: PDF, XLSX, HTML.
        page: the paper of a PDF, and of an XLSX that is printed.
    """

    separator: str = ","
    bom: bool = False
    disarm: bool = False
    zone: str = "UTC"
    page: PageSize = "a4"


@dataclass(frozen=True, slots=True)
class About:
    """The run that a file is of.

    Attributes:
        run: its id, 32 hex digits.
        report: the report's type; `title` its name as people read it.
        description: what the report shows, one sentence.
        arguments: normalised.
        launcher: who started it.
        started: when, seconds since 1970.
        snapshot: the number of the load as of which it tells; `loaded` is when that was published, in the same
            seconds.
        org: the organisation.
        gaps: what loads could not take from the files of the data, one sentence; empty where all is in.
    """

    run: str
    report: str
    title: str
    description: str
    arguments: Mapping[str, Any]
    launcher: str
    started: float
    snapshot: int
    loaded: float
    org: str
    gaps: str = ""

    @property
    def started_at(self) -> datetime:
        return datetime.fromtimestamp(self.started, UTC)

    @property
    def loaded_at(self) -> datetime:
        return datetime.fromtimestamp(self.loaded, UTC)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one file as a statement's answer.

    Attributes:
        sql: gives them; columns by position.
        name: what they are, in a zip of several: an index's title; empty where there is one file.
        group: the column whose equal values stand together; empty where none does.
    """

    sql: str
    columns: tuple[Column, ...]
    name: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """Rows that were extracted once, in a Parquet file, to be read as often as a format needs.

    Attributes:
        rows: what they are; `sql` is not looked at.
        count: how many there are.
        on_rows: to be called now and then with how many have been written.
    """

    path: Path
    rows: Rows
    count: int
    on_rows: Callable[[int], None] = lambda _: None

    def batches(self, size: int, most: int | None = None, dictionaries: bool = False) -> Iterator[pa.RecordBatch]:
        """The rows in their order, a field a column: string, bool, int64, timestamp[us, UTC] or
        list<string>; of texts that are `single` a string.

        Args:
            size: rows of a batch at most.
            most: where not all are needed: about so many, from places all over the file.
            dictionaries: whether columns of few different texts come as dictionary<string>, as the file has them.
        """
        from pyarrow import parquet

        repeated = self._repeated() if dictionaries else []
        with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20, read_dictionary=repeated) as file:
            groups = range(file.num_row_groups)
            step = 1
            if most is not None and self.count > most:
                step = max(1, round(len(groups) / max(1, most // size)))
            for group in groups[::step]:
                for number, batch in enumerate(file.iter_batches(size, row_groups=[group], use_threads=False)):
                    if number and most is not None and self.count > most:
                        break
                    yield batch

    def _repeated(self) -> list[str]:
        """The columns of text that the file keeps as dictionaries from its first row to its last."""
        from pyarrow import parquet

        metadata = parquet.read_metadata(self.path)
        groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
        plain = {
            group.column(n).path_in_schema
            for group in groups
            for n in range(group.num_columns)
            if not _DICTIONARIES.issuperset(group.column(n).encodings)
        }
        names = metadata.schema.to_arrow_schema().names
        return [
            name
            for name, column in zip(names, self.rows.columns, strict=True)
            if (column.type == "text" or column.single) and name not in plain
        ]

    def batch_size(self, cells: int, size: int) -> int:
        """Rows to read at a time, at least one, so that a batch is large neither by its columns nor by long texts.

        A page of the Parquet file is read whole all the same: one of many long texts takes what it takes.

        Args:
            cells: of a batch, at most.
            size: of a batch's values, in bytes, about.
        """
        from pyarrow import parquet

        metadata = parquet.read_metadata(self.path)
        total = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
        return max(1, min(cells // len(self.rows.columns), size * self.count // max(1, total)))


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file. It has `copy`, a statement for the engine, or `write`, which reads an extract.

    Attributes:
        name: what `fileFormat` asks for, lower case; also the file's extension.
        media_type: what a download says it is.
        doc: one line for the reference.
        copy: rows, path, what they are of and options, to a COPY statement of DuckDB.
        uncounted: how many of the rows that COPY counts are none of the report's.
        write: extract, path, what it is of and options; writes the file, and returns what a reader of the run should
            know of it.
        through: opens the file for what COPY writes, where it goes on its way through something else.
        streams: whether the file is written from its first byte to its last, and the same through a pipe.
        weight: how long it takes for as many rows, in units of a CSV.
    """

    name: str
    media_type: str
    doc: str
    copy: Callable[[Rows, Path, About, Options], str] | None = None
    uncounted: Callable[[Sequence[Column]], int] = lambda _: 0
    write: Callable[[Extract, Path, About, Options], Sequence[str]] | None = None
    through: Callable[[Path], AbstractContextManager[Path]] = nullcontext
    streams: bool = True
    weight: float = 1.0
