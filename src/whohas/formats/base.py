"""Data classes shared by all formats: the format itself, its rows, write options and metadata of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from whohas.engine.statement import ResultColumn
from whohas.engine.summary import RowsSummary

if TYPE_CHECKING:
    import pyarrow as pa

PageSize = Literal["a4", "letter"]
Detail = Literal["readable", "complete"]

_DICTIONARIES = {"PLAIN_DICTIONARY", "RLE_DICTIONARY", "RLE", "BIT_PACKED"}
"""Encodings of a Parquet column whose texts are all in its dictionary; the last two encode which cells are null."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Write options that a user may choose.

    Attributes:
        separator: the character between the cells of a CSV line.
        bom: whether a CSV begins with U+FEFF, by which Excel recognizes UTF-8.
        disarm: whether a CSV text that a spreadsheet would execute as a formula is prefixed with an apostrophe.
        zone: the IANA time zone of times in files for people: PDF, XLSX, HTML.
        page: the paper size of a PDF and of a printed XLSX.
        detail: `readable` if files for people have labels, and leave out ids and columns without any value (an XLSX
            hides these); `complete` if they have every column under its technical name, as earlier versions made them.
        labels: whether the header of an XLSX has labels instead of technical names.
    """

    separator: str = ","
    bom: bool = False
    disarm: bool = False
    zone: str = "UTC"
    page: PageSize = "a4"
    detail: Detail = "complete"
    labels: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the options as a JSON object, with `display` apart: earlier versions reject options that they do not
        know."""
        display = {"detail": self.detail, "labels": self.labels}
        return {"options": {k: v for k, v in asdict(self).items() if k not in display}, "display": display}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> WriteOptions:
        """Return the options that `to_json` wrote, or that an earlier version wrote without `display`."""
        return WriteOptions(**document["options"], **document.get("display", {}))


@dataclass(frozen=True, slots=True)
class ReportMetadata:
    """Metadata of the run whose rows a file has.

    Attributes:
        run: the id of the run, 32 hex digits.
        report: the type of the report, such as `ACCOUNTS`.
        title: the display name of the report.
        description: one sentence about the content of the report.
        arguments: the normalised arguments of the run.
        launcher: name of the user or client that started the run; for a local run of the CLI, the login name.
        started: start of the run, in seconds since 1970.
        snapshot: number of the snapshot that the report was read from.
        loaded: publication of that snapshot, in seconds since 1970; 0 if the snapshot has no time of publication.
        org: the organization; empty if none is set.
        gaps: one sentence about rows that loads rejected and cells that they could not read; empty if no
            row or cell was lost. It is the text of the message `data.incomplete`.
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
class RowsQuery:
    """The rows of one file, as a SQL query.

    Attributes:
        sql: the query; its columns are matched with `columns` by position.
        columns: name and type of each column.
        name: title of the index, if a run has several files in a zip; empty if it has one file.
        group: name of the column by which rows are grouped; empty if they are not grouped.
    """

    sql: str
    columns: tuple[ResultColumn, ...]
    name: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """Query results in a temporary Parquet file, which a format may read several times.

    Attributes:
        path: the Parquet file.
        rows: columns, name and group of the rows; `rows.sql` is not used.
        count: number of rows.
        on_rows: progress callback, called from time to time with the number of rows written.
        summary: the summary of the rows; None for a run of an earlier version.
    """

    path: Path
    rows: RowsQuery
    count: int
    on_rows: Callable[[int], None] = lambda _: None
    summary: RowsSummary | None = None

    def batches(
        self,
        size: int,
        most: int | None = None,
        dictionaries: bool = False,
        places: Sequence[int] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in their order as record batches with one field per column.

        Types are string, bool, int64, timestamp[us, UTC] and list<string>; a column of texts that is `single` is a
        string.

        Args:
            size: maximum number of rows of a batch.
            most: sample size; if the file has more rows, about this many are returned, spread over the whole file.
            dictionaries: whether columns that the file stores as dictionaries are returned as dictionary<string>.
            places: the columns to read, as indexes in the order wanted; None for all.
        """
        from pyarrow import parquet

        repeated = self._repeated() if dictionaries else []
        with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20, read_dictionary=repeated) as file:
            groups = range(file.num_row_groups)
            names = None if places is None else [file.schema_arrow.names[place] for place in places]
            step = 1
            if most is not None and self.count > most:
                step = max(1, round(len(groups) / max(1, most // size)))
            for group in groups[::step]:
                batches = file.iter_batches(size, row_groups=[group], columns=names, use_threads=False)
                for number, batch in enumerate(batches):
                    if number and most is not None and self.count > most:
                        break
                    # a name with a dot also reads columns whose names begin with it
                    yield batch if names is None else batch.select(names)

    def _repeated(self) -> list[str]:
        """Return the text columns that are dictionary-encoded in every row group of the file."""
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
        """Return the number of rows, at least 1, by which a batch stays below a limit of cells and of bytes.

        This does not limit the memory for reading: a page of the Parquet file is always read whole.

        Args:
            cells: maximum number of cells of a batch.
            size: approximate maximum size of the values of a batch, in bytes.
        """
        from pyarrow import parquet

        metadata = parquet.read_metadata(self.path)
        total = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
        return max(1, min(cells // len(self.rows.columns), size * self.count // max(1, total)))


@dataclass(frozen=True, slots=True)
class Format:
    """A file format. It has either `copy` (DuckDB writes the file) or `write` (Python writes it from an extract).

    Attributes:
        name: value of `fileFormat`, lower case; also the file extension.
        media_type: value of `Content-Type` of a download.
        doc: one line for the reference pages.
        copy: returns the COPY statement of DuckDB for rows, path, metadata and options.
        count_header_rows: returns how many rows that COPY counts are header rows.
        write: writes an extract to a path, with metadata and options; returns notes for readers of the run.
        open_output: context manager that yields the path for COPY to write to, such as a pipe to a compressor.
        streams: whether the file is written sequentially, so that a pipe receives the same bytes.
        relative_time: relative time to write a number of rows; 1.0 is the time of CSV.
    """

    name: str
    media_type: str
    doc: str
    copy: Callable[[RowsQuery, Path, ReportMetadata, WriteOptions], str] | None = None
    count_header_rows: Callable[[Sequence[ResultColumn]], int] = lambda _: 0
    write: Callable[[Extract, Path, ReportMetadata, WriteOptions], Sequence[str]] | None = None
    open_output: Callable[[Path], AbstractContextManager[Path]] = nullcontext
    streams: bool = True
    relative_time: float = 1.0
