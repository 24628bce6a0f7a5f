"""The progress of a load while it runs (`LoadProgress`) and its report at the end (`LoadReport`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from whohas.plurals import pluralize


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """The progress of a running load.

    Attributes:
        phase: the current step, such as `reading` or `publishing`.
        file: the file that is being read; empty in phases that read no input file.
        bytes_done: the bytes read so far, of all files together.
        bytes_total: the size of all files together, in bytes.
        rows: the rows read so far, of all files together.
    """

    phase: str
    file: str = ""
    bytes_done: int = 0
    bytes_total: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not loaded, or a cell that became null because it could not be read.

    Attributes:
        file: the name of the file.
        line: the physical line on which the record starts, from 1; in a Parquet or XLSX file the number of the row.
        column: the column of the file that is wrong; empty if the whole row is.
        reason: what is wrong.
    """

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        return f"{self.file}, line {self.line}{column}: {self.reason}"


@dataclass(frozen=True, slots=True)
class TableCount:
    """The number of rows of one table before and after a load.

    Attributes:
        name: the name of the table.
        before: the rows before the load.
        loaded: the rows that the load wrote.
        after: the rows after the load.
    """

    name: str
    before: int
    loaded: int
    after: int


@dataclass(frozen=True, slots=True)
class SourceCount:
    """The number of accounts of a source before and after a load that replaced them.

    Attributes:
        id, name: of the source.
        authoritative: whether the source's accounts create identities.
        before: the accounts before the load.
        after: the accounts after the load.
        correlated: how many of the accounts after the load have an identity.
        rule: whether the [correlation] of a mapping assigns the accounts to identities; otherwise the loaded
            accounts name their identities.
    """

    id: str
    name: str
    authoritative: bool
    before: int
    after: int
    correlated: int
    rule: bool

    @property
    def uncorrelated(self) -> int:
        """The accounts after the load that have no identity."""
        return self.after - self.correlated


@dataclass(frozen=True, slots=True)
class FileCount:
    """The number of records of one input file that were read and rejected.

    Attributes:
        name: the name of the file.
        holds: the main table that its records are loaded into; nested records may belong to other tables.
        read: the records in the file.
        rejected: the records that were not loaded.
        emptied: the cells that could not be read and became null.
    """

    name: str
    holds: str
    read: int
    rejected: int
    emptied: int = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss of data that exceeds one of a load's limits.

    Attributes:
        kind: `rejected` (rows of a file or source), `unreadable` (cells of a column) or `removed` (keys of a table).
        subject: the file, or the source and its table.
        count: the number of rows, cells or keys that would be lost.
        total: the number of rows, cells or keys that `count` is a part of.
        limit: the share that is allowed, such as `5 %`.
        examples: the first of the lost rows, cells or keys, for the message.
    """

    kind: str
    subject: str
    count: int
    total: int
    limit: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        is_in = "is" if self.count == 1 else "are"
        noun, fault = {
            "rejected": ("row", "cannot be loaded"),
            "unreadable": ("filled cell", "cannot be read"),
        }.get(self.kind, ("row", f"{is_in} in no file of this load and would be removed"))
        share = f"{100 * self.count / self.total:.3g} %" if self.total else "all"
        examples = f": {'; '.join(self.examples)}" if self.examples else ""
        counted = f"{self.count:,} of {pluralize(self.total, noun)}"
        return f"{self.subject}: {counted} {fault} ({share}; the limit is {self.limit}){examples}"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The result of a load or, with `check`, the result that the load would have.

    Attributes:
        load_id: the id of the load.
        snapshot: the number of the snapshot that the load published; None if it published none.
        files, tables, sources: the counts for each input file, table and source.
        rejected: the number of rows that were not loaded.
        rejections: the first of these rows.
        emptied: the number of cells that became null because they could not be read.
        emptied_cells: the first of these cells.
        losses: the losses that exceed a limit; the load stopped because of them, unless they were accepted.
        rejects: the NDJSON file with all rejected rows and emptied cells; None without such rows and cells, or after
            `check`.
        warnings: notes that need attention but did not stop the load.
        unknown: for each file, the columns that no table has; they were loaded as attributes.
        seconds: the duration of the load.
    """

    load_id: str
    snapshot: int | None
    files: tuple[FileCount, ...]
    tables: tuple[TableCount, ...]
    sources: tuple[SourceCount, ...]
    rejected: int = 0
    rejections: tuple[Rejection, ...] = ()
    emptied: int = 0
    emptied_cells: tuple[Rejection, ...] = ()
    losses: tuple[Loss, ...] = ()
    rejects: Path | None = None
    warnings: tuple[str, ...] = ()
    unknown: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    seconds: float = 0.0
