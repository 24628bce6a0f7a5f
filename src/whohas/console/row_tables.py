"""The rows of a run as a table that can be paged, sorted and filtered, up to millions of rows.

The rows are in a Parquet file: an extract, the run's own Parquet file, or one that is made from its CSV file and kept
for a while. DuckDB reads a page by the numbers of its rows, so that it skips most of the file. Sorting and filtering
first give the numbers of the rows in order; they are cached, because the pages that follow need the same numbers.

A table shows the columns that a readable file of the run shows, under their labels (`formats.readable`), or with
`detail=complete` all of them under their technical names.

Example: sorted by name, the numbers of a file with the names (carl, ann, bob) are (1, 2, 0). The page of two rows from
the second on is the rows 2 and 0: bob and carl.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from whohas import atomic
from whohas.db.cache import Cache
from whohas.engine.sql import quote_identifier, string_literal
from whohas.engine.statement import ColumnType
from whohas.errors import NotFound, Unavailable
from whohas.formats.base import Detail, Extract, RowsQuery, WriteOptions
from whohas.reports.base import ReportPart
from whohas.runs.models import Run
from whohas.settings import MiB, Settings
from whohas.storage import EXTRACT, Artifact, ArtifactStore

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    from whohas.formats.readable import ColumnChoice

MAX_PAGE = 500
"""The most rows of a page."""
QUERIES_AT_ONCE = 2
"""The most queries for rows that one server executes at the same time; others wait."""
MAX_COLUMNS = 400
"""The most columns that a table shows; a file with more has the others."""

_MEMORY = 512 * MiB
_CACHED_NUMBERS = 16_000_000
"""The most row numbers that are cached, of 4 bytes each."""
_ROW = "file_row_number"
"""The name of the column that DuckDB adds: the number of the row in the file, from 0."""
_ROW_GROUP = 20_480
_CACHED_TABLES = 200
_TIME = "%Y-%m-%d %H:%M:%S"
_INTEGERS = ("BIGINT", "INTEGER", "HUGEINT")
_OF_INTEGERS = frozenset("-0123456789")
_OF_TIMES = frozenset("-: 0123456789infinity")
"""The characters of which times consist, among them one that has no end."""


@dataclass(frozen=True, slots=True)
class RowColumn:
    """A column of a table.

    Attributes:
        name: its name in the file.
        type: the type that DuckDB reports, such as `VARCHAR`, `BOOLEAN`, `BIGINT`, `TIMESTAMP WITH TIME ZONE` or
            `VARCHAR[]`.
        heading: its heading.
        kind: its type in the report, which a file of texts does not have; None if it is not known.
        is_readable: whether cells are texts for people, such as `Yes` for true.
    """

    name: str
    type: str
    heading: str
    kind: ColumnType | None = None
    is_readable: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it has numbers, which are aligned at their end."""
        return self.kind == "integer" or self.type in (*_INTEGERS, "DOUBLE")

    @property
    def text(self) -> str:
        """The SQL of its display text."""
        name = quote_identifier(self.name)
        if self.type.endswith("[]"):
            return f"array_to_string({name}, '; ')"
        if self.type.startswith("TIMESTAMP"):
            return f"strftime({name}, '{_TIME}')"
        text = f"{name}::VARCHAR"
        if self.is_readable and self.kind == "boolean":
            return f"CASE {text} WHEN 'true' THEN 'Yes' WHEN 'false' THEN 'No' ELSE {text} END"
        if self.is_readable and self.kind == "time":
            return f"coalesce(strftime(try_cast({name} AS TIMESTAMP), '{_TIME}'), {text})"
        return text

    def contains(self, text: str) -> str | None:
        """Return the SQL that says whether its display text contains the parameter `$1`, without regard to case.

        Args:
            text: the parameter.

        Returns:
            The SQL; None if no cell of such a column can contain the text. A search for a name reads neither times nor
            numbers then, whose texts would take longer to write than all others to search.
        """
        if self.type == "BOOLEAN":
            name = quote_identifier(self.name)
            words = {
                ("yes" if self.is_readable else "true"): name,
                ("no" if self.is_readable else "false"): f"NOT {name}",
            }
            return " OR ".join(condition for word, condition in words.items() if text.lower() in word) or None
        is_time, is_integer = self.type.startswith("TIMESTAMP"), self.type in _INTEGERS
        if (is_time and not set(text.lower()) <= _OF_TIMES) or (is_integer and not set(text) <= _OF_INTEGERS):
            return None
        return f"contains(lower({self.text}), lower($1))"

    @property
    def order(self) -> str:
        """The SQL by which rows are sorted: texts without regard to case."""
        if self.kind == "integer":
            return f"try_cast({quote_identifier(self.name)} AS HUGEINT)"
        is_text = self.type == "VARCHAR" or self.type.endswith("[]")
        return f"lower({self.text})" if is_text else quote_identifier(self.name)


@dataclass(frozen=True, slots=True)
class RowTable:
    """A Parquet file with the rows of a run, or of one file of a zip.

    Attributes:
        path: the file.
        name: the title of the file in the zip; empty for a run with a single table.
        columns: the columns that are shown.
        hidden: the number of columns beyond `MAX_COLUMNS`.
        rows: the number of rows.
        left_out: the kinds of columns that readable files leave out, each with its headings; see `ColumnChoice`.
        left_out_count: the number of these columns.
    """

    path: Path
    name: str
    columns: tuple[RowColumn, ...]
    hidden: int
    rows: int
    left_out: tuple[tuple[str, str], ...] = ()
    left_out_count: int = 0


@dataclass(frozen=True, slots=True)
class RowRequest:
    """A request for a page of rows.

    Attributes:
        start: the first row, from 0.
        count: the number of rows.
        sort: the number of the column to sort by, from 0; None for the order of the file.
        descending: whether the last one comes first. Empty cells are at the end in either case.
        text: a text that a cell of each row must contain, without regard to case; empty for all rows.
    """

    start: int = 0
    count: int = 100
    sort: int | None = None
    descending: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page of rows.

    Attributes:
        total: the number of rows on all pages.
        start: the number of the first row in the order of the request.
        rows: the display texts of the cells; None for an empty one.
    """

    total: int
    start: int
    rows: list[tuple[str | None, ...]]


class RowTables:
    """The tables of the runs of an installation, and the DuckDB that reads them.

    Args:
        settings: the settings.
        artefacts: the files of runs.
    """

    def __init__(self, settings: Settings, artefacts: ArtifactStore) -> None:
        self._settings = settings
        self._artefacts = artefacts
        self._folder = settings.spill_path / "console"
        self._lock = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._numbers: Cache[np.ndarray[Any, Any]] = Cache(_CACHED_NUMBERS, weigh=len)
        self._tables: Cache[RowTable] = Cache(_CACHED_TABLES)
        self._choices: Cache[ColumnChoice] = Cache(_CACHED_TABLES)

    def tables(self, run: Run, parts: Sequence[ReportPart] = (), detail: Detail = "complete") -> tuple[RowTable, ...]:
        """Return the tables of a run: one, or one for each file of a zip; none where the run has no file with rows.

        Args:
            run: the run.
            parts: the parts of its plan, which have the labels of its columns; none for a run without a plan.
            detail: which columns are shown: those of readable files, or all of them.

        Raises:
            Unavailable: a file cannot be read.
        """
        return tuple(self._chosen(table, parts, detail) for table in self._whole_tables(run))

    def _whole_tables(self, run: Run) -> tuple[RowTable, ...]:
        extracts = [file for file in run.artefacts if file.format == EXTRACT]
        if extracts and (paths := self._local_paths(run, extracts)):
            return tuple(map(self._table, paths))
        for format in ("parquet", "csv"):
            files = [file for file in run.artefacts if file.format == format]
            if files and (paths := self._local_paths(run, files)):
                return self._of_file(run, files[0], paths[0])
        return ()

    def _local_paths(self, run: Run, files: Sequence[Artifact]) -> list[Path]:
        """Return paths at which files can be read; none if any of them was removed."""
        try:
            return [self._artefacts.local_path(run.id, file) for file in files]
        except FileNotFoundError:
            return []

    def page(self, table: RowTable, asked: RowRequest) -> RowPage:
        """Return a page of rows.

        Raises:
            NotFound: there is no such column, or the file was removed.
            Unavailable: the file cannot be read.
        """
        start, count = max(0, asked.start), min(max(0, asked.count), MAX_PAGE)
        if asked.sort is not None and not 0 <= asked.sort < len(table.columns):
            raise NotFound(f"There is no column {asked.sort}: the table has {len(table.columns)} columns, from 0.")
        if not table.path.is_file():
            raise NotFound("The file with the rows has been removed. Load the page again.")
        cells = ", ".join(column.text for column in table.columns)
        source = f"read_parquet({string_literal(str(table.path))}, file_row_number = true)"
        if asked.sort is None and not asked.text:
            where = f"{_ROW} >= {start} AND {_ROW} < {start + count}"
            rows = self._query(f"SELECT {cells} FROM {source} WHERE {where} ORDER BY {_ROW}").fetchall()
            return RowPage(table.rows, start, rows)
        numbers = self._ordered(table, source, asked)
        wanted = [int(number) for number in numbers[start : start + count]]
        if not wanted:
            return RowPage(len(numbers), start, [])
        listed = ", ".join(map(str, wanted))
        found = self._query(f"SELECT {_ROW}, {cells} FROM {source} WHERE {_ROW} IN ({listed})").fetchall()
        by_number = {row[0]: row[1:] for row in found}
        return RowPage(len(numbers), start, [by_number[number] for number in wanted])

    def _ordered(self, table: RowTable, source: str, asked: RowRequest) -> np.ndarray[Any, Any]:
        """Return the numbers of the rows that a request selects, in its order."""
        order = _ROW if asked.sort is None else table.columns[asked.sort].order
        direction = "DESC" if asked.descending else "ASC"
        where, parameters = "", []
        if asked.text:
            conditions = [condition for column in table.columns if (condition := column.contains(asked.text))]
            # `$1` also where no column can have the text, because the statement gets the parameter
            where, parameters = f" WHERE {' OR '.join(conditions) or '$1 IS NULL'}", [asked.text]
        if asked.sort is not None:
            order = f"{order} {direction} NULLS LAST, {_ROW}"

        def read() -> np.ndarray[Any, Any]:
            result = self._query(f"SELECT {_ROW}::UINTEGER AS n FROM {source}{where} ORDER BY {order}", parameters)
            return cast("np.ndarray[Any, Any]", result.fetchnumpy()["n"])

        return self._numbers.get((table.path, order, where, asked.text.casefold()), read)

    def _table(self, path: Path, name: str = "") -> RowTable:
        """Return the table of a file with all its columns; kept, because such a file never changes."""
        return self._tables.get((path, name), lambda: self._read_table(path, name))

    def _read_table(self, path: Path, name: str) -> RowTable:
        from pyarrow import ArrowException, parquet

        try:
            metadata = parquet.read_metadata(path)
        except (OSError, ArrowException) as error:
            raise Unavailable(f"The rows of this run cannot be read: {error}.") from error
        if not name and b"whohas.rows" in (metadata.metadata or {}):
            import json

            name = json.loads(metadata.metadata[b"whohas.rows"])["name"]
        described = self._query(f"DESCRIBE SELECT * FROM read_parquet({string_literal(str(path))})").fetchall()
        columns = tuple(RowColumn(row[0], row[1], row[0]) for row in described)
        if any(column.name.casefold() == _ROW for column in columns):
            raise Unavailable(f"The rows of this run cannot be shown, because a column is named {_ROW}.")
        return RowTable(path, name, columns, 0, metadata.num_rows)

    def _chosen(self, table: RowTable, parts: Sequence[ReportPart], detail: Detail) -> RowTable:
        """Return a table with the columns to show."""
        part = next((part for part in parts if part.name == table.name), None)
        columns, left_out, count = table.columns, (), 0
        if part is not None and [c.name for c in part.statement.columns] == [c.name for c in columns]:
            is_readable = detail == "readable"
            choice = self._choice(table, part, detail)
            columns = tuple(
                replace(
                    columns[place],
                    heading=heading,
                    kind=choice.columns[place].type,
                    is_readable=is_readable,
                )
                for place, heading in zip(choice.shown, choice.headings, strict=True)
            )
            left_out, count = choice.left_out, len(table.columns) - len(columns)
        shown = columns[:MAX_COLUMNS]
        return replace(table, columns=shown, hidden=len(columns) - len(shown), left_out=left_out, left_out_count=count)

    def _choice(self, table: RowTable, part: ReportPart, detail: Detail) -> ColumnChoice:
        """Return the columns that a file of the run shows; kept, because finding the empty ones may read the rows."""
        from whohas.formats.readable import choose_columns

        rows = RowsQuery("", part.statement.columns, part.name, part.statement.group)
        return self._choices.get(
            (table.path, detail),
            lambda: choose_columns(Extract(table.path, rows, table.rows), WriteOptions(detail=detail)),
        )

    def _of_file(self, run: Run, file: Artifact, path: Path) -> tuple[RowTable, ...]:
        """Return the tables of a Parquet or CSV file, or of a zip of such files."""
        separator = str(run.arguments.get("csvSeparator", ","))
        if not file.zipped:
            return (self._table(path if file.format == "parquet" else self._converted(file.sha256, path, separator)),)
        tables: list[RowTable] = []
        with zipfile.ZipFile(path) as archive:
            for number, member in enumerate(archive.infolist()):
                name = f"{file.sha256}-{number}"

                def unpack(part: Path, member: zipfile.ZipInfo = member) -> None:
                    import shutil

                    with archive.open(member) as packed, part.open("wb") as output:
                        shutil.copyfileobj(packed, output)

                unpacked = self._kept(f"{name}.{file.format}", unpack)
                if file.format == "csv":
                    unpacked = self._converted(name, unpacked, separator)
                tables.append(self._table(unpacked, Path(member.filename).stem))
        return tuple(tables)

    def _converted(self, name: str, path: Path, separator: str) -> Path:
        """Return a Parquet file with the rows of a CSV file, whose cells are all texts."""
        source = (
            f"read_csv({string_literal(str(path))}, header = true, all_varchar = true, quote = '\"', escape = '\"', "
            f"delim = {string_literal(separator)})"
        )

        def convert(part: Path) -> None:
            target = f"{string_literal(str(part))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
            self._query(f"COPY (SELECT * FROM {source}) TO {target}")

        return self._kept(f"{name}.parquet", convert)

    def _kept(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return a file of the folder for temporary files, after making it if it is not there. The sweep removes it."""
        path = self._folder / name
        if not path.is_file():
            self._folder.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{threading.get_ident()}-{name}{atomic.PART_SUFFIX}")
            try:
                make(part)
                atomic.publish(part, path, sync=False)
            finally:
                part.unlink(missing_ok=True)
        return path

    def _query(self, sql: str, parameters: Sequence[object] = ()) -> duckdb.DuckDBPyConnection:
        """Execute a statement with a new cursor, and return the cursor.

        Raises:
            Unavailable: DuckDB cannot execute it; the message says why.
        """
        import duckdb

        from whohas.engine.duckdb import connect_duckdb

        with self._lock:
            if self._database is None:
                spill = self._settings.spill_path / "console-duckdb"
                self._database = connect_duckdb(_MEMORY, self._settings.run_threads, spill)
            cursor = self._database.cursor()
        try:
            return cursor.execute(sql, list(parameters) or None)
        except duckdb.Error as error:
            raise Unavailable(f"The rows cannot be read: {str(error).splitlines()[0]}") from error
