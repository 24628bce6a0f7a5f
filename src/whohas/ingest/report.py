"""What a load tells: its progress while it goes, and its report when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load has come.

    Attributes:
        phase: what it does, such as `reading` or `publishing`.
        file: the file that it reads; empty in a phase that has none.
        bytes_done: bytes read of all files so far.
        bytes_total: bytes of all files.
        rows: rows read of all files so far.
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
        file: the file's name as it was given.
        line: the physical line on which the record starts, from 1; of a Parquet file the row's number.
        column: the file's column that is wrong; empty where the whole row is.
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
    """What a load brought to one table.

    Attributes:
        name: the table.
        before: rows that it had.
        loaded: rows that the load brought.
        after: rows that it has now.
    """

    name: str
    before: int
    loaded: int
    after: int


@dataclass(frozen=True, slots=True)
class SourceCount:
    """A source's accounts, before and after a load that brought them.

    Attributes:
        before: accounts that it had.
        after: accounts that it has now.
        correlated: how many of them have an identity.
        rule: whether a mapping's rule correlates them; else their own documents say.
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
        return self.after - self.correlated


@dataclass(frozen=True, slots=True)
class FileCount:
    """What became of one file's records.

    Attributes:
        holds: the table that its records belong to first of all.
        read: records in it.
        rejected: records that were not loaded.
        emptied: cells that could not be read and became null.
    """

    name: str
    holds: str
    read: int
    rejected: int
    emptied: int = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """Data that a load would lose beyond what its limits allow.

    Attributes:
        kind: `rejected` (rows of a file or source), `unreadable` (cells of a column) or `removed` (keys of a table).
        subject: the file, or the source and its table.
        count: how many rows, cells or keys.
        total: of how many.
        limit: the share that is allowed, such as `5 %`.
        examples: the first of them.
    """

    kind: str
    subject: str
    count: int
    total: int
    limit: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        noun = {"rejected": "rows cannot be loaded", "unreadable": "filled cells cannot be read"}
        what = noun.get(self.kind, "keys would be removed")
        share = f"{100 * self.count / self.total:.3g} %" if self.total else "all"
        examples = f": {'; '.join(self.examples)}" if self.examples else ""
        return f"{self.subject}: {self.count:,} of {self.total:,} {what} ({share}; the limit is {self.limit}){examples}"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did, or with `check` what it would do.

    Attributes:
        snapshot: the number of the snapshot that it published; None where it only checked.
        rejected: how many rows were not loaded.
        rejections: the first of them.
        emptied: how many cells became null because they could not be read.
        emptied_cells: the first of them.
        losses: what is lost beyond the limits: the load stopped, or they were accepted.
        rejects: the NDJSON file with all rejected rows and emptied cells; None where there are none, or where it only
            checked.
        warnings: what should be looked at, though all is loaded.
        unknown: per file, columns that no table has: attributes of its rows.
        seconds: how long it took.
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
