"""What a worker sends: requests to the fork server, and to the child process of a run a `Work`, as one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from whohas.engine.remote import EngineAddress, RemoteTable, SortKey
from whohas.engine.statement import FileLayout, ResultColumn, TableFiles
from whohas.engine.summary import EMPTY_SUMMARY, SummaryDefinition
from whohas.formats.base import ReportMetadata, WriteOptions
from whohas.json_values import encode_dataclass

FORK = b"f"
"""The request to the fork server for a child whose work follows at once."""
FORK_AHEAD = b"a"
"""The request for a spare child, whose work follows later: it warms up in the meantime."""
EXIT_WORKER_GONE = 75
"""The exit code of a child process whose worker has ended or has sent no heartbeat for too long."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One file that the child is to write.

    Attributes:
        format: the format of the file; of a zip, that of each file in it.
        path: the file to write; with an object store, a temporary file for formats that cannot be uploaded while they
            are written.
        zipped: whether the file is a zip that holds one file for each part.
        key: the key of the object that the file becomes; empty where it stays at `path`.
        headers: the headers with which an object store serves the object, such as `Content-Disposition`.
    """

    format: str
    path: str
    zipped: bool = False
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class RemotePart:
    """What another engine executes instead of the statement of a part.

    Attributes:
        sql: the statement in the engine's SQL.
        tables: the tables that it reads.
        order: the keys to sort its rows by; see `TranslatedStatement`.
    """

    sql: str
    tables: tuple[RemoteTable, ...]
    order: tuple[SortKey, ...]


@dataclass(frozen=True, slots=True)
class WorkPart:
    """One statement of a run, with what the child must know of its result.

    Attributes:
        name: the name of its file in a zip, without an extension; empty where there is no zip.
        sql: the statement; empty where an earlier run has written its rows to `extract`.
        parameters: the values of the statement's named parameters.
        columns: the columns of the result, in order.
        ordered: whether the order of the rows must be kept.
        expected_rows: an estimate, for progress; 0 where unknown.
        group: the column by which the rows of an extract are sorted, so that equal values are adjacent; empty for none.
        order: the columns by which the rows of a group are sorted; see `Statement.order`.
        extract: the Parquet file to which the rows are written first and from which each output is then made; empty
            where the statement is written directly to the one output.
        extract_key: the key of the object that the extract becomes; empty where it stays at `extract` or is not kept.
        summary: the key figures and breakdowns to compute over the extract.
        remote: what another engine executes instead of `sql`; None where DuckDB executes it.
    """

    name: str
    sql: str
    parameters: dict[str, Any]
    columns: tuple[ResultColumn, ...]
    ordered: bool
    expected_rows: int
    group: str = ""
    order: tuple[str, ...] = ()
    extract: str = ""
    extract_key: str = ""
    summary: SummaryDefinition = EMPTY_SUMMARY
    remote: RemotePart | None = None

    @staticmethod
    def of_extract(path: str, rows: int, summary: SummaryDefinition = EMPTY_SUMMARY) -> WorkPart:
        """Return a part whose rows are in an extract of an earlier run. Columns and run metadata are read from the
        file.

        Args:
            path: the extract, a Parquet file.
            rows: its number of rows.
            summary: the key figures and breakdowns of the part.
        """
        return WorkPart("", "", {}, (), True, rows, extract=path, summary=summary)


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one child process.

    Attributes:
        parts: the statements; more than one only for a zip.
        tables: the tables that the statements read, with their files.
        outputs: the files to write; empty where only the digest of the rows is wanted.
        about: the run metadata that is written into the files; None where it is read from the extracts, or where no
            file is written.
        options: how the files are written: separator, time zone, page size and so on.
        memory: the engine's memory limit, in bytes.
        threads: the engine's number of threads.
        spill: a folder that the engine creates where it must spill to disk.
        store: the address of the object store that gets the files which have keys; empty where no file has one.
        engine: how the engine of parts with `remote` is reached; None without such parts.
    """

    parts: tuple[WorkPart, ...]
    tables: tuple[TableFiles, ...]
    outputs: tuple[OutputFile, ...]
    about: ReportMetadata | None
    options: WriteOptions
    memory: int
    threads: int
    spill: str
    store: str = ""
    engine: EngineAddress | None = None

    def to_line(self) -> str:
        """Return the work as one line of JSON, with the newline."""
        return json.dumps(self, default=encode_dataclass) + "\n"

    @staticmethod
    def from_line(line: str) -> Work:
        """Return the work that `to_line` wrote."""
        raw: dict[str, Any] = json.loads(line)
        raw["parts"] = tuple(_part(**part) for part in raw["parts"])
        raw["outputs"] = tuple(OutputFile(**output) for output in raw["outputs"])
        raw["tables"] = tuple(
            TableFiles(
                table["name"],
                tuple((name, type) for name, type in table["columns"]),
                tuple(
                    FileLayout(
                        tuple(layout["files"]),
                        tuple((name, sql) for name, sql in layout["computed_columns"]),
                        tuple(layout["missing_columns"]),
                    )
                    for layout in table["layouts"]
                ),
            )
            for table in raw["tables"]
        )
        raw["about"] = ReportMetadata(**raw["about"]) if raw["about"] else None
        raw["options"] = WriteOptions(**raw["options"])
        raw["engine"] = EngineAddress(**raw["engine"]) if raw["engine"] else None
        return Work(**raw)


def _part(
    columns: list[dict[str, Any]],
    order: list[str],
    summary: dict[str, Any],
    remote: dict[str, Any] | None,
    **others: Any,
) -> WorkPart:
    return WorkPart(
        order=tuple(order),
        columns=tuple(ResultColumn(**column) for column in columns),
        summary=SummaryDefinition.from_json(summary),
        remote=None if remote is None else _remote(**remote),
        **others,
    )


def _remote(sql: str, tables: list[dict[str, Any]], order: list[dict[str, Any]]) -> RemotePart:
    return RemotePart(sql, tuple(_remote_table(**table) for table in tables), tuple(SortKey(**key) for key in order))


def _remote_table(columns: list[list[str]], files: list[str], **others: Any) -> RemoteTable:
    return RemoteTable(columns=tuple((name, type) for name, type in columns), files=tuple(files), **others)
